/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub_media: a media that remembers which thread zeroed what and whether that thread fenced it,
 * can refuse holes, fail, and hold its callers at a gate. For a program without daemon/media.
 */
#ifndef PMEMARENA_TESTS_SCRUB_MEDIA_H
#define PMEMARENA_TESTS_SCRUB_MEDIA_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define KIB(n)    ((uint64_t)(n) << 10)
#define MIB(n)    ((uint64_t)(n) << 20)
#define BLOCK     KIB(4)
#define NR_BLOCKS 16384                 /* 64 MiB */

enum block { DIRTY, ZEROED, DURABLE };

struct media {
	pthread_mutex_t mutex;
	pthread_cond_t  moved;          /* entered or admitted changed */
	enum block block[NR_BLOCKS];
	pthread_t  zeroed_by[NR_BLOCKS];
	bool       can_punch;
	int        punch_error, persist_error;
	uint64_t   zero_fails_at;       /* this offset cannot be zeroed; UINT64_MAX: none */
	unsigned   entered;             /* calls to media_zero() so far */
	unsigned   admitted;            /* as many may go on */
	uint64_t   longest;             /* piece */
	sigset_t   mask;                /* of the last thread that zeroed */
};

struct media *new_media(bool can_punch);
void free_media(struct media *media);
/* @nr calls to media_zero() in all may go on. */
void admit(struct media *media, unsigned nr);
/* Until there were @nr of them. */
void wait_entered(struct media *media, unsigned nr);
bool is_durable(struct media *media, uint64_t off, uint64_t len);

#endif
