/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request: validates a message, runs its items, settles what they touched and writes the reply. It knows no socket: whether
 * the reply can be sent is the session's.
 */
#include <config.h>

#include "daemon/request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listing.h"
#include "daemon/log.h"
#include "daemon/operation.h"

/* ---- -errno to what a client is told ---- */

/* The errors that doc/PROTOCOL.md has. Whatever else comes up from below is the daemon's trouble, not the client's. */
static int wire_status(int r)
{
	switch (r) {
	case 0:
	case -EACCES:
	case -EBADF:
	case -EBUSY:
	case -EDQUOT:
	case -EEXIST:
	case -EINVAL:
	case -EIO:
	case -EMFILE:
	case -EMSGSIZE:
	case -ENAMETOOLONG:
	case -ENFILE:
	case -ENOENT:
	case -ENOMEM:
	case -ENOSPC:
	case -EOPNOTSUPP:
	case -EPERM:
	case -ESTALE:
	case -EUCLEAN:
		return r;
	default:
		log_warning("a request failed with %s, which clients do not know; they were told EIO", strerror(-r));
		return -EIO;
	}
}

/* ---- results ---- */

static bool carries_extents(uint16_t opcode)
{
	return opcode == WIRE_RESERVE || opcode == WIRE_CARVE || opcode == WIRE_OPEN || opcode == WIRE_RESIZE || opcode == WIRE_STAT;
}

/* How many extents from @first on go with the result, into desk.extents. */
static uint16_t gather_extents(struct desk *desk, const struct arena *arena, const struct alloc *alloc, uint64_t first, uint32_t max)
{
	uint16_t nr = 0;

	for (uint64_t i = first; i < alloc->nr_extents && nr < max; i++, nr++) {
		struct extent extent = arena_extent(arena, alloc, (uint32_t)i);

		desk->extents[nr] = (struct wire_extent){ extent.off, extent.len };
	}
	return nr;
}

static void add_success(struct job *job, const struct operation *op, uint32_t nr_after)
{
	struct wire_result result = { .arena = op->item.arena, .slot = op->item.slot, .id = op->item.id };
	const struct alloc *alloc = op->alloc;
	size_t text_len = 0;

	if (alloc) {
		operation_describe(&result, op->item.arena, alloc);
		if (op->was_done)
			result.flags |= WIRE_WAS_DONE;
		if (job->opcode == WIRE_STAT && alloc->name)
			text_len = alloc->name_len;
		if (job->opcode == WIRE_EXTENTS)
			result.nr_inline = gather_extents(job->desk, op->arena, alloc, op->item.arg, ALLOC_MAX_EXTENTS);
		else if (carries_extents(job->opcode))
			result.nr_inline = gather_extents(job->desk, op->arena, alloc, 0, WIRE_MAX_INLINE_EXTENTS);
	}
	text_len = wire_fit_result(&job->reply, &result, text_len, nr_after);
	wire_add_result(&job->reply, &result, job->desk->extents, text_len ? alloc->name : NULL, text_len);
}

static void add_refusal(struct job *job, const struct wire_request *item, int r, const char *text, uint32_t nr_after)
{
	struct wire_result result = { .result = wire_status(r), .arena = item->arena, .slot = item->slot, .id = item->id };
	size_t text_len;

	/* Where there is no sentence the cause is plain: no memory, an input or output error. */
	if (!text[0])
		text = strerror(-r);
	text_len = strnlen(text, WIRE_MAX_TEXT);
	job->service->counters.refused[job->opcode]++;
	text_len = wire_fit_result(&job->reply, &result, text_len, nr_after);
	wire_add_result(&job->reply, &result, NULL, text, text_len);
}

/* ---- durable, or told so ---- */

static void touch(struct job *job, uint32_t arena)
{
	if (arena < job->service->nr_arenas && job->service->arenas[arena].arena)
		job->touched[arena / 64] |= UINT64_C(1) << (arena % 64);
}

static bool is_touched(const struct job *job, uint32_t arena)
{
	return arena < SERVICE_MAX_ARENAS && job->touched[arena / 64] >> (arena % 64) & 1;
}

/* Touched arenas that are offline now: nothing of this message is known to be durable there. */
static int settle(struct job *job)
{
	int nr_failed = 0;

	for (uint32_t i = 0; i < job->service->nr_arenas; i++) {
		if (is_touched(job, i) && service_settle(job->service, i) < 0)
			nr_failed++;
	}
	return nr_failed;
}

/* The reply was written before the settle that failed: write it again, with what became of it. */
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
		size_t text_len = result.text_len;

		if (result.result == 0 && is_touched(job, result.arena) &&
		    arena_state(job->service->arenas[result.arena].arena, &reason) == ARENA_OFFLINE) {
			result = (struct wire_result){ .result = -EIO, .arena = result.arena, .slot = result.slot, .id = result.id };
			text = "the arena went offline: what became of this is not known";
			text_len = strlen(text);
		}
		text_len = wire_fit_result(&job->reply, &result, text_len, reader.left);
		for (uint32_t i = 0; i < result.nr_inline; i++)
			job->desk->extents[i] = wire_extent_at(extents, i);
		wire_add_result(&job->reply, &result, job->desk->extents, text, text_len);
	}
}

static void finish(struct job *job)
{
	if (settle(job) > 0)
		take_back(job);
	wire_end(&job->reply);
}

/* ---- messages ---- */

/* The whole of it before any of it is carried out: a message that is broken at its end has done nothing. */
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

/* Stored before anything is done: after a crash the client is told which of its requests may have had an effect. */
static void note_tag(const struct job *job)
{
	struct seat *seat = job->client->seat;

	if (operation_changes(job->opcode) && job->tag > seat->last_tag)
		__atomic_store_n(&seat->last_tag, job->tag, __ATOMIC_RELEASE);
}

/* Others have their turn: they must not see what is not durable. */
static int interrupt(struct job *job, const struct wire_reader *reader)
{
	settle(job);
	job->rest = *reader;
	job->is_sliced = true;
	return 1;
}

static int run_items(struct job *job, struct wire_reader *reader)
{
	struct why why;
	struct operation op = { .service = job->service, .client = job->client, .opcode = job->opcode, .is_repeat = job->is_repeat, .why = &why };
	uint32_t end = job->slice ? job->nr_done + job->slice : UINT32_MAX;
	bool changes = operation_changes(job->opcode);
	int r;

	note_tag(job);
	for (uint32_t i = job->is_sliced ? job->nr_done : 0; wire_next_request(reader, &op.item, &op.name) > 0; i++) {
		/* Done when it was run before. */
		if (i < job->nr_done)
			continue;
		why.text[0] = '\0';
		op.deed = client_deed(job->client, job->first_tag, i);
		r = operation_run(&op);
		if (changes)
			touch(job, op.item.arena);
		if (r == -EAGAIN && job->must_not_wait)
			r = why_set(&why, -ENOSPC, "there is room, but it is still being scrubbed; ask again");
		if (r == -EINPROGRESS && job->must_not_wait)
			r = -ENOSPC;
		job->waits_for_leases = r == -EINPROGRESS;
		if (r == -EAGAIN || r == -EINPROGRESS) {
			/* What is done so far waits with the reply, but not to be durable. Next time it is skipped. */
			settle(job);
			job->is_sliced = false;
			return -EAGAIN;
		}
		if (r < 0)
			add_refusal(job, &op.item, r, why.text, reader->left);
		else
			add_success(job, &op, reader->left);
		if (++job->nr_done == end && reader->left > 0)
			return interrupt(job, reader);
	}
	finish(job);
	return 0;
}

static int run_list(struct job *job, struct wire_reader *reader)
{
	struct wire_request item;
	struct arena *arena;
	struct why why = { "" };
	const char *prefix;
	int r;

	wire_next_request(reader, &item, &prefix);
	arena = service_arena(&r, job->service, item.arena, &why);
	if (arena)
		r = listing_run(&job->reply, job->client, arena, &item, prefix, &why);
	if (r < 0)
		add_refusal(job, &item, r, why.text, 0);
	wire_end(&job->reply);
	return 0;
}

static int subscribe(struct job *job, const struct wire_request *item, const char *prefix, struct why *why)
{
	int r;

	if (item->flags & ~wire_known_flags(job->opcode))
		return why_set(why, -EINVAL, "subscribe does not know flags 0x%" PRIx32, item->flags);
	if (item->arena >= job->service->nr_arenas)
		return why_set(why, -ENOENT, "there is no arena %" PRIu32, item->arena);
	if (item->flags & WIRE_UNSUBSCRIBE) {
		client_unsubscribe(job->client, item->arena);
		return 0;
	}
	r = client_subscribe(job->client, job->service, item->arena, prefix, (uint8_t)item->name_len, item->flags & WIRE_RECALLS);
	return r < 0 ? why_set(why, r, "the daemon is out of memory") : 0;
}

static int run_subscribe(struct job *job, struct wire_reader *reader)
{
	struct wire_request item;
	struct why why = { "" };
	const char *prefix;
	int r;

	wire_next_request(reader, &item, &prefix);
	r = subscribe(job, &item, prefix, &why);
	if (r < 0) {
		add_refusal(job, &item, r, why.text, 0);
	} else {
		struct wire_result result = { .arena = item.arena };

		wire_add_result(&job->reply, &result, NULL, NULL, 0);
	}
	wire_end(&job->reply);
	return 0;
}

/* ---- attach ---- */

void request_describe_arena(struct wire_arena *out, const struct service *service, uint32_t index)
{
	const struct served *served = &service->arenas[index];
	const struct arena_identity *identity;
	const struct device_info *device;
	const char *reason;

	*out = (struct wire_arena){ .index = index, .state = 2 };
	snprintf(out->name, sizeof(out->name), "%s", served->name);
	if (!served->arena)
		return;
	identity = arena_identity(served->arena);
	device = device_info(arena_device(served->arena));
	memcpy(out->uuid, identity->uuid, sizeof(out->uuid));
	out->page_size = identity->page_size;
	out->size = identity->size;
	out->data_off = identity->data_off;
	out->device_size = device->size;
	out->align = device->align;
	out->is_dax = device->kind == DEVICE_DAX;
	out->granularity = (uint32_t)arena_granularity(served->arena);
	out->nr_slots = identity->nr_slots;
	out->state = (uint32_t)arena_state(served->arena, &reason);
	snprintf(out->device, sizeof(out->device), "%.95s", device->path);
}

static int attach(struct job *job, const struct wire_request *item)
{
	struct arena *arena;
	struct why why;
	int r;

	if (item->flags & ~wire_known_flags(job->opcode))
		return -EINVAL;
	arena = service_arena(&r, job->service, item->arena, &why);
	if (!arena)
		return r;
	r = client_join(job->client, job->service, item->arena);
	if (r < 0)
		return r;
	r = arena_attach(&job->fds[0], job->client->holders[item->arena], item->flags & WIRE_READ_ONLY);
	if (r < 0)
		return r;
	/* A duplicate, so that a reply that has to wait owns what it carries. */
	job->fds[1] = fcntl(arena_plane_fd(arena), F_DUPFD_CLOEXEC, 3);
	if (job->fds[1] < 0) {
		r = -errno;
		close(job->fds[0]);
		return r;
	}
	job->nr_fds = 2;
	return 0;
}

static int run_attach(struct job *job, struct wire_reader *reader)
{
	struct wire_arena arena = { 0 };
	struct wire_request item;
	const char *name;
	int r;

	wire_next_request(reader, &item, &name);
	r = attach(job, &item);
	if (item.arena < job->service->nr_arenas)
		request_describe_arena(&arena, job->service, item.arena);
	arena.index = item.arena;
	arena.result = wire_status(r);
	if (r < 0)
		job->service->counters.refused[job->opcode]++;
	wire_add_raw(&job->reply, &arena, sizeof(arena));
	wire_end(&job->reply);
	return 0;
}

/* ---- the door ---- */

int request_run(struct job *job)
{
	struct counters *counters = &job->service->counters;
	struct wire_reader reader;
	int r;

	if (job->is_sliced)
		return run_items(job, &job->rest);
	r = wire_open(&reader, job->message, job->length);
	/* A second hello, or something that only the daemon says. */
	if (r == 0 && (reader.header.opcode >= WIRE_OPCODES || reader.header.opcode == WIRE_HELLO))
		r = -EPROTO;
	if (r == 0)
		r = validate(&reader);
	if (r < 0)
		return r;
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
		return run_attach(job, &reader);
	case WIRE_LIST:
		return run_list(job, &reader);
	case WIRE_SUBSCRIBE:
		return run_subscribe(job, &reader);
	default:
		return run_items(job, &reader);
	}
}

void request_tell(const struct job *job)
{
	for (uint32_t i = 0; i < job->service->nr_arenas; i++) {
		if (is_touched(job, i))
			service_tell(job->service, i);
	}
}

/* ---- events ---- */

static uint32_t wire_event_kind(enum arena_event_kind kind)
{
	static const uint32_t kinds[] = {
		[ARENA_PUBLISHED] = WIRE_EVENT_PUBLISHED, [ARENA_FREED] = WIRE_EVENT_FREED, [ARENA_RENAMED] = WIRE_EVENT_RENAMED,
		[ARENA_RESIZED] = WIRE_EVENT_RESIZED, [ARENA_CHANGED] = WIRE_EVENT_SETATTRED, [ARENA_POISONED] = WIRE_EVENT_POISONED,
		[ARENA_RECALL] = WIRE_EVENT_RECALL, [ARENA_WENT_OFFLINE] = WIRE_EVENT_ARENA_OFFLINE,
	};

	return kinds[kind];
}

size_t request_encode_events(uint8_t *buf, size_t *nr_told, const struct client *client, uint32_t arena,
			     const struct arena_event *events, size_t nr)
{
	struct wire_writer w;
	size_t told = 0;

	wire_begin(&w, buf, WIRE_EVENT, 0);
	for (size_t i = 0; i < nr; i++) {
		const struct arena_event *event = &events[i];
		struct wire_result result = {
			.arena = arena, .slot = event->slot, .id = event->id, .len = event->len,
			.uid = event->uid, .gid = event->gid, .mode = event->mode, .flags = wire_event_kind(event->kind),
		};

		if (client_wants(client, arena, event) && wire_add_result(&w, &result, NULL, event->name, event->name_len) == 0)
			told++;
	}
	*nr_told = told;
	return told ? wire_end(&w) : 0;
}

size_t request_encode_lost(uint8_t *buf)
{
	struct wire_result result = { .flags = WIRE_EVENT_LOST };
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_EVENT, 0);
	wire_add_result(&w, &result, NULL, NULL, 0);
	return wire_end(&w);
}
