/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media: the only door to bytes on a device. A media is one mapped range of a device; every load and store of the
 * daemon goes through it, so that each access is guarded against SIGBUS (a poisoned page, a truncated file, a
 * device that went away: -EIO instead of a dead daemon) and so that tests can put a recorder in its place at link
 * time. It knows nothing of what the bytes mean.
 *
 * Durability has three steps, as the hardware has: store, flush (the lines leave the cache), fence (what was flushed
 * before is durable before anything stored after). media_zero() needs no flush of its own, only the fence. Where the
 * platform persists whole pages only (MEDIA_PAGE), media_flush() remembers the range and media_fence() pays for it with
 * one msync.
 *
 * Threads: a media may be used by one thread at a time, except media_read(), media_zero() and media_persist(), which
 * any number of threads may call on ranges that do not touch. A fence is the calling thread's: what a worker zeroed is
 * made durable by that worker's media_persist() (of length 0, if there is nothing else), not by the loop's media_fence().
 *
 * A media of a device that was opened read-only answers -EROFS to all that would write. After a write-back failed (page
 * granularity) every later fence is -EIO: the kernel reports such a failure once and forgets what it could not write.
 */
#ifndef PMEMARENA_MEDIA_H
#define PMEMARENA_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/device/device.h"
#include "lib/why.h"

enum media_granularity { MEDIA_BYTE, MEDIA_CACHE_LINE, MEDIA_PAGE };

struct media;

/*
 * Map @len bytes of @device from @off; both are multiples of the device's alignment. @device is borrowed and outlives
 * the media. -EINVAL for a range the device does not have (the kernel would let it through), -errno of mmap.
 */
int media_open(struct media **out, struct device *device, uint64_t off, uint64_t len, struct why *why);
void media_close(struct media *media);          /* NULL is fine */

uint64_t media_len(const struct media *media);
enum media_granularity media_granularity(const struct media *media);
const char *media_granularity_name(enum media_granularity granularity);        /* "byte", "cache-line", "page" */

/* All offsets are relative to the media's start. 0, -EINVAL out of range, -EIO the device did not answer (SIGBUS). */
int media_read(struct media *media, void *dst, uint64_t off, uint64_t len);
int media_store(struct media *media, uint64_t off, const void *src, uint64_t len);
int media_store64(struct media *media, uint64_t off, uint64_t value);          /* aligned; never torn */
int media_flush(struct media *media, uint64_t off, uint64_t len);
int media_fence(struct media *media);
int media_persist(struct media *media, uint64_t off, uint64_t len);            /* flush and fence of this range */
int media_zero(struct media *media, uint64_t off, uint64_t len);               /* non-temporal; durable at the next fence */
int media_deep_flush(struct media *media, uint64_t off, uint64_t len);         /* past the platform's persistence domain; -EOPNOTSUPP */

/*
 * Memory of this media that failed since it was last asked, as the kernel told of it: touched or not, as large as it said
 * (the whole 2 MiB of a huge page). One range a call; false: none. To be asked now and then: nothing wakes the caller.
 */
bool media_take_poison(struct media *media, uint64_t *off, uint64_t *len);

/*
 * Give the space behind a range back and make it read as zeroes (a hole in a file, durable at return), or -EOPNOTSUPP
 * where the device cannot (device-dax): then media_zero() does it.
 */
int media_punch(struct media *media, uint64_t off, uint64_t len);
/*
 * Make sure that stores to the range cannot fail for want of space: -ENOSPC, -EDQUOT. Nothing to do on device-dax. A file
 * that a client truncated is -EIO here, as everywhere: it never grows back by itself.
 */
int media_allocate(struct media *media, uint64_t off, uint64_t len);

#endif
