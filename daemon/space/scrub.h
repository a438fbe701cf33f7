/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub: worker threads that make freed ranges read as zeroes. It knows media and ranges; what a
 * finished range means, the one who asked knows. The loop thread collects results when the
 * scrubber's descriptor is readable.
 */
#ifndef PMEMARENA_SCRUB_H
#define PMEMARENA_SCRUB_H

#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

#include "daemon/media/media.h"

struct scrub_job {
	STAILQ_ENTRY(scrub_job) link;   /* on scrubber.todo or .done */
	struct media *media;            /* borrowed; outlives the job */
	uint64_t off, len;              /* bytes of the media */
	int      result;                /* 0; -errno: the range is not known to be zero */
	bool     keeps_blocks;          /* of a file: write zeroes and do not punch a hole */
	void    *owner;                 /* who asked: the handle for scrubber_cancel() */
	uint64_t arg;
};

struct scrubber;

/*
 * Starts @nr_threads workers. 0: a job is done inside scrubber_submit(), as tests want it. @rate
 * limits how many bytes a second are written; 0: no limit. Holes are made at any rate. -ENOMEM,
 * errors of eventfd() and pthread_create().
 */
int scrubber_new(struct scrubber **out, unsigned nr_threads, uint64_t rate);
/* Stops the jobs under way at their next piece and drops the others. NULL is fine. */
void scrubber_free(struct scrubber *scrubber);
void scrubber_set_rate(struct scrubber *scrubber, uint64_t rate);
/* An eventfd, readable while a job is finished and not collected. */
int scrubber_fd(const struct scrubber *scrubber);

/* The job stays the caller's, who must not touch it until it is collected. */
void scrubber_submit(struct scrubber *scrubber, struct scrub_job *job);
/* Returns a finished job; NULL: there is none. */
struct scrub_job *scrubber_collect(struct scrubber *scrubber);
/*
 * The scrubber forgets all jobs of @owner: those that wait and those that are finished. It stops
 * those under way at their next piece and waits for that.
 */
void scrubber_cancel(struct scrubber *scrubber, const void *owner);

#endif
