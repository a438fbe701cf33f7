/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder_internal: what the log with its troubles (recorder.c) and the media over it
 * (recorder_media.c) share.
 */
#ifndef PMEMARENA_RECORDER_INTERNAL_H
#define PMEMARENA_RECORDER_INTERNAL_H

#include <pthread.h>

#include "tests/standin/recorder.h"

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
	int broken;                     /* what media_broken() says */
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

/* The one that there is; NULL: none. */
extern struct recorder *recorder_current;

/* @p; without memory the program ends. */
void *recorder_must(void *p);
/* Does the device answer to this operation? Called with the lock; a jump leaves without it. */
int recorder_consult(struct recorder *rec, enum recorder_op op, unsigned device, uint64_t off,
		     uint64_t len);
/* A change of one range: ask for trouble, do it, write it down. */
int recorder_change(struct media *media, enum recorder_op op, uint64_t off, const void *src,
		    uint64_t len);

#endif
