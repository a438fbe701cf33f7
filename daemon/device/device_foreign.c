/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_foreign: what else lives on a device, so that a format can refuse it by name. libblkid
 * knows file systems, partition tables, and members of RAID and LVM; the magics of persistent
 * memory are here. It reads the first and the last MiB only, where all of these have their
 * signatures, and writes nothing.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EDGE (UINT64_C(1) << 20)

struct magic {
	const char *bytes;
	size_t      len;
	const char *name;
};

/* All of them stand at offset 0. */
static const struct magic magics[] = {
	{ "PMEMOBJ\0", 8, "libpmemobj pool" },
	{ "PMEMBLK\0", 8, "libpmemblk pool" },
	{ "PMEMLOG\0", 8, "libpmemlog pool" },
	{ "PMEMPOOL", 8, "PMDK pool set" },
	{ "\xff\xb2\x82\x87\0\0\0\0", 8, "famfs file system" },
	{ "QFI\xfb", 4, "QCOW disk image" },
};

static bool find_magic(int fd, char *name, size_t len)
{
	char head[8];

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return false;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (memcmp(head, magics[i].bytes, magics[i].len) == 0) {
			snprintf(name, len, "%s", magics[i].name);
			return true;
		}
	}
	return false;
}

static const char *look_up(blkid_probe probe, const char *key)
{
	const char *value;

	return blkid_probe_lookup_value(probe, key, &value, NULL) == 0 ? value : NULL;
}

static void name_finding(blkid_probe probe, char *name, size_t len)
{
	const char *type = look_up(probe, "TYPE"), *usage = look_up(probe, "USAGE");
	const char *table = look_up(probe, "PTTYPE");

	if (!type && table)
		snprintf(name, len, "%s partition table", table);
	else if (type && usage && strcmp(usage, "filesystem") == 0)
		snprintf(name, len, "%s file system", type);
	else if (type && usage && strcmp(usage, "raid") == 0)
		snprintf(name, len, "%s (a RAID or LVM member)", type);
	else if (type && usage && strcmp(usage, "crypto") == 0)
		snprintf(name, len, "%s (encrypted)", type);
	else
		snprintf(name, len, "%s", type ? type : "something that libblkid knows");
}

/* Returns 1, with @name; 0: nothing is known; or -errno. */
static int probe(int fd, uint64_t size, char *name, size_t len)
{
	blkid_probe probe = blkid_new_probe();
	int r;

	if (!probe)
		return -ENOMEM;
	r = blkid_probe_set_device(probe, fd, 0, (blkid_loff_t)size);
	if (r == 0) {
		blkid_probe_enable_superblocks(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
		blkid_probe_enable_partitions(probe, 1);
		r = blkid_do_safeprobe(probe);
		if (r == 0)
			name_finding(probe, name, len);
		else if (r == -2)
			snprintf(name, len, "several file systems at once (old signatures)");
	} else {
		r = -1;
	}
	blkid_free_probe(probe);
	return r == 0 || r == -2 ? 1 : r == 1 ? 0 : -EIO;
}

/*
 * Copies [off, off + len) of the device into the file @copy. The kernel reads it: a bad page is
 * -EFAULT then, and not a SIGBUS.
 */
static int copy_edge(int copy, const struct device *device, uint64_t off, uint64_t len)
{
	uint64_t align = device->info.align, begin = off - off % align;
	uint64_t span = (off + len - begin + align - 1) / align * align;
	ssize_t n;
	char *map;
	int r = 0;

	map = mmap(NULL, span, PROT_READ, MAP_SHARED, device->fd, (off_t)begin);
	if (map == MAP_FAILED)
		return -errno;
	while (len > 0 && r == 0) {
		n = pwrite(copy, map + (off - begin), len, (off_t)off);
		if (n <= 0) {
			r = n < 0 && errno != EFAULT ? -errno : -EIO;
		} else {
			off += (uint64_t)n;
			len -= (uint64_t)n;
		}
	}
	munmap(map, span);
	return r;
}

/*
 * libblkid reads with pread(), which device-dax does not have: it gets a sparse file with the first
 * and the last MiB of the device.
 */
static int copy_edges(int *fd, const struct device *device)
{
	uint64_t size = device->info.size, edge = size < EDGE ? size : EDGE;
	int r = 0, copy;

	copy = memfd_create("pmemarena-probe", MFD_CLOEXEC);
	if (copy < 0)
		return -errno;
	if (ftruncate(copy, (off_t)size) < 0)
		r = -errno;
	if (r == 0)
		r = copy_edge(copy, device, 0, edge);
	if (r == 0)
		r = copy_edge(copy, device, size - edge, edge);
	if (r < 0) {
		close(copy);
		return r;
	}
	*fd = copy;
	return 0;
}

int device_find_foreign(const struct device *device, char *name, size_t len)
{
	int fd = device->fd, r;

	if (device->info.kind == DEVICE_DAX) {
		r = copy_edges(&fd, device);
		if (r < 0)
			return r;
	}
	if (find_magic(fd, name, len))
		r = 1;
	else
		r = probe(fd, device->info.size, name, len);
	if (fd != device->fd)
		close(fd);
	return r;
}
