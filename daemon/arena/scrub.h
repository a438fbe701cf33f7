/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub: worker threads that make freed ranges read as zeroes. Knows media and ranges; what a finished range means is for
 * the one who asked: results are collected by the loop thread when the scrubber's descriptor is readable.
 */
#ifndef PMEMARENA_SCRUB_H
#define PMEMARENA_SCRUB_H

#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

#include "daemon/media/media.h"

struct scrub_job {
	STAILQ_ENTRY(scrub_job) link;   /* scrubber.todo or .done */
	struct media *media;            /* borrowed; outlives the job */
	uint64_t off, len;              /* bytes of the media */
	int      result;                /* 0, or -errno: not known to be zero */
	bool     keeps_blocks;          /* of a file: write zeroes, do not punch a hole */
	void    *owner;                 /* whoever asked */
	uint64_t arg;
};

struct scrubber;

/*
 * @nr_threads 0: jobs are done inside scrubber_submit(), at any rate, as tests want it. @rate: bytes a second that are written, 0:
 * unlimited; holes are made at any rate. -ENOMEM, errors of eventfd() and pthread_create().
 */
int scrubber_new(struct scrubber **out, unsigned nr_threads, uint64_t rate);
void scrubber_free(struct scrubber *scrubber);          /* cuts the jobs under way short and drops the others; NULL is fine */
void scrubber_set_rate(struct scrubber *scrubber, uint64_t rate);
int scrubber_fd(const struct scrubber *scrubber);       /* eventfd: readable when something is done */

void scrubber_submit(struct scrubber *scrubber, struct scrub_job *job);         /* the job stays the caller's, untouched until collected */
struct scrub_job *scrubber_collect(struct scrubber *scrubber);                  /* one that is done, or NULL */
/*
 * Afterwards the scrubber knows no job of @owner any more: what waits or is done and not collected is forgotten, what is under way
 * is stopped at its next piece and waited for.
 */
void scrubber_cancel(struct scrubber *scrubber, const void *owner);

#endif
