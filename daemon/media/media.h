/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media: the only way to the bytes of a device. A media is one mapped range of a device. Every load
 * and store of the daemon goes through it, so that each is guarded against SIGBUS (a poisoned page,
 * a truncated file, a device that is gone: -EIO, and not a dead daemon), and so that tests can link
 * a recorder in its place. It does not know what the bytes mean.
 *
 * Durability has three steps, as the hardware has: store; flush (the lines leave the cache); fence
 * (what was flushed before is durable before anything that is stored after). media_zero() needs no
 * flush, only the fence. Where the platform makes only whole pages durable (MEDIA_PAGE),
 * media_flush() remembers the range, and media_fence() makes it durable with one msync().
 *
 * Threads: a media is for one thread, but for media_read(), media_zero() and media_persist(), which
 * any number of threads may call on ranges that do not touch. A fence holds for the thread that
 * makes it: what a worker zeroed is made durable by that worker's media_persist() (of length 0, if
 * it has nothing else), and not by the loop's media_fence().
 *
 * A media of a device that was opened read-only returns -EROFS for all that would write. Once a
 * write-back has failed (MEDIA_PAGE) every later fence is -EIO: the kernel reports such a failure
 * once and forgets what it could not write.
 */
#ifndef PMEMARENA_MEDIA_H
#define PMEMARENA_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/device/device.h"
#include "lib/wire/why.h"

enum media_granularity { MEDIA_BYTE, MEDIA_CACHE_LINE, MEDIA_PAGE };

struct media;

/*
 * Maps @len bytes of @device from @off; both are multiples of the device's alignment. @device is
 * borrowed and outlives the media. -EINVAL: the device does not have the range; -errno of mmap().
 */
int media_open(struct media **out, struct device *device, uint64_t off, uint64_t len,
	       struct why *why);
void media_close(struct media *media);          /* Unmaps and frees @media, which may be NULL. */

uint64_t media_len(const struct media *media);
enum media_granularity media_granularity(const struct media *media);
/* Returns "byte", "cache-line" or "page". */
const char *media_granularity_name(enum media_granularity granularity);

/*
 * All offsets are from the start of the media. 0; -EINVAL: out of range; -EIO: the device did not
 * answer (SIGBUS).
 */
int media_read(struct media *media, void *dst, uint64_t off, uint64_t len);
/*
 * As media_read(), for what may belong to nobody yet. A load through the mapping of a hole takes a
 * block for it where files are memory (tmpfs), and a look must leave no trace.
 */
int media_peek(struct media *media, void *dst, uint64_t off, uint64_t len);
/*
 * Drops cached copies of the range, so that the next load sees what another host stored and
 * flushed. Nothing of it may be dirty here. Where the memory is coherent it costs time and changes
 * nothing.
 */
void media_invalidate(struct media *media, uint64_t off, uint64_t len);
int media_store(struct media *media, uint64_t off, const void *src, uint64_t len);
/*
 * Stores 8 bytes in one piece: after a cut the old or the new value is there. @off is a multiple of
 * 8.
 */
int media_store64(struct media *media, uint64_t off, uint64_t value);
int media_flush(struct media *media, uint64_t off, uint64_t len);
int media_fence(struct media *media);
/* Flushes and fences this range alone. */
int media_persist(struct media *media, uint64_t off, uint64_t len);
/* Writes zeroes, past the cache; durable with the next fence. */
int media_zero(struct media *media, uint64_t off, uint64_t len);

/*
 * Returns 0, or the -errno with which the kernel failed to write back what was stored. Nobody knows
 * what was lost then, and no fence succeeds any more.
 */
int media_broken(const struct media *media);

/*
 * Takes one range of this media that has failed since the last call, as the kernel reported it:
 * touched or not, as large as it said (2 MiB for a huge page). false: there is none. Nothing wakes
 * the caller, who must call it from time to time.
 */
bool media_take_poison(struct media *media, uint64_t *off, uint64_t *len);

/*
 * Gives the space behind a range back, so that it reads as zeroes: a hole in a file, durable on
 * return. -EOPNOTSUPP: the device cannot (device-dax); use media_zero().
 */
int media_punch(struct media *media, uint64_t off, uint64_t len);
/*
 * Makes sure that stores to the range cannot fail for lack of space: -ENOSPC, -EDQUOT. On
 * device-dax it does nothing. -EIO: a client truncated the file, which does not grow back by
 * itself.
 */
int media_allocate(struct media *media, uint64_t off, uint64_t len);

#endif
