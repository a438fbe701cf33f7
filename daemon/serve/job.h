/* SPDX-License-Identifier: BSD-3-Clause */
/* job: one message that is carried out, and its reply, in one go or in several. */
#ifndef PMEMARENA_JOB_H
#define PMEMARENA_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/serve/client.h"
#include "daemon/service/service.h"
#include "lib/wire/wire.h"

/*
 * The buffers for one reply, and one more message. The daemon has one desk. What is received lies
 * in the inbox (daemon/service/inbox.h).
 */
struct desk {
	uint8_t out[WIRE_MAX] __attribute__((aligned(8)));
	uint8_t spare[WIRE_MAX] __attribute__((aligned(8)));
	struct wire_extent extents[ALLOC_MAX_EXTENTS];
};

struct job {
	struct service *service;        /* borrowed, like all pointers here */
	struct client  *client;
	struct desk    *desk;
	/* The request: in the inbox, or in the copy of a job that was put aside. */
	const uint8_t  *message;
	size_t          length;
	/* request_run() returns after this many items; 0: it runs to the end */
	uint32_t        slice;
	/* an item that finds no clean space is refused with -ENOSPC, instead of waiting */
	bool            must_not_wait;
	/* when a WAIT is refused; 0: it is not known yet */
	uint64_t        deadline_ns;
	/* it waited for space before: statistics count each job once */
	bool            has_waited;
	/* the job lies in a struct slice, with the bytes of its message */
	bool            is_kept;
	/* request_run() set the members that follow; it reads them next time */
	bool            is_begun;
	uint16_t        opcode;
	uint64_t        tag;
	/* the tag of the message when it was sent for the first time */
	uint64_t        first_tag;
	bool            is_repeat;
	uint32_t        nr_done;        /* items whose result is in the reply */
	bool            is_sliced;      /* `rest` holds the items that are not done */
	struct wire_reader rest;
	/*
	 * The reply so far: in desk.out, or in the copy of a job that was put aside. Complete once
	 * the outcome is JOB_DONE.
	 */
	struct wire_writer reply;
	/* A bit for each arena in which an item of this message changed something. */
	uint64_t        touched[(SERVICE_MAX_ARENAS + 63) / 64];
	/*
	 * Descriptors that go with the reply. The job owns them until the reply is sent; whoever
	 * sends it closes them.
	 */
	int             fds[4];
	int             nr_fds;
	/* The descriptor that came with the message, which the caller owns; -1: none came. */
	int             stranger_fd;
};

enum outcome {
	JOB_DONE,               /* The reply is complete: send it. */
	/* Some items are done and durable: run it again for the next ones. */
	JOB_SLICED,
	/*
	 * An item needs space that is being scrubbed: run it again when sessions_retry() is called.
	 */
	JOB_WAITS_FOR_SPACE,
	/*
	 * An item needs space that other clients were asked to give back: run it again as above.
	 * For these two the caller puts the bytes of the reply so far back into desk.out first.
	 */
	JOB_WAITS_FOR_LEASES,
	/* A name is not published yet: run it again when it may be, and now and then. */
	JOB_WAITS_FOR_NAME,
	/* The client does not keep the protocol. Nothing was done, and there is no reply. */
	JOB_BROKEN,
};

#endif
