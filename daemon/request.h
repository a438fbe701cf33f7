/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request: one message of a client, from its bytes to the bytes of the reply. All items are carried out, then what they
 * changed is made durable at once, then there is a reply: never before.
 *
 * The only place that turns -errno into what a client is told.
 */
#ifndef PMEMARENA_REQUEST_H
#define PMEMARENA_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/client.h"
#include "daemon/service.h"
#include "lib/wire.h"

/* Room for one message at a time: one of it for the whole daemon. */
struct desk {
	uint8_t in[WIRE_MAX] __attribute__((aligned(8)));
	uint8_t out[WIRE_MAX] __attribute__((aligned(8)));
	uint8_t spare[WIRE_MAX] __attribute__((aligned(8)));
	struct wire_extent extents[ALLOC_MAX_EXTENTS];
};

struct job {
	struct service *service;        /* borrowed, as all pointers here */
	struct client  *client;
	struct desk    *desk;
	const uint8_t  *message;        /* the request; in desk.in, or where a waiting one is kept */
	size_t          length;
	uint32_t        slice;          /* so many items at a time; 0: all at once */
	bool            must_not_wait;  /* for space: -ENOSPC then */
	bool            waits_for_leases;       /* that others were asked to give back: not for ever */
	bool            is_begun;       /* request_run() has seen it; sets this and what follows */
	uint16_t        opcode;
	uint64_t        tag;
	uint64_t        first_tag;      /* under which it was sent first */
	bool            is_repeat;
	uint32_t        nr_done;        /* items that have their result in the reply */
	bool            is_sliced;      /* the others are in rest */
	struct wire_reader rest;
	struct wire_writer reply;       /* in desk.out, or where it was begun before; complete when request_run() returned 0 */
	uint64_t        touched[(SERVICE_MAX_ARENAS + 63) / 64];        /* arenas with something staged, or settled for this reply */
	int             fds[2];         /* to go with the reply; the caller closes them */
	int             nr_fds;
};

/*
 * 0: the reply is whole. 1: a slice of it is done and durable; run it again for the next one. -EAGAIN: an item waits for space; run it again with the reply's bytes so far
 * back in desk.out when service_collect() was true. -EPROTO: the client does not keep the protocol; nothing was done.
 */
int request_run(struct job *job);
/* Events of the arenas that the job touched: once the reply is on its way. */
void request_tell(const struct job *job);

/* One WIRE_EVENT message of those events that @client listens for. Returns its length, or 0: none. @nr_told: how many. */
size_t request_encode_events(uint8_t *buf, size_t *nr_told, const struct client *client, uint32_t arena,
			     const struct arena_event *events, size_t nr);
size_t request_encode_lost(uint8_t *buf);

/* A description of the arena for WELCOME and ATTACHED. */
void request_describe_arena(struct wire_arena *out, const struct service *service, uint32_t index);

#endif
