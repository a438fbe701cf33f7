/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media: a mapped range of a real device. It is mapped with mmap() after a check here, since the
 * kernel accepts an offset or an end that the device does not have. Each function that touches the
 * mapping arms a guard first (guard.h). How stores become durable is hardware.c's; what the bytes
 * mean is not known here.
 */
#include <config.h>

#include "daemon/media/media.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/media/guard.h"
#include "daemon/media/hardware.h"

#define HOST_PAGE UINT64_C(4096)

struct media {
	struct device    *device;       /* borrowed; outlives the media */
	char             *base;         /* owned mapping */
	uint64_t          off, len;     /* in bytes of the device */
	bool              writable;
	const struct hardware *hw;      /* static */

	/*
	 * With MEDIA_PAGE: what was flushed since the last fence, for the loop thread alone. Empty:
	 * begin == end.
	 */
	uint64_t          pending_begin, pending_end;

	/*
	 * The kernel reports a failed write-back once and then takes its pages for clean: the next
	 * msync() would return 0 although data was lost. So after one failure no fence succeeds any
	 * more.
	 */
	atomic_int        broken;       /* 0, or -errno of the write-back */
};

static const char *const granularity_names[] = {
	[MEDIA_BYTE] = "byte", [MEDIA_CACHE_LINE] = "cache-line", [MEDIA_PAGE] = "page",
};

const char *media_granularity_name(enum media_granularity granularity)
{
	return granularity_names[granularity];
}

static int check_range(const struct device_info *info, uint64_t off, uint64_t len, struct why *why)
{
	if (!len || off % info->align || len % info->align)
		return why_set(
			why, -EINVAL,
			"%s: range %#llx+%#llx is not a multiple of the device's alignment %#llx",
			info->path, (unsigned long long)off, (unsigned long long)len,
			(unsigned long long)info->align);
	if (off > info->size || len > info->size - off)
		return why_set(why, -EINVAL,
			       "%s: range %#llx+%#llx ends beyond the device's %#llx bytes",
			       info->path, (unsigned long long)off, (unsigned long long)len,
			       (unsigned long long)info->size);
	return 0;
}

/*
 * Maps the range. On a file system with dax, cache lines that were flushed are durable only in a
 * mapping with MAP_SYNC: without it the block that holds them may not belong to the file yet. A
 * file system that refuses MAP_SYNC has no dax, whatever granularity the administrator forced, so a
 * plain mapping is right there.
 */
static int map_range(struct media *media, struct why *why)
{
	int prot = media->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	const struct device_info *info = device_info(media->device);
	int fd = device_fd(media->device);
	void *base = MAP_FAILED;

	if (info->kind == DEVICE_FILE && media->hw->granularity != MEDIA_PAGE)
		base = mmap(NULL, media->len, prot, MAP_SHARED_VALIDATE | MAP_SYNC, fd,
			    (off_t)media->off);
	if (base == MAP_FAILED)
		base = mmap(NULL, media->len, prot, MAP_SHARED, fd, (off_t)media->off);
	if (base == MAP_FAILED)
		return why_set(why, -errno, "%s: mapping %#llx bytes failed: %s", info->path,
			       (unsigned long long)media->len, strerror(errno));
	media->base = base;
	/*
	 * What clients store here must not get into a core file. Some kernels refuse this for
	 * memory of a device; then it is left out.
	 */
	(void)madvise(base, media->len, MADV_DONTDUMP);
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
		return why_set(why, -errno, "%s: %s", device_info(media->device)->path,
			       strerror(errno));
	media->writable = (flags & O_ACCMODE) == O_RDWR;
	r = hardware_find(&media->hw, media->device, media->writable, why);
	return r < 0 ? r : map_range(media, why);
}

int media_open(struct media **out, struct device *device, uint64_t off, uint64_t len,
	       struct why *why)
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
	return media->hw->granularity;
}

static int check_read(const struct media *media, uint64_t off, uint64_t len)
{
	return off > media->len || len > media->len - off ? -EINVAL : 0;
}

/* A store to a read-only mapping would be a SIGSEGV, which no guard catches. */
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

/* A file is coherent through the page cache of its one kernel. */
void media_invalidate(struct media *media, uint64_t off, uint64_t len)
{
#ifdef __x86_64__
	if (check_read(media, off, len) < 0 || device_info(media->device)->kind == DEVICE_FILE)
		return;
	__builtin_ia32_mfence();
	for (uint64_t at = off & ~UINT64_C(63); at < off + len; at += 64)
		__builtin_ia32_clflush(media->base + at);
	__builtin_ia32_mfence();
#else
	(void)media;
	(void)off;
	(void)len;
#endif
}

int media_peek(struct media *media, void *dst, uint64_t off, uint64_t len)
{
	int r = check_read(media, off, len);
	uint64_t done = 0;

	if (r < 0 || device_info(media->device)->kind != DEVICE_FILE)
		return r < 0 ? r : media_read(media, dst, off, len);
	while (done < len) {
		ssize_t n = pread(device_fd(media->device), (char *)dst + done, len - done,
				  (off_t)(media->off + off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)                     /* 0 bytes: a client truncated the file */
			return n < 0 ? -errno : -EIO;
		done += (uint64_t)n;
	}
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

/*
 * Checks that the file is as long as it was. If a client truncated it, stores beyond its end are
 * lost, and msync() says nothing of it. An fstat() that fails (no memory, a signal) does not prove
 * that anything is lost: the next one tells.
 */
static int check_file_end(const struct media *media)
{
	struct stat st;

	if (device_info(media->device)->kind != DEVICE_FILE)
		return 0;
	if (fstat(device_fd(media->device), &st) < 0)
		return 0;
	return (uint64_t)st.st_size < media->off + media->len ? -EIO : 0;
}

int media_broken(const struct media *media)
{
	return atomic_load_explicit(&media->broken, memory_order_relaxed);
}

/* Makes a range durable with msync(). */
static int sync_range(struct media *media, uint64_t off, uint64_t len)
{
	uint64_t begin = off - off % HOST_PAGE;

	if (media_broken(media) < 0)
		return -EIO;
	if (!len)
		return 0;
	if (msync(media->base + begin, off + len - begin, MS_SYNC) < 0) {
		/*
		 * Whatever the reason is (a thin disk that is full says ENOSPC), data was lost: it
		 * is not a refusal after which the caller could go on.
		 */
		atomic_store_explicit(&media->broken, -errno, memory_order_relaxed);
		return -EIO;
	}
	return check_file_end(media);
}

int media_flush(struct media *media, uint64_t off, uint64_t len)
{
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0 || !len)
		return r;
	if (media->hw->granularity == MEDIA_PAGE) {
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
	media->hw->flush(media->base + off, len);
	guard_disarm(&guard);
	return 0;
}

/*
 * With MEDIA_PAGE one msync() covers everything from the first to the last pending byte: each call
 * is a commit of the journal and a flush of the disk's cache, whatever its length, and what lies
 * between is the daemon's own metadata. After a failure the range stays pending, though no later
 * fence succeeds.
 */
int media_fence(struct media *media)
{
	int r;

	if (media->hw->granularity != MEDIA_PAGE) {
		media->hw->drain();
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
	if (media->hw->granularity == MEDIA_PAGE)
		return sync_range(media, off, len);
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	media->hw->persist(media->base + off, len);
	guard_disarm(&guard);
	return 0;
}

/*
 * The zeroes are written past the cache: what is scrubbed is rarely read soon, and would push
 * everything else out. With MEDIA_PAGE the range is synced at once, since the pending range belongs
 * to the loop thread.
 */
int media_zero(struct media *media, uint64_t off, uint64_t len)
{
	bool page = media->hw->granularity == MEDIA_PAGE;
	struct guard guard;
	int r = check_write(media, off, len);

	if (r < 0)
		return r;
	guard_arm(&guard, media->base, media->len);
	if (guard_trips(&guard))
		return -EIO;
	hardware_zero(media->hw, media->base + off, len);
	guard_disarm(&guard);
	return page ? sync_range(media, off, len) : 0;
}

bool media_take_poison(struct media *media, uint64_t *off, uint64_t *len)
{
	size_t begin, piece;

	if (!guard_take_poison(&begin, &piece, media->base, media->len))
		return false;
	*off = begin;
	*len = piece;
	return true;
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
 * When fallocate() returns, the hole is in the journal of the file system and not yet on the disk.
 * msync() of the range commits the journal without writing out what clients changed elsewhere in
 * the file, as fdatasync() would.
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
	r = allocate_blocks(device_fd(media->device), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    media->off + off, len);
	if (r < 0)
		return r;
	return sync_range(media, off, len);
}

/*
 * With FALLOC_FL_KEEP_SIZE a file that a client truncated does not grow back, with zeroes where
 * data was: it stays as it is, for a person to look at, and this call is -EIO. Where the file
 * system cannot reserve blocks (NFS 3, FAT), libc writes instead. Nothing is synced, because no
 * promise rests on the reservation of blocks after a power cut.
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
