/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backing: one memory file of plain tails that every deduplicated compound page shows. Its writable descriptor is gone before the first
 * map of it is made and the file is sealed, so that not even mprotect() makes a deduplicated tail writable.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PIECE 1024u                     /* descriptors written at once: 64 KiB */

const struct desc plain_tail = { .kind = DESC_TAIL };

int fill_plain(int fd, size_t from, size_t len)
{
	struct desc piece[PIECE];

	for (unsigned i = 0; i < PIECE; i++)
		piece[i] = plain_tail;
	while (len > 0) {
		size_t n = len < sizeof(piece) ? len : sizeof(piece);
		ssize_t done = pwrite(fd, piece, n, (off_t)from);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -ENOSPC;
		from += (size_t)done;
		len -= (size_t)done;
	}
	return 0;
}

static int reopen_read_only(int fd)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

/* Placed by the mapping's policy, filled through the descriptor: a lack of memory is an error there, and a SIGBUS here. */
static int fill_placed(struct memmap *mm, int fd)
{
	void *map = mmap(NULL, mm->backing_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int r;

	if (map == MAP_FAILED)
		return -errno;
	heads_place(mm, map, mm->backing_bytes);
	r = fill_plain(fd, 0, mm->backing_bytes);
	/* Best effort: a section then costs one page-table entry, not 512. */
	mm->backing_is_huge = r == 0 && madvise(map, mm->backing_bytes, MADV_COLLAPSE) == 0;
	munmap(map, mm->backing_bytes);
	return r;
}

static int make(struct memmap *mm, int fd)
{
	int r;

	/* A memory file is 0777 by default: whoever is passed it could open it anew for writing. */
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)mm->backing_bytes) < 0)
		return -errno;
	r = fill_placed(mm, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return reopen_read_only(fd);
}

int backing_open(struct memmap *mm)
{
	int fd, ro;

	if (mm->backing_fd >= 0)
		return 0;
	fd = memfd_create("pmemarena-tails", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	ro = make(mm, fd);
	close(fd);
	if (ro < 0)
		return ro == -ENOSPC ? -ENOMEM : ro;
	mm->backing_fd = ro;
	return 0;
}

void backing_close(struct memmap *mm)
{
	if (mm->backing_fd >= 0)
		close(mm->backing_fd);
	mm->backing_fd = -1;
}
