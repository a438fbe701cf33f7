/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request_bundle: a message whose items are done all or none. It is never sliced, since others
 * would see a part of it. Where an item must wait for space, all are undone, and done again later.
 */
#include <config.h>

#include "daemon/serve/request_bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/serve/operation.h"
#include "daemon/serve/request_result.h"

/* One run of the message. */
struct run {
	struct job *job;
	const struct wire_reader *reader;       /* at the first item */
	struct arena *arena;
	struct caller caller;
	struct why why;
	uint32_t culprit;                       /* the item that was refused */
};

bool request_is_bundle(uint16_t opcode, const struct wire_reader *reader)
{
	struct wire_reader look = *reader;
	struct wire_request item;
	const char *name;

	if (!(wire_known_flags(opcode) & WIRE_ALL_OR_NONE) || reader->header.count < 2)
		return false;
	while (wire_next_request(&look, &item, &name) > 0)
		if (item.flags & WIRE_ALL_OR_NONE)
			return true;
	return false;
}

static struct operation operation_of(struct run *run)
{
	return (struct operation){ .service = run->job->service,
				   .client = run->job->client,
				   .opcode = run->job->opcode,
				   .why = &run->why };
}

/* ---- before ---- */

/* All items say that they belong together, and are of one arena. */
static int check(struct run *run)
{
	struct wire_reader look = *run->reader;
	struct wire_request item, first;
	const char *name;

	wire_next_request(&look, &first, &name);
	look = *run->reader;
	for (run->culprit = 0; wire_next_request(&look, &item, &name) > 0; run->culprit++) {
		if (!(item.flags & WIRE_ALL_OR_NONE))
			return why_set(&run->why, -EINVAL,
				       "other items of its message are done whole or not at all, "
				       "and it does not say so");
		if (item.arena != first.arena)
			return why_set(&run->why, -EINVAL,
				       "it is of arena number %" PRIu32 ", the first item of "
				       "number %" PRIu32 ": what is done whole or not at all is "
				       "in one",
				       item.arena, first.arena);
	}
	run->culprit = 0;
	return 0;
}

/* Finds the arena, and has the session take part in it. */
static int join(struct run *run, uint32_t *arena_out)
{
	struct wire_reader look = *run->reader;
	struct job *job = run->job;
	struct wire_request item;
	const char *name;
	int r;

	wire_next_request(&look, &item, &name);
	*arena_out = item.arena;
	run->arena = client_arena(&r, job->client, job->service, item.arena,
				  operation_needs(job->opcode, item.flags), &run->why);
	if (!run->arena)
		return r;
	r = client_join(job->client, job->service, item.arena);
	run->caller = client_caller(job->client, item.arena);
	return r;
}

static struct arena_need need_of(struct run *run)
{
	struct operation op = operation_of(run);
	struct wire_reader look = *run->reader;
	struct arena_need need = { 0 };

	op.arena = run->arena;
	while (run->job->opcode == WIRE_RESERVE &&
	       wire_next_request(&look, &op.item, &op.name) > 0) {
		/* What is there already needs no room: it could be what would be evicted for it. */
		if (!(op.item.flags & WIRE_LEASE) && !operation_was_made(&op))
			arena_add_need(&need, run->arena, op.item.len);
	}
	return need;
}

/* ---- a message that was sent before ---- */

/* Was item @i, whose answer was lost, done? */
static bool find_deed(struct arena_deed *deed, const struct run *run, uint32_t i)
{
	struct caller caller = run->caller;

	caller.deed = client_deed(run->job->client, run->job->first_tag, i);
	return caller.deed && arena_find_deed(deed, run->arena, &caller);
}

/*
 * Was the message carried out? What is durable was done with all the rest or not at all. Of
 * reservations alone a killed daemon may have left a part.
 */
static bool was_done(const struct run *run)
{
	struct wire_reader look = *run->reader;
	struct wire_request item;
	struct arena_deed deed;
	const char *name;
	uint32_t nr = 0;

	for (uint32_t i = 0; wire_next_request(&look, &item, &name) > 0; i++) {
		if (!find_deed(&deed, run, i))
			continue;
		if (run->job->opcode != WIRE_RESERVE || (item.flags & WIRE_AND_PUBLISH))
			return true;
		nr++;
	}
	return nr == run->reader->header.count;
}

static void answer_again(struct run *run)
{
	struct operation op = operation_of(run);
	struct wire_reader look = *run->reader;

	op.is_repeat = true;
	for (uint32_t i = 0; wire_next_request(&look, &op.item, &op.name) > 0; i++) {
		struct arena_deed deed;
		int r = -ENOENT;

		run->why.text[0] = '\0';
		op.deed = client_deed(run->job->client, run->job->first_tag, i);
		if (find_deed(&deed, run, i))
			r = operation_run(&op);
		else
			why_set(&run->why, r, "it was done with the others, and freed since");
		if (r < 0)
			result_refusal(run->job, &op.item, r, run->why.text, look.left);
		else
			result_success(run->job, &op, look.left);
	}
}

/* Gives back the reservations that a killed daemon had made of the message. */
static void give_back(struct run *run)
{
	for (uint32_t i = 0; i < run->reader->header.count; i++) {
		struct arena_deed deed;

		if (find_deed(&deed, run, i) && deed.alloc)
			(void)arena_abort(run->arena, &run->caller, deed.alloc, true, &run->why);
	}
	client_forget(run->job->client, run->job->service, run->job->first_tag);
	run->why.text[0] = '\0';
}

/* ---- the work ---- */

static void start_reply(struct job *job)
{
	wire_begin(&job->reply, job->desk->out, job->opcode | WIRE_REPLY, job->tag);
}

static int run_items(struct run *run)
{
	struct operation op = operation_of(run);
	struct wire_reader look = *run->reader;
	int r = 0;

	op.is_bundled = true;
	for (run->culprit = 0; wire_next_request(&look, &op.item, &op.name) > 0; run->culprit++) {
		op.deed = client_deed(run->job->client, run->job->first_tag, run->culprit);
		r = operation_run(&op);
		if (r < 0)
			return r;
		result_success(run->job, &op, look.left);
	}
	run->culprit = 0;
	return r;
}

/* On failure nothing of it has happened, and the reply is empty. */
static int do_all(struct run *run)
{
	struct arena_need need = need_of(run);
	int r = arena_bundle_begin(run->arena, &run->caller, &need, &run->why);

	if (r < 0)
		return r;
	r = run_items(run);
	if (r == 0)
		r = arena_bundle_commit(run->arena, &run->caller, &run->why);
	if (r == 0)
		return 0;
	arena_bundle_cancel(run->arena, &run->caller);
	client_forget(run->job->client, run->job->service, run->job->first_tag);
	start_reply(run->job);
	return r;
}

/* The item that is to blame gets the error, and all others learn of it. */
static void refuse_all(struct run *run, int r)
{
	struct wire_reader look = *run->reader;
	struct wire_request item;
	struct why other;
	const char *name;

	if (!run->why.text[0])
		why_set(&run->why, 0, "%s", strerror(-r));
	why_set(&other, 0,
		"nothing of this batch was done, since its item %" PRIu32 " was refused: %s",
		run->culprit, run->why.text);
	for (uint32_t i = 0; wire_next_request(&look, &item, &name) > 0; i++) {
		bool is_culprit = i == run->culprit;

		result_refusal(run->job, &item, is_culprit ? r : -ECANCELED,
			       is_culprit ? run->why.text : other.text, look.left);
	}
}

static int must_wait(const struct job *job, int r)
{
	return !job->must_not_wait && (r == -EAGAIN || r == -EINPROGRESS);
}

int request_run_bundle(struct job *job, const struct wire_reader *reader, uint32_t *arena_out)
{
	struct run run = { .job = job, .reader = reader };
	int r = check(&run);

	*arena_out = UINT32_MAX;
	if (r == 0)
		r = join(&run, arena_out);
	if (r == 0 && job->is_repeat) {
		if (was_done(&run)) {
			answer_again(&run);
			return 0;
		}
		give_back(&run);
	}
	if (r == 0)
		r = do_all(&run);
	if (must_wait(job, r))
		return r;
	if (r == -EAGAIN)
		why_set(&run.why, 0, "there is room, but it is still being scrubbed; ask again");
	if (r == -EAGAIN || r == -EINPROGRESS)
		r = -ENOSPC;
	if (r < 0)
		refuse_all(&run, r);
	return 0;
}
