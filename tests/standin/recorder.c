/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media.h over an image, with a log. One mutex around every operation gives the log its order;
 * thread numbers are given out at a thread's first operation.
 */
#include <config.h>

#include "tests/standin/recorder.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_POISON 16
#define NEVER      UINT64_MAX

struct poison {
	unsigned device;
	uint64_t off, len;
};

struct recorder {
	pthread_mutex_t lock;
	enum media_granularity granularity;
	struct image *base, *now;       /* owned */
	struct recorder_entry *log;     /* owned, with the bytes of its stores */
	size_t nr, room;
	uint64_t counts[RECORDER_OPS];
	unsigned nr_media;              /* open ones */

	uint64_t until_failure;         /* operations that still work; NEVER */
	sigjmp_buf *env;                /* borrowed; NULL: fail with -EIO */
	bool failed;
	enum recorder_op refused_op, forgotten_op;
	uint64_t until_refused, until_forgotten;
	int refused_err;
	struct poison poison[MAX_POISON];
	unsigned nr_poison;
	struct poison notices[MAX_POISON];
	unsigned nr_notices;
};

struct media {
	struct recorder *rec;           /* borrowed */
	unsigned device;
	uint64_t off, len;
	bool is_file, writable;
};

static struct recorder *current;
static unsigned nr_threads;
static __thread int thread_number = -1, thread_override = -1;

static void *must(void *p)
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
}

struct recorder *recorder_new(void)
{
	struct recorder *rec = must(calloc(1, sizeof(*rec)));

	if (current)
		errx(2, "there is a recorder already");
	pthread_mutex_init(&rec->lock, NULL);
	rec->granularity = MEDIA_CACHE_LINE;
	rec->base = image_new();
	rec->now = image_new();
	forget_trouble(rec);
	nr_threads = 0;
	thread_number = thread_override = -1;
	return current = rec;
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
	current = NULL;
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
		rec->log = must(reallocarray(rec->log, rec->room, sizeof(*rec->log)));
	}
	if (bytes) {
		entry.bytes = must(malloc(entry.len ? entry.len : 1));
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
static int consult(struct recorder *rec, enum recorder_op op, unsigned device, uint64_t off,
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
static int change(struct media *media, enum recorder_op op, uint64_t off, const void *src,
		  uint64_t len)
{
	struct recorder *rec = media->rec;
	struct recorder_entry entry = {
		.op = op, .device = media->device, .off = media->off + off, .len = len
	};
	int r;

	pthread_mutex_lock(&rec->lock);
	r = consult(rec, op, entry.device, entry.off, len);
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

const char *media_granularity_name(enum media_granularity granularity)
{
	return granularity == MEDIA_BYTE	 ? "byte"
	       : granularity == MEDIA_CACHE_LINE ? "cache-line"
						 : "page";
}

static int check_open(const struct device_info *info, uint64_t off, uint64_t len, struct why *why)
{
	if (!len || off % info->align || len % info->align)
		return why_set(why, -EINVAL, "%s: range is not aligned", info->path);
	if (off > info->size || len > info->size - off)
		return why_set(why, -EINVAL, "%s: range ends beyond the device", info->path);
	return 0;
}

int media_open(struct media **out, struct device *device, uint64_t off, uint64_t len,
	       struct why *why)
{
	const struct device_info *info = device_info(device);
	struct recorder *rec = current;
	struct media *media;
	int r, flags;

	if (!rec)
		errx(2, "media_open() without a recorder");
	r = check_open(info, off, len, why);
	if (r < 0)
		return r;
	flags = fcntl(device_fd(device), F_GETFL);
	media = must(calloc(1, sizeof(*media)));
	pthread_mutex_lock(&rec->lock);
	*media = (struct media){
		.rec = rec,
		.device = image_device(rec->now, info->path, info->size),
		.off = off,
		.len = len,
		.is_file = info->kind == DEVICE_FILE,
		.writable = (flags & O_ACCMODE) == O_RDWR,
	};
	image_device(rec->base, info->path, info->size);
	rec->nr_media++;
	pthread_mutex_unlock(&rec->lock);
	*out = media;
	return 0;
}

void media_close(struct media *media)
{
	if (!media)
		return;
	media->rec->nr_media--;
	free(media);
}

uint64_t media_len(const struct media *media)
{
	return media->len;
}

enum media_granularity media_granularity(const struct media *media)
{
	return media->rec->granularity;
}

static int check_read(const struct media *media, uint64_t off, uint64_t len)
{
	return off > media->len || len > media->len - off ? -EINVAL : 0;
}

static int check_write(const struct media *media, uint64_t off, uint64_t len)
{
	int r = check_read(media, off, len);

	return r == 0 && !media->writable ? -EROFS : r;
}

int media_read(struct media *media, void *dst, uint64_t off, uint64_t len)
{
	struct recorder *rec = media->rec;
	int r = check_read(media, off, len);

	if (r < 0)
		return r;
	pthread_mutex_lock(&rec->lock);
	r = consult(rec, RECORDER_READ, media->device, media->off + off, len);
	if (r == 0)
		image_read(rec->now, media->device, media->off + off, dst, len);
	pthread_mutex_unlock(&rec->lock);
	return r;
}

void media_invalidate(struct media *media, uint64_t off, uint64_t len)
{
	(void)media;
	(void)off;
	(void)len;
}

int media_peek(struct media *media, void *dst, uint64_t off, uint64_t len)
{
	return media_read(media, dst, off, len);
}

int media_store(struct media *media, uint64_t off, const void *src, uint64_t len)
{
	int r = check_write(media, off, len);

	return r < 0 ? r : change(media, RECORDER_STORE, off, src, len);
}

int media_store64(struct media *media, uint64_t off, uint64_t value)
{
	int r = check_write(media, off, sizeof(value));

	if (r < 0)
		return r;
	return off % sizeof(value) ? -EINVAL
				   : change(media, RECORDER_STORE, off, &value, sizeof(value));
}

int media_flush(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	return r < 0 || !len ? r : change(media, RECORDER_FLUSH, off, NULL, len);
}

int media_fence(struct media *media)
{
	return change(media, RECORDER_FENCE, 0, NULL, 0);
}

/* Nothing is written back: what fails here fails at once. */
int media_broken(const struct media *media)
{
	return 0;
}

int media_persist(struct media *media, uint64_t off, uint64_t len)
{
	int r = media_flush(media, off, len);

	return r < 0 ? r : media_fence(media);
}

int media_zero(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	return r < 0 || !len ? r : change(media, RECORDER_ZERO, off, NULL, len);
}

int media_punch(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	if (r < 0 || !len)
		return r;
	return media->is_file ? change(media, RECORDER_PUNCH, off, NULL, len) : -EOPNOTSUPP;
}

int media_allocate(struct media *media, uint64_t off, uint64_t len)
{
	struct recorder *rec = media->rec;
	int r = check_write(media, off, len);

	if (r < 0 || !len || !media->is_file)
		return r;
	pthread_mutex_lock(&rec->lock);
	r = consult(rec, RECORDER_ALLOCATE, media->device, media->off + off, len);
	pthread_mutex_unlock(&rec->lock);
	return r;
}

bool media_take_poison(struct media *media, uint64_t *off, uint64_t *len)
{
	struct recorder *rec = media->rec;

	for (unsigned i = 0; i < rec->nr_notices; i++) {
		struct poison notice = rec->notices[i];

		if (notice.device != media->device || notice.off < media->off ||
		    notice.off - media->off >= media->len)
			continue;
		rec->notices[i] = rec->notices[--rec->nr_notices];
		*off = notice.off - media->off;
		*len = notice.len;
		return true;
	}
	return false;
}
