/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder: the log, and the troubles that a test asks for; recorder_media.c is media.h over it.
 * One mutex around every operation gives the log its order; thread numbers are given out at a
 * thread's first operation.
 */
#include <config.h>

#include "tests/standin/recorder_internal.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct recorder *recorder_current;
static unsigned nr_threads;
static __thread int thread_number = -1, thread_override = -1;

void *recorder_must(void *p)
{
	if (!p)
		errx(2, "out of memory");
	return p;
}

static void forget_trouble(struct recorder *rec)
{
	rec->until_failure = rec->until_refused = rec->until_forgotten = NEVER;
	rec->env = NULL;
	rec->failed = false;
	rec->nr_poison = rec->nr_notices = 0;
	rec->broken = 0;
}

struct recorder *recorder_new(void)
{
	struct recorder *rec = recorder_must(calloc(1, sizeof(*rec)));

	if (recorder_current)
		errx(2, "there is a recorder already");
	pthread_mutex_init(&rec->lock, NULL);
	rec->granularity = MEDIA_CACHE_LINE;
	rec->base = image_new();
	rec->now = image_new();
	forget_trouble(rec);
	nr_threads = 0;
	thread_number = thread_override = -1;
	return recorder_current = rec;
}

static void empty_log(struct recorder *rec)
{
	for (size_t i = 0; i < rec->nr; i++)
		free(rec->log[i].bytes);
	rec->nr = 0;
	memset(rec->counts, 0, sizeof(rec->counts));
}

void recorder_free(struct recorder *rec)
{
	if (!rec)
		return;
	empty_log(rec);
	free(rec->log);
	image_free(rec->base);
	image_free(rec->now);
	pthread_mutex_destroy(&rec->lock);
	free(rec);
	recorder_current = NULL;
}

void recorder_set_granularity(struct recorder *rec, enum media_granularity granularity)
{
	rec->granularity = granularity;
}

struct image *recorder_image(struct recorder *rec)
{
	return rec->now;
}

void recorder_load(struct recorder *rec, const struct image *image)
{
	struct image *base = image_copy(image), *now = image_copy(image);

	empty_log(rec);
	image_free(rec->base);
	image_free(rec->now);
	rec->base = base;
	rec->now = now;
	forget_trouble(rec);
}

size_t recorder_nr(const struct recorder *rec)
{
	return rec->nr;
}

const struct recorder_entry *recorder_at(const struct recorder *rec, size_t i)
{
	return &rec->log[i];
}

const struct image *recorder_base(const struct recorder *rec)
{
	return rec->base;
}

uint64_t recorder_count(const struct recorder *rec, enum recorder_op op)
{
	return rec->counts[op];
}

static unsigned this_thread(void)
{
	if (thread_override >= 0)
		return (unsigned)thread_override;
	if (thread_number < 0)
		thread_number = (int)nr_threads++;
	return (unsigned)thread_number;
}

void recorder_be_thread(int thread)
{
	thread_override = thread;
}

static void append(struct recorder *rec, struct recorder_entry entry, const void *bytes)
{
	if (rec->nr == rec->room) {
		rec->room = rec->room ? rec->room * 2 : 256;
		rec->log = recorder_must(reallocarray(rec->log, rec->room, sizeof(*rec->log)));
	}
	if (bytes) {
		entry.bytes = recorder_must(malloc(entry.len ? entry.len : 1));
		memcpy(entry.bytes, bytes, entry.len);
	}
	entry.thread = this_thread();
	rec->log[rec->nr++] = entry;
}

void recorder_mark(struct recorder *rec, uint64_t value)
{
	pthread_mutex_lock(&rec->lock);
	rec->counts[RECORDER_MARK]++;
	append(rec, (struct recorder_entry){ .op = RECORDER_MARK, .value = value }, NULL);
	pthread_mutex_unlock(&rec->lock);
}

void recorder_fail_from(struct recorder *rec, uint64_t n)
{
	rec->until_failure = n;
	rec->env = NULL;
}

void recorder_jump_at(struct recorder *rec, uint64_t n, sigjmp_buf *env)
{
	rec->until_failure = n;
	rec->env = env;
}

bool recorder_has_failed(const struct recorder *rec)
{
	return rec->failed;
}

void recorder_revive(struct recorder *rec)
{
	rec->until_failure = NEVER;
	rec->env = NULL;
	rec->failed = false;
}

void recorder_refuse(struct recorder *rec, enum recorder_op op, uint64_t n, int err)
{
	rec->refused_op = op;
	rec->until_refused = err ? n : NEVER;
	rec->refused_err = err;
}

void recorder_break(struct recorder *rec, int err)
{
	rec->broken = err;
}

void recorder_forget(struct recorder *rec, enum recorder_op op, uint64_t n)
{
	rec->forgotten_op = op;
	rec->until_forgotten = n;
}

static int add_range(struct recorder *rec, struct poison *ranges, unsigned *nr, const char *path,
		     uint64_t off, uint64_t len)
{
	int device = image_find(rec->now, path);

	if (device < 0)
		return -ENOENT;
	if (*nr == MAX_POISON)
		return -ENOSPC;
	ranges[(*nr)++] = (struct poison){ (unsigned)device, off, len };
	return 0;
}

int recorder_poison(struct recorder *rec, const char *path, uint64_t off, uint64_t len)
{
	return add_range(rec, rec->poison, &rec->nr_poison, path, off, len);
}

int recorder_notify(struct recorder *rec, const char *path, uint64_t off, uint64_t len)
{
	return add_range(rec, rec->notices, &rec->nr_notices, path, off, len);
}

void recorder_cure(struct recorder *rec)
{
	rec->nr_poison = 0;
}

static bool is_poisoned(const struct recorder *rec, unsigned device, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < rec->nr_poison; i++) {
		const struct poison *p = &rec->poison[i];

		if (p->device == device && off < p->off + p->len && p->off < off + len)
			return true;
	}
	return false;
}

static bool is_counted(enum recorder_op op)
{
	return op != RECORDER_READ && op != RECORDER_ALLOCATE;
}

/* Does the device answer to this operation? Called with the lock; a jump leaves without it. */
int recorder_consult(struct recorder *rec, enum recorder_op op, unsigned device, uint64_t off,
		   uint64_t len)
{
	rec->counts[op]++;
	if (!rec->failed && rec->until_failure != NEVER && is_counted(op) &&
	    rec->until_failure-- == 0)
		rec->failed = true;
	if (rec->failed && rec->env) {
		sigjmp_buf *env = rec->env;

		rec->env = NULL;
		pthread_mutex_unlock(&rec->lock);
		siglongjmp(*env, 1);
	}
	if (rec->failed)
		return -EIO;
	if (op == rec->refused_op && rec->until_refused != NEVER && rec->until_refused-- == 0) {
		rec->until_refused = NEVER;
		return rec->refused_err;
	}
	return op != RECORDER_FENCE && is_poisoned(rec, device, off, len) ? -EIO : 0;
}

static bool is_forgotten(struct recorder *rec, enum recorder_op op)
{
	if (op != rec->forgotten_op || rec->until_forgotten == NEVER)
		return false;
	if (rec->until_forgotten == RECORDER_ALL)
		return true;
	if (rec->until_forgotten-- != 0)
		return false;
	rec->until_forgotten = NEVER;
	return true;
}

/* A change of one range: ask for trouble, do it, write it down. */
int recorder_change(struct media *media, enum recorder_op op, uint64_t off, const void *src,
		  uint64_t len)
{
	struct recorder *rec = media->rec;
	struct recorder_entry entry = {
		.op = op, .device = media->device, .off = media->off + off, .len = len
	};
	int r;

	pthread_mutex_lock(&rec->lock);
	r = recorder_consult(rec, op, entry.device, entry.off, len);
	if (r == 0) {
		if (op == RECORDER_STORE)
			image_write(rec->now, entry.device, entry.off, src, len);
		else if (op == RECORDER_ZERO || op == RECORDER_PUNCH)
			image_zero(rec->now, entry.device, entry.off, len);
		if (!is_forgotten(rec, op))
			append(rec, entry, src);
		if (op == RECORDER_PUNCH) {
			entry.op = RECORDER_PUNCHED;
			append(rec, entry, NULL);
		}
	}
	pthread_mutex_unlock(&rec->lock);
	return r;
}
