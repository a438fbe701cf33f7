/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request_arena: the requests about a whole arena: for its descriptors (ATTACH, WINDOW), how full
 * it is (USAGE), and which arenas there are (SURVEY). Other replies have one result for each item
 * of the request; these have items of a shape of their own.
 */
#include <config.h>

#include "daemon/serve/request_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_window.h"
#include "daemon/log.h"
#include "daemon/serve/operation.h"
/* ---- attach ---- */

void request_describe_arena(struct wire_arena *out, const struct client *client,
			    const struct service *service, uint32_t index)
{
	const struct served *served;
	const struct arena_identity *identity;
	const struct device_info *device;
	const char *reason;

	*out = (struct wire_arena){ .index = index, .state = WIRE_ARENA_OFFLINE };
	if (index >= service->nr_arenas || client->access[index] == ACCESS_NONE ||
	    service->arenas[index].is_gone)
		return;
	served = &service->arenas[index];
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
	out->node_and_1 = device->numa_node < 0 ? 0 : (uint32_t)device->numa_node + 1;
	snprintf(out->device, sizeof(out->device), "%.95s", device->path);
}

/*
 * A duplicate of the arena's descriptor goes with the reply: the reply may wait in the outbox,
 * which closes what it carries.
 */
static int duplicate(int *out, int fd)
{
	*out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *out < 0 ? -errno : 0;
}

static int attach(struct job *job, const struct wire_request *item)
{
	struct arena *arena;
	struct why why;
	int r;

	if (item->flags & ~wire_known_flags(job->opcode))
		return -EINVAL;
	arena = client_arena(&r, job->client, job->service, item->arena,
			     operation_needs(job->opcode, item->flags), &why);
	if (!arena)
		return r;
	r = client_join(job->client, job->service, item->arena);
	if (r < 0)
		return r;
	r = arena_attach(&job->fds[0], client_holder(job->client, item->arena),
			 item->flags & WIRE_READ_ONLY);
	if (r < 0)
		return r;
	r = duplicate(&job->fds[1], arena_plane_fd(arena));
	if (r < 0) {
		close(job->fds[0]);
		return r;
	}
	job->nr_fds = 2;
	return 0;
}

enum outcome request_run_attach(struct job *job, struct wire_reader *reader)
{
	struct wire_arena arena;
	struct wire_request item;
	const char *name;
	int r;

	wire_next_request(reader, &item, &name);
	r = attach(job, &item);
	request_describe_arena(&arena, job->client, job->service, item.arena);
	arena.result = operation_status(r);
	if (r < 0)
		job->service->counters.refused[job->opcode]++;
	wire_add_raw(&job->reply, &arena, sizeof(arena));
	wire_end(&job->reply);
	return JOB_DONE;
}

/* ---- windows ---- */

/*
 * Adds the descriptor of the touches, for a session that knows them. Where there is no memory for
 * them the window goes without: what the process gets counts as used less often.
 */
static void add_touches(struct job *job, struct arena *arena)
{
	int fd, *at = &job->fds[job->nr_fds];

	if (!(job->client->seat->features & WIRE_EVICTS))
		return;
	if (arena_touches_fd(&fd, arena) == 0 && duplicate(at, fd) == 0)
		job->nr_fds++;
}

/* Opens a new window. Its descriptors go with the reply, and are closed here when they cannot. */
static int open_window(struct job *job, struct arena_window *window, struct arena *arena,
		       const struct caller *caller, const struct wire_request *item,
		       struct why *why)
{
	struct arena_window_ask ask = {
		.number = roster_take_number(job->service->roster),
		.read_only = item->flags & WIRE_READ_ONLY,
		.nr_words = item->slot,
	};
	int r = duplicate(&job->fds[1], arena_catalog_fd(arena));

	if (r < 0)
		return r;
	r = arena_window_open(window, arena, caller, &ask, why);
	if (r < 0) {
		close(job->fds[1]);
		return r;
	}
	job->fds[0] = window->device_fd;
	job->fds[2] = window->pins_fd;
	job->nr_fds = 3;
	add_touches(job, arena);
	return 0;
}

static int resume_window(struct job *job, struct arena_window *window, struct arena *arena,
			 const struct caller *caller, const struct wire_request *item,
			 struct why *why)
{
	struct arena_window_ask ask = { .number = item->id };
	int r;

	wire_unpack_secret(ask.secret, item);
	r = duplicate(&job->fds[0], arena_catalog_fd(arena));
	if (r < 0)
		return r;
	r = arena_window_resume(window, arena, caller, &ask, job->stranger_fd, why);
	if (r < 0) {
		close(job->fds[0]);
		return r;
	}
	job->nr_fds = 1;
	add_touches(job, arena);
	return 0;
}

static int give_window(struct job *job, struct arena_window *window,
		       const struct wire_request *item, struct why *why)
{
	struct arena *arena;
	struct caller caller;
	int r;

	if (item->flags & ~wire_known_flags(job->opcode))
		return -EINVAL;
	arena = client_arena(&r, job->client, job->service, item->arena,
			     operation_needs(job->opcode, item->flags), why);
	if (!arena)
		return r;
	r = client_join(job->client, job->service, item->arena);
	if (r < 0)
		return r;
	caller = client_caller(job->client, item->arena);
	return item->id ? resume_window(job, window, arena, &caller, item, why)
			: open_window(job, window, arena, &caller, item, why);
}

enum outcome request_run_window(struct job *job, struct wire_reader *reader)
{
	struct arena_window window = { 0 };
	struct wire_window reply = { 0 };
	struct wire_request item;
	struct why why = { "" };
	const char *name;
	int r;

	wire_next_request(reader, &item, &name);
	r = give_window(job, &window, &item, &why);
	reply.result = operation_status(r);
	reply.arena = item.arena;
	if (r < 0) {
		job->service->counters.refused[job->opcode]++;
		/* The reply to a WINDOW has no room for a sentence, so the reason is logged. */
		log_info("a window for uid %" PRIu32 " was refused: %s", job->client->uid,
			 why.text[0] ? why.text : strerror(-r));
	} else {
		reply.window = window.number;
		memcpy(reply.secret, window.secret, sizeof(reply.secret));
		reply.nr_words = window.nr_words;
		reply.resumed = window.is_resumed;
	}
	wire_add_raw(&job->reply, &reply, sizeof(reply));
	wire_end(&job->reply);
	return JOB_DONE;
}

/* ---- usage ---- */

enum outcome request_run_usage(struct job *job, struct wire_reader *reader)
{
	static const enum quota_kind kinds[WIRE_CHARGES] = {
		[WIRE_CHARGE_BYTES] = QUOTA_BYTES,
		[WIRE_CHARGE_ALLOCATIONS] = QUOTA_ALLOCATIONS,
		[WIRE_CHARGE_LEASED] = QUOTA_LEASED_BYTES,
	};
	struct wire_usage reply = { 0 };
	struct arena_usage usage;
	struct wire_request item;
	struct arena *arena;
	struct why why;
	const char *name;
	int r = 0;

	wire_next_request(reader, &item, &name);
	arena = client_arena(&r, job->client, job->service, item.arena,
			     operation_needs(job->opcode, item.flags), &why);
	if (arena && item.flags)
		r = -EINVAL;
	reply.result = operation_status(r);
	reply.arena = item.arena;
	if (r < 0) {
		job->service->counters.refused[job->opcode]++;
	} else {
		arena_usage(&usage, arena, job->client->uid);
		reply.size = usage.size;
		reply.free = usage.free;
		reply.largest_free = usage.largest_free;
		reply.leased = usage.leased;
		reply.reserved = usage.reserved;
		reply.quarantined = usage.quarantined;
		for (int i = 0; i < WIRE_CHARGES; i++) {
			reply.used[i] = usage.used[kinds[i]];
			reply.limit[i] = usage.limit[kinds[i]];
		}
	}
	wire_add_raw(&job->reply, &reply, sizeof(reply));
	wire_end(&job->reply);
	return JOB_DONE;
}

/* ---- survey ---- */

enum outcome request_run_survey(struct job *job)
{
	struct wire_arena arena;

	for (uint32_t i = 0; i < job->service->nr_arenas; i++) {
		request_describe_arena(&arena, job->client, job->service, i);
		wire_add_raw(&job->reply, &arena, sizeof(arena));
	}
	wire_end(&job->reply);
	return JOB_DONE;
}
