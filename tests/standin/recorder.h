/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder: stands in for daemon/media/media.c at link time. It is a media over memory (an image)
 * that writes down every store, zeroing, flush, fence and punch in the order in which they
 * happened, and by which thread, so that cut.h can rebuild every state that a power cut may leave.
 * It can also refuse what a test wants refused: from some operation on, the n-th of a kind, or any
 * access to a poisoned range.
 *
 * One recorder lives at a time; media_open() finds the bytes of a device by its path in the
 * recorder's image, or adds it as zeroes. All functions of media.h may be called from any thread,
 * as with the real one.
 *
 *         struct recorder *rec = recorder_new();
 *         run(...);                       // opens fake devices, media on them, works, closes
 *         recorder_mark(rec, 17);         // 'operation 17 was acknowledged' in the log
 *         ... look at states with cut.h ...
 *         recorder_load(rec, state);      // comes up again with these bytes; a new log
 *         recover(...);
 *         recorder_free(rec);
 */
#ifndef PMEMARENA_RECORDER_H
#define PMEMARENA_RECORDER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/media/media.h"
#include "tests/standin/image.h"

/* RECORDER_ALLOCATE and RECORDER_READ can be refused, but change nothing and are not in the log. */
enum recorder_op {
	RECORDER_STORE,                 /* media_store() and media_store64() */
	/* non-temporal: durable at the thread's next fence without a flush */
	RECORDER_ZERO,
	RECORDER_FLUSH,
	RECORDER_FENCE,
	RECORDER_PUNCH,                 /* begun: any part of it may be a hole */
	RECORDER_PUNCHED,               /* follows the PUNCH of its thread: all of it durably is */
	RECORDER_MARK,
	RECORDER_ALLOCATE,
	RECORDER_READ,
	RECORDER_OPS
};

struct recorder_entry {
	enum recorder_op op;
	unsigned thread;                /* 0 for the first thread that was seen, and so on */
	unsigned device;                /* of the image */
	uint64_t off, len;              /* on the device, not on the media */
	uint64_t value;                 /* of a mark */
	unsigned char *bytes;           /* of a store; the recorder's */
};

struct recorder;

struct recorder *recorder_new(void);
void recorder_free(struct recorder *rec);       /* after all media were closed; NULL is fine */

/*
 * What media_granularity() answers from now on; MEDIA_CACHE_LINE at first. The log is the same for
 * all.
 */
void recorder_set_granularity(struct recorder *rec, enum media_granularity granularity);

/* What the processor sees now; borrowed until the next operation. */
struct image *recorder_image(struct recorder *rec);
/*
 * Start over from a copy of @image: empty log, nothing poisoned, nothing refused. No media may be
 * open.
 */
void recorder_load(struct recorder *rec, const struct image *image);

size_t recorder_nr(const struct recorder *rec);
const struct recorder_entry *recorder_at(const struct recorder *rec, size_t i);
/* The image before the first entry. Devices that were opened later are in it, too. */
const struct image *recorder_base(const struct recorder *rec);
/* How often something was done since the log began, counting what was refused. */
uint64_t recorder_count(const struct recorder *rec, enum recorder_op op);

/* A line of the test's own between the operations. */
void recorder_mark(struct recorder *rec, uint64_t value);
/*
 * Whose operations the calling thread's are from now on: a client that writes through its own
 * mapping. -1: its own again.
 */
void recorder_be_thread(int thread);

/*
 * From the @n-th operation of the log on (0: the next one, counted from now) every access answers
 * -EIO and does nothing.
 */
void recorder_fail_from(struct recorder *rec, uint64_t n);
/*
 * At that operation, jump: the power goes. What was under way is lost, as is its memory. Of the
 * only thread.
 */
void recorder_jump_at(struct recorder *rec, uint64_t n, sigjmp_buf *env);
/* True once one of both has struck. */
bool recorder_has_failed(const struct recorder *rec);
/*
 * Only the program was killed, the machine runs on: every access is answered again, by those media
 * that are opened now. The log goes on.
 */
void recorder_revive(struct recorder *rec);

/*
 * The @n-th of its kind from now on (0: the next) is refused with @err, once. One at a time; @err 0
 * takes it back.
 */
void recorder_refuse(struct recorder *rec, enum recorder_op op, uint64_t n, int err);
/*
 * From now on media_broken() says @err, on all media: what was written back got lost. Nothing is
 * refused for that. 0, and recorder_load(), take it back.
 */
void recorder_break(struct recorder *rec, int err);
/*
 * Planted bug: the @n-th of its kind from now on takes place for the program, but not for the
 * device, as if the code had forgotten it (flush, fence). UINT64_MAX: none; RECORDER_ALL: each.
 */
#define RECORDER_ALL (UINT64_MAX - 1)
void recorder_forget(struct recorder *rec, enum recorder_op op, uint64_t n);

/*
 * Every access that touches the range answers -EIO, until it is cured. -ENOENT: no such device; at
 * most 16 ranges.
 */
int recorder_poison(struct recorder *rec, const char *path, uint64_t off, uint64_t len);
void recorder_cure(struct recorder *rec);
/*
 * The kernel tells that a range of a device failed: media_take_poison() answers with it, once. As
 * for poison.
 */
int recorder_notify(struct recorder *rec, const char *path, uint64_t off, uint64_t len);

#endif
