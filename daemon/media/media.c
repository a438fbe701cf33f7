/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mapped range of a real device, and the only file of the daemon that knows libpmem2. The range is mapped with plain
 * mmap and handed to libpmem2 as an existing mapping, because its own pmem2_map_new() crashes on a device-dax with no
 * NVDIMM namespace behind it. It knows nothing of what the bytes mean.
 *
 * Every function that touches the mapping arms a guard first; see guard.h. libpmem2's copy and flush functions hold no
 * lock, so jumping out of them is safe.
 */
#include <config.h>

#include "daemon/media/media.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libpmem2.h>
#include <linux/mman.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/media/guard.h"

#define HOST_PAGE UINT64_C(4096)

struct media {
	struct device    *device;       /* borrowed; outlives the media */
	char             *base;         /* owned mapping */
	uint64_t          off, len;     /* of the device */
	bool              writable;
	enum media_granularity granularity;
	struct pmem2_map *map;          /* owned; describes the mapping, does not own it */
	pmem2_persist_fn  persist;
	pmem2_flush_fn    flush;
	pmem2_drain_fn    drain;
	pmem2_memset_fn   memset;

	/* MEDIA_PAGE: what was flushed since the last fence; the loop thread's alone. Empty: begin == end. */
	uint64_t          pending_begin, pending_end;

	/*
	 * A write-back that failed is reported once and its pages are then taken for clean, so that the next msync would
	 * answer 0 about data that was lost. Once broken, no fence succeeds any more.
	 */
	atomic_bool       broken;
};

static const char *const granularity_names[] = {
	[MEDIA_BYTE] = "byte", [MEDIA_CACHE_LINE] = "cache-line", [MEDIA_PAGE] = "page",
};

const char *media_granularity_name(enum media_granularity granularity)
{
	return granularity_names[granularity];
}

static enum pmem2_granularity to_pmem2(enum media_granularity granularity)
{
	switch (granularity) {
	case MEDIA_BYTE:
		return PMEM2_GRANULARITY_BYTE;
	case MEDIA_CACHE_LINE:
		return PMEM2_GRANULARITY_CACHE_LINE;
	default:
		return PMEM2_GRANULARITY_PAGE;
	}
}

static enum media_granularity from_pmem2(enum pmem2_granularity granularity)
{
	switch (granularity) {
	case PMEM2_GRANULARITY_BYTE:
		return MEDIA_BYTE;
	case PMEM2_GRANULARITY_CACHE_LINE:
		return MEDIA_CACHE_LINE;
	default:
		return MEDIA_PAGE;
	}
}

/* libpmem2 has numbers of its own below PMEM2_E_UNKNOWN; its function that translates them is not exported. */
static int to_errno(int r)
{
	if (r == PMEM2_E_NOSUPP || r == PMEM2_E_DAX_REGION_NOT_FOUND)
		return -EOPNOTSUPP;
	return r <= PMEM2_E_UNKNOWN ? -EINVAL : r;
}

/* pmem2_map_from_existing() believes its caller, so libpmem2's own override for tests has to be read here as well. */
static bool is_forced(enum media_granularity *granularity)
{
	const char *force = getenv("PMEM2_FORCE_GRANULARITY");

	if (!force)
		return false;
	if (strcasecmp(force, "BYTE") == 0)
		*granularity = MEDIA_BYTE;
	else if (strcasecmp(force, "CACHE_LINE") == 0 || strcasecmp(force, "CACHELINE") == 0)
		*granularity = MEDIA_CACHE_LINE;
	else if (strcasecmp(force, "PAGE") == 0)
		*granularity = MEDIA_PAGE;
	else
		return false;
	return true;
}

/*
 * Ask libpmem2 by a throw-away map of one page: it knows whether the file system is dax and whether the platform
 * flushes its caches when the power goes. Safe for files; it is device-dax that it must not be asked about. Not
 * knowing means pages, which is always right and only slow.
 */
static enum media_granularity probe_file(int fd, bool writable)
{
	enum media_granularity granularity = MEDIA_PAGE;
	struct pmem2_source *source = NULL;
	struct pmem2_config *config = NULL;
	struct pmem2_map *map = NULL;

	if (pmem2_config_new(&config) == 0 && pmem2_source_from_fd(&source, fd) == 0 &&
	    pmem2_config_set_required_store_granularity(config, PMEM2_GRANULARITY_PAGE) == 0 &&
	    pmem2_config_set_length(config, HOST_PAGE) == 0 &&
	    pmem2_config_set_protection(config, writable ? PMEM2_PROT_READ | PMEM2_PROT_WRITE : PMEM2_PROT_READ) == 0 &&
	    pmem2_map_new(&map, config, source) == 0)
		granularity = from_pmem2(pmem2_map_get_store_granularity(map));
	if (map)
		pmem2_map_delete(&map);
	if (source)
		pmem2_source_delete(&source);
	if (config)
		pmem2_config_delete(&config);
	return granularity;
}

static enum media_granularity find_granularity(const struct device *device, bool writable)
{
	const struct device_info *info = device_info(device);
	enum media_granularity forced;

	if (is_forced(&forced))
		return forced;
	if (info->kind == DEVICE_FILE)
		return probe_file(device_fd(device), writable);
	/* Only a platform that says so itself flushes its caches at power loss (eADR). */
	return strcmp(info->persistence, "cpu-cache") == 0 ? MEDIA_BYTE : MEDIA_CACHE_LINE;
}

static int check_range(const struct device_info *info, uint64_t off, uint64_t len, struct why *why)
{
	if (!len || off % info->align || len % info->align)
		return why_set(why, -EINVAL, "%s: range %#llx+%#llx is not a multiple of the device's alignment %#llx",
			       info->path, (unsigned long long)off, (unsigned long long)len,
			       (unsigned long long)info->align);
	if (off > info->size || len > info->size - off)
		return why_set(why, -EINVAL, "%s: range %#llx+%#llx ends beyond the device's %#llx bytes", info->path,
			       (unsigned long long)off, (unsigned long long)len, (unsigned long long)info->size);
	return 0;
}

/*
 * On a dax file system only MAP_SYNC makes flushed lines durable by themselves: without it, the block that holds them
 * may not be the file's yet. Where it is not supported the file is no such file, whatever granularity was forced.
 */
static int map_range(struct media *media, struct why *why)
{
	int prot = media->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	const struct device_info *info = device_info(media->device);
	int fd = device_fd(media->device);
	void *base = MAP_FAILED;

	if (info->kind == DEVICE_FILE && media->granularity != MEDIA_PAGE)
		base = mmap(NULL, media->len, prot, MAP_SHARED_VALIDATE | MAP_SYNC, fd, (off_t)media->off);
	if (base == MAP_FAILED)
		base = mmap(NULL, media->len, prot, MAP_SHARED, fd, (off_t)media->off);
	if (base == MAP_FAILED)
		return why_set(why, -errno, "%s: mapping %#llx bytes failed: %s", info->path,
			       (unsigned long long)media->len, strerror(errno));
	media->base = base;
	/* What clients keep here has no place in a core file. Refused by some kernels for device memory: then be it. */
	(void)madvise(base, media->len, MADV_DONTDUMP);
	return 0;
}

static int describe_to_pmem2(struct media *media, struct why *why)
{
	struct pmem2_source *source = NULL;
	int r;

	r = pmem2_source_from_fd(&source, device_fd(media->device));
	if (r == 0)
		r = pmem2_map_from_existing(&media->map, source, media->base, media->len, to_pmem2(media->granularity));
	if (source)
		pmem2_source_delete(&source);
	if (r < 0) {
		media->map = NULL;
		return why_set(why, to_errno(r), "%s: libpmem2 refused the mapping: %s",
			       device_info(media->device)->path, pmem2_errormsg());
	}
	media->persist = pmem2_get_persist_fn(media->map);
	media->flush = pmem2_get_flush_fn(media->map);
	media->drain = pmem2_get_drain_fn(media->map);
	media->memset = pmem2_get_memset_fn(media->map);
	return 0;
}

static int open_range(struct media *media, struct why *why)
{
	int flags, r;

	r = check_range(device_info(media->device), media->off, media->len, why);
	if (r < 0)
		return r;
	r = guard_install();
	if (r < 0)
		return why_set(why, r, "the SIGBUS handler cannot be installed: %s", strerror(-r));
	flags = fcntl(device_fd(media->device), F_GETFL);
	if (flags < 0)
		return why_set(why, -errno, "%s: %s", device_info(media->device)->path, strerror(errno));
	media->writable = (flags & O_ACCMODE) == O_RDWR;
	media->granularity = find_granularity(media->device, media->writable);
	r = map_range(media, why);
	if (r < 0)
		return r;
	return describe_to_pmem2(media, why);
}

int media_open(struct media **out, struct device *device, uint64_t off, uint64_t len, struct why *why)
{
	struct media *media = calloc(1, sizeof(*media));
	int r;

	if (!media)
		return why_set(why, -ENOMEM, "out of memory");
	media->device = device;
	media->off = off;
	media->len = len;
	r = open_range(media, why);
	if (r < 0) {
		media_close(media);
		return r;
	}
	*out = media;
	return 0;
}

void media_close(struct media *media)
{
	if (!media)
		return;
	if (media->map)
		pmem2_map_delete(&media->map);
	if (media->base)
		munmap(media->base, media->len);
	free(media);
}

uint64_t media_len(const struct media *media)
{
	return media->len;
}

enum media_granularity media_granularity(const struct media *media)
{
	return media->granularity;
}

static int check_read(const struct media *media, uint64_t off, uint64_t len)
{
	return off > media->len || len > media->len - off ? -EINVAL : 0;
}

/* A store to a read-only mapping would be a SIGSEGV, which nothing guards. */
static int check_write(const struct media *media, uint64_t off, uint64_t len)
{
	int r = check_read(media, off, len);

	return r == 0 && !media->writable ? -EROFS : r;
}

int media_read(struct media *media, void *dst, uint64_t off, uint64_t len)
{
	struct guard guard;
	int r = check_read(media, off, len);

	if (r < 0)
		return r;
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	memcpy(dst, media->base + off, len);
	guard_disarm(&guard);
	return 0;
}

int media_store(struct media *media, uint64_t off, const void *src, uint64_t len)
{
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0)
		return r;
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	memcpy(media->base + off, src, len);
	guard_disarm(&guard);
	return 0;
}

int media_store64(struct media *media, uint64_t off, uint64_t value)
{
	struct guard guard;
	int r = check_write(media, off, sizeof(value));

	if (r < 0)
		return r;
	if (off % sizeof(value))
		return -EINVAL;
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	__atomic_store_n((uint64_t *)(void *)(media->base + off), value, __ATOMIC_RELEASE);
	guard_disarm(&guard);
	return 0;
}

/* A file that a client truncated loses what was stored beyond its end, and msync() says nothing about it. */
static int check_file_end(const struct media *media)
{
	struct stat st;

	if (device_info(media->device)->kind != DEVICE_FILE)
		return 0;
	if (fstat(device_fd(media->device), &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < media->off + media->len ? -EIO : 0;
}

/* Make a range durable the expensive way. */
static int sync_range(struct media *media, uint64_t off, uint64_t len)
{
	uint64_t begin = off - off % HOST_PAGE;
	int r;

	if (atomic_load_explicit(&media->broken, memory_order_relaxed))
		return -EIO;
	if (!len)
		return 0;
	if (msync(media->base + begin, off + len - begin, MS_SYNC) < 0) {
		r = -errno;
		atomic_store_explicit(&media->broken, true, memory_order_relaxed);
		return r;
	}
	return check_file_end(media);
}

int media_flush(struct media *media, uint64_t off, uint64_t len)
{
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0 || !len)
		return r;
	if (media->granularity == MEDIA_PAGE) {
		bool first = media->pending_begin == media->pending_end;

		if (first || off < media->pending_begin)
			media->pending_begin = off;
		if (first || off + len > media->pending_end)
			media->pending_end = off + len;
		return 0;
	}
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	media->flush(media->base + off, len);
	guard_disarm(&guard);
	return 0;
}

/*
 * One msync over everything from the first to the last pending byte: each call is a journal commit and a cache flush of
 * the disk, whatever its length, and what lies between is the daemon's own metadata. After a failure the range stays
 * pending, but the media is broken for good.
 */
int media_fence(struct media *media)
{
	int r;

	if (media->granularity != MEDIA_PAGE) {
		media->drain();
		return 0;
	}
	r = sync_range(media, media->pending_begin, media->pending_end - media->pending_begin);
	if (r == 0)
		media->pending_begin = media->pending_end = 0;
	return r;
}

int media_persist(struct media *media, uint64_t off, uint64_t len)
{
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0)
		return r;
	if (media->granularity == MEDIA_PAGE)
		return sync_range(media, off, len);
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	media->persist(media->base + off, len);
	guard_disarm(&guard);
	return 0;
}

/*
 * Non-temporal: what is scrubbed is rarely read soon and must not push everything else out of the cache. With pages
 * the range is synced at once, because a worker has no part in the loop thread's pending range.
 */
int media_zero(struct media *media, uint64_t off, uint64_t len)
{
	bool page = media->granularity == MEDIA_PAGE;
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0)
		return r;
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	media->memset(media->base + off, 0, len, page ? PMEM2_F_MEM_NOFLUSH : PMEM2_F_MEM_NODRAIN | PMEM2_F_MEM_NONTEMPORAL);
	guard_disarm(&guard);
	return page ? sync_range(media, off, len) : 0;
}

int media_deep_flush(struct media *media, uint64_t off, uint64_t len)
{
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0)
		return r;
	if (device_info(media->device)->kind == DEVICE_FILE)
		return sync_range(media, off, len);
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	r = pmem2_deep_flush(media->map, media->base + off, len);
	guard_disarm(&guard);
	return to_errno(r);
}

static int allocate_blocks(int fd, int mode, uint64_t off, uint64_t len)
{
	int r;

	do
		r = fallocate(fd, mode, (off_t)off, (off_t)len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/*
 * The hole is in the file system's journal, not yet on the disk, when fallocate() returns. An msync of the range
 * commits the journal without writing out what clients have dirtied elsewhere in the file, as fdatasync() would.
 */
int media_punch(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	if (r < 0 || !len)
		return r;
	if (device_info(media->device)->kind != DEVICE_FILE)
		return -EOPNOTSUPP;
	r = check_file_end(media);
	if (r < 0)
		return r;
	r = allocate_blocks(device_fd(media->device), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, media->off + off, len);
	if (r < 0)
		return r;
	return sync_range(media, off, len);
}

/*
 * KEEP_SIZE: a file that a client truncated must not silently grow back with zeroes where data was; it answers -EIO and
 * stays as it is, for a person to look at. Where the file system cannot reserve (NFS 3, FAT), libc does it by writing.
 * Nothing is synced: a reservation does not outlive a power cut anyhow.
 */
int media_allocate(struct media *media, uint64_t off, uint64_t len)
{
	int fd = device_fd(media->device);
	int r = check_write(media, off, len);

	if (r < 0 || !len || device_info(media->device)->kind != DEVICE_FILE)
		return r;
	r = check_file_end(media);
	if (r < 0)
		return r;
	r = allocate_blocks(fd, FALLOC_FL_KEEP_SIZE, media->off + off, len);
	if (r == -EOPNOTSUPP)
		r = -posix_fallocate(fd, (off_t)(media->off + off), (off_t)len);
	return r;
}
