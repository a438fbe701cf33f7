/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request: checks a message, runs its items, makes what they changed durable (settles it) and
 * writes the reply. It knows no socket: whether the reply can be sent is for session_reply.c.
 */
#include <config.h>

#include "daemon/serve/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/arena/arena_find.h"
#include "daemon/serve/listing.h"
#include "daemon/log.h"
#include "daemon/serve/operation.h"
#include "daemon/serve/request_arena.h"
#include "daemon/serve/request_bundle.h"
#include "daemon/serve/request_result.h"

/* the longest that a message may wait for a name: a day */
#define WAIT_MAX_MS UINT64_C(86400000)

/* ---- making changes durable ---- */

/* Remembers that @job changed something in @arena, which must be made durable before the reply. */
static void touch(struct job *job, uint32_t arena)
{
	if (arena < job->service->nr_arenas && job->service->arenas[arena].arena)
		job->touched[arena / 64] |= UINT64_C(1) << (arena % 64);
}

static bool is_touched(const struct job *job, uint32_t arena)
{
	/* An arena that was removed since, between two parts of the message, is durable already. */
	return arena < job->service->nr_arenas && job->service->arenas[arena].arena &&
	       job->touched[arena / 64] >> (arena % 64) & 1;
}

/*
 * Makes durable what @job changed. Returns the number of arenas that went offline instead: nothing
 * of this message is known to be durable there.
 */
static int settle(struct job *job)
{
	int nr_failed = 0;

	for (uint32_t i = 0; i < job->service->nr_arenas; i++) {
		if (is_touched(job, i) && service_settle(job->service, i) < 0)
			nr_failed++;
	}
	return nr_failed;
}

/*
 * After a failed settle(): the reply says success already. Writes it again, with -EIO for each item
 * in an arena that went offline, since nobody knows what became of it.
 */
static void take_back(struct job *job)
{
	const struct wire_extent *extents;
	struct wire_result result;
	struct wire_reader reader;
	const char *text, *reason;
	size_t length = wire_end(&job->reply);

	memcpy(job->desk->spare, job->reply.buf, length);
	wire_begin(&job->reply, job->reply.buf, job->opcode | WIRE_REPLY, job->tag);
	if (wire_open(&reader, job->desk->spare, length) < 0)
		return;
	while (wire_next_result(&reader, &result, &extents, &text) > 0) {
		const char *attributes = text + result.text_len;
		size_t text_len = result.text_len;

		if (result.result == 0 && is_touched(job, result.arena) &&
		    arena_state(job->service->arenas[result.arena].arena, &reason) ==
			    ARENA_OFFLINE) {
			result = (struct wire_result){ .result = -EIO,
						       .arena = result.arena,
						       .slot = result.slot,
						       .id = result.id };
			text = "the arena went offline: what became of this is not known";
			text_len = strlen(text);
		}
		text_len = wire_fit_result(&job->reply, &result, text_len, reader.left);
		for (uint32_t i = 0; i < result.nr_inline; i++)
			job->desk->extents[i] = wire_extent_at(extents, i);
		wire_add_result_with(&job->reply, &result, job->desk->extents, text, text_len,
				     attributes);
	}
}

/* Ends the message: its changes become durable, and only then is the reply true. */
static void finish(struct job *job)
{
	if (settle(job) > 0)
		take_back(job);
	wire_end(&job->reply);
}

/* ---- messages ---- */

/*
 * Looks at the whole message before any item is carried out: a message that is broken at its end
 * must have changed nothing. Returns 0, or -EPROTO.
 */
static int validate(const struct wire_reader *reader)
{
	struct wire_reader look = *reader;
	struct wire_request item;
	const char *name;
	int r;

	do {
		r = wire_next_request(&look, &item, &name);
	} while (r > 0);
	return r;
}

/*
 * Stores the tag in the session's seat (its entry in the roster, which outlives the daemon) before
 * anything is done: after a crash the client is told up to which of its requests something may have
 * happened.
 */
static void note_tag(const struct job *job)
{
	struct seat *seat = job->client->seat;

	if (operation_changes(job->opcode) && job->tag > seat->last_tag)
		__atomic_store_n(&seat->last_tag, job->tag, __ATOMIC_RELEASE);
}

/*
 * Stops @job after a slice. What it did is made durable first: other clients run now, see it, and
 * may build on it.
 */
static enum outcome interrupt(struct job *job, const struct wire_reader *reader)
{
	settle(job);
	job->rest = *reader;
	job->is_sliced = true;
	return JOB_SLICED;
}

/* Is the time of an item that waits for a name over? Its first attempt begins the time. */
static bool is_too_late(struct job *job, const struct operation *op)
{
	uint64_t now = service_now_ns();
	uint64_t wait_ms = op->item.arg < WAIT_MAX_MS ? op->item.arg : WAIT_MAX_MS;

	if (!job->deadline_ns)
		job->deadline_ns = now + wait_ms * 1000000;
	return now >= job->deadline_ns;
}

/*
 * Decides about an item that cannot be carried out yet (@r as of operation_run()): it waits, or it
 * is refused with the -errno that is returned.
 */
static int refuse_to_wait(struct job *job, const struct operation *op, int r)
{
	if (r == -EALREADY && is_too_late(job, op))
		return -ETIMEDOUT;
	if (!job->must_not_wait)
		return r;
	if (r == -EAGAIN)
		return why_set(op->why, -ENOSPC,
			       "there is room, but it is still being scrubbed; ask again");
	if (r == -EALREADY)
		return why_set(op->why, -EMFILE,
			       "this session or this user waits for as many names as it may, or "
			       "the daemon has no memory for one more; ask again");
	return r == -EINPROGRESS ? -ENOSPC : r;
}

/* The outcome for an item that waits; JOB_DONE: it does not. */
static enum outcome waits_for(int r)
{
	switch (r) {
	case -EAGAIN:
		return JOB_WAITS_FOR_SPACE;
	case -EINPROGRESS:
		return JOB_WAITS_FOR_LEASES;
	case -EALREADY:
		return JOB_WAITS_FOR_NAME;
	default:
		return JOB_DONE;
	}
}

/* A message whose items are done all or none. */
static enum outcome run_bundle(struct job *job, const struct wire_reader *reader)
{
	uint32_t arena;
	int r;

	note_tag(job);
	r = request_run_bundle(job, reader, &arena);
	touch(job, arena);
	if (r < 0) {
		settle(job);
		return waits_for(r);
	}
	finish(job);
	return JOB_DONE;
}

static enum outcome run_items(struct job *job, struct wire_reader *reader)
{
	struct why why;
	struct operation op = { .service = job->service,
				.client = job->client,
				.opcode = job->opcode,
				.is_repeat = job->is_repeat,
				.why = &why };
	uint32_t end = job->slice ? job->nr_done + job->slice : UINT32_MAX;
	bool changes = operation_changes(job->opcode);
	int r;

	note_tag(job);
	for (uint32_t i = job->is_sliced ? job->nr_done
	     : 0; wire_next_request(reader, &op.item, &op.name) > 0; i++) {
		/* its result is in the reply since an earlier run */
		if (i < job->nr_done)
			continue;
		why.text[0] = '\0';
		op.deed = client_deed(job->client, job->first_tag, i);
		r = operation_run(&op);
		if (changes)
			touch(job, op.item.arena);
		r = refuse_to_wait(job, &op, r);
		if (waits_for(r) != JOB_DONE) {
			/*
			 * The items that are done are made durable now; only their results wait
			 * with the reply. The next run skips them.
			 */
			settle(job);
			job->is_sliced = false;
			return waits_for(r);
		}
		if (r < 0)
			result_refusal(job, &op.item, r, why.text, reader->left);
		else
			result_success(job, &op, reader->left);
		if (++job->nr_done == end && reader->left > 0)
			return interrupt(job, reader);
	}
	finish(job);
	return JOB_DONE;
}

static enum outcome run_list(struct job *job, struct wire_reader *reader)
{
	struct wire_request item;
	struct arena *arena;
	struct why why = { "" };
	const char *prefix;
	int r;

	wire_next_request(reader, &item, &prefix);
	arena = client_arena(&r, job->client, job->service, item.arena,
			     operation_needs(job->opcode, item.flags), &why);
	if (arena)
		r = listing_run(&job->reply, job->client, arena, &item, prefix, &why);
	if (r < 0)
		result_refusal(job, &item, r, why.text, 0);
	wire_end(&job->reply);
	return JOB_DONE;
}

/* Subscribes the session to an arena's events whose names begin with @prefix, or ends that. */
static int subscribe(struct job *job, const struct wire_request *item, const char *prefix,
		     struct why *why)
{
	int r;

	if (item->flags & ~wire_known_flags(job->opcode))
		return why_set(why, -EINVAL, "subscribe does not know flags 0x%" PRIx32,
			       item->flags);
	r = client_check(job->client, job->service, item->arena,
			 operation_needs(job->opcode, item->flags), why);
	if (r < 0)
		return r;
	if (item->flags & WIRE_UNSUBSCRIBE) {
		client_unsubscribe(job->client, item->arena);
		return 0;
	}
	r = client_subscribe(job->client, job->service, item->arena, prefix,
			     (uint8_t)item->name_len, item->flags & WIRE_RECALLS);
	return r < 0 ? why_set(why, r, "the daemon is out of memory") : 0;
}

static enum outcome run_subscribe(struct job *job, struct wire_reader *reader)
{
	struct wire_request item;
	struct why why = { "" };
	const char *prefix;
	int r;

	wire_next_request(reader, &item, &prefix);
	r = subscribe(job, &item, prefix, &why);
	if (r < 0) {
		result_refusal(job, &item, r, why.text, 0);
	} else {
		struct wire_result result = { .arena = item.arena };

		wire_add_result(&job->reply, &result, NULL, NULL, 0);
	}
	wire_end(&job->reply);
	return JOB_DONE;
}

/* ---- one message ---- */

enum outcome request_run(struct job *job)
{
	struct counters *counters = &job->service->counters;
	struct wire_reader reader;
	int r;

	if (job->is_sliced)
		return run_items(job, &job->rest);
	r = wire_open(&reader, job->message, job->length);
	/* The client sent HELLO a second time, or a message that only the daemon may send. */
	if (r == 0 && (reader.header.opcode >= WIRE_OPCODES || reader.header.opcode == WIRE_HELLO))
		r = -EPROTO;
	if (r == 0)
		r = validate(&reader);
	if (r == 0 && job->stranger_fd >= 0 && reader.header.opcode != WIRE_WINDOW)
		r = -EPROTO;
	if (r < 0)
		return JOB_BROKEN;
	if (!job->is_begun) {
		job->is_begun = true;
		job->opcode = reader.header.opcode;
		job->tag = reader.header.tag;
		job->is_repeat = reader.header.repeats != 0;
		job->first_tag = job->is_repeat ? reader.header.repeats : job->tag;
		counters->messages++;
		counters->items[job->opcode] += reader.header.count;
		wire_begin(&job->reply, job->desk->out, job->opcode | WIRE_REPLY, job->tag);
	}
	switch (job->opcode) {
	case WIRE_ATTACH:
		return request_run_attach(job, &reader);
	case WIRE_WINDOW:
		return request_run_window(job, &reader);
	case WIRE_USAGE:
		return request_run_usage(job, &reader);
	case WIRE_SURVEY:
		return request_run_survey(job);
	case WIRE_LIST:
		return run_list(job, &reader);
	case WIRE_SUBSCRIBE:
		return run_subscribe(job, &reader);
	default:
		return request_is_bundle(job->opcode, &reader) ? run_bundle(job, &reader)
							       : run_items(job, &reader);
	}
}

void request_tell(const struct job *job)
{
	for (uint32_t i = 0; i < job->service->nr_arenas; i++) {
		if (is_touched(job, i))
			service_tell(job->service, i);
	}
}
