/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_request: histories of requests of clients to a daemon that serves a small arena in a file:
 * three that may use it, one that may read it, one that may not; and now and then one loses it. The
 * bytes of the input choose operations, handles, names and sizes from small sets, so that most
 * requests are about something that exists. Every reply is a whole message with one result an item;
 * the arena is sound at the end of each history, and empty again once the clients have freed what
 * they know and left.
 *
 * An input that begins with a byte of 255 is one message as it stands.
 */
#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/log.h"
#include "daemon/serve/operation.h"
#include "daemon/serve/request.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : abort())

#define NR_USERS   3               /* the first ones; the first is root */
#define READER     3
#define STRANGER   4
#define NR_CLIENTS 5
#define NR_HANDLES 16
#define NR_NAMES   12

static char dir[128];
static struct service *service;
static struct desk desk;

/* off: where its first extent began when it was last told */
struct handle { uint32_t slot; uint64_t id, off; };

/* One history. */
struct history {
	const uint8_t *at, *end;
	struct client clients[NR_CLIENTS];
	struct handle handles[NR_HANDLES];
	uint64_t tag;
};

static void clean_up(void)
{
	char command[200];

	service_close(service);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	must(system(command) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char runtime[200], device[200];
	static const char *overrides[] = {
		runtime,
		device,
		"arena.main.size=64M",
		"arena.main.format=if-blank",
		"arena.main.users=1 2",
		"arena.main.readers=3",
		"log-level=error",
	};
	static const struct config_sources sources = { "/dev/null", overrides,
						       sizeof(overrides) / sizeof(*overrides) };
	const char *tmp = getenv("TMPDIR");
	struct config config;
	struct why why;

	snprintf(dir, sizeof(dir), "%s/fuzz_request.XXXXXX", tmp ? tmp : "/dev/shm");
	must(mkdtemp(dir) != NULL);
	snprintf(runtime, sizeof(runtime), "runtime-directory=%s", dir);
	snprintf(device, sizeof(device), "arena.main.device=%s/arena", dir);
	must(config_load(&config, &sources, &why) == 0);
	log_set_level(LOG_LEVEL_ERROR);
	must(service_open(&service, &config, &sources, &why) == 0);
	atexit(clean_up);
	return 0;
}

static uint8_t take(struct history *history)
{
	return history->at < history->end ? *history->at++ : 0;
}

/* ---- requests ---- */

static const uint64_t sizes[] = {
	0,	 1,	   4096,     4097,     65536,	   2097151, 2097152, 2097153,
	6291456, 16777216, 33554432, 62914560, UINT64_MAX, 8192,    12288,   1048576,
};

static size_t choose_name(char name[8], uint8_t byte)
{
	return byte % (NR_NAMES + 1) == 0 ? 0 : (size_t)snprintf(name, 8, "n/%u", byte % NR_NAMES);
}

static void choose_item(struct wire_writer *writer, struct history *history, uint16_t opcode)
{
	uint8_t which = take(history), bits = take(history), more = take(history);
	uint32_t flags = bits | (uint32_t)(bits & 0x30) << 5;
	struct handle handle = history->handles[which % NR_HANDLES];
	struct wire_request item = {
		.arena = which == 255,
		.slot = handle.slot,
		.id = handle.id,
		.len = sizes[more % 16],
		.arg = opcode == WIRE_CARVE ? handle.off + (uint64_t)(more >> 4) * 4096 : more >> 4,
		.flags = which < 250 ? flags & wire_known_flags(opcode) : flags,
		.uid = which % 4,
		.mode = (more & 7) * 0111,
	};
	char name[8];

	wire_add_request(writer, &item, name, choose_name(name, take(history)));
}

static size_t choose_message(uint8_t *buf, struct history *history)
{
	static const uint8_t opcodes[] = {
		WIRE_RESERVE, WIRE_RESERVE, WIRE_RESERVE,   WIRE_PUBLISH, WIRE_PUBLISH,
		WIRE_ABORT,   WIRE_FREE,    WIRE_FREE,	    WIRE_OPEN,	  WIRE_CLOSE,
		WIRE_RESIZE,  WIRE_RESIZE,  WIRE_RENAME,    WIRE_SETATTR, WIRE_STAT,
		WIRE_EXTENTS, WIRE_LIST,    WIRE_SUBSCRIBE,
	};
	uint8_t byte = take(history),
		opcode = byte < 13 * sizeof(opcodes) ? opcodes[byte % sizeof(opcodes)] : WIRE_CARVE;
	unsigned nr = opcode == WIRE_EXTENTS || opcode == WIRE_LIST || opcode == WIRE_SUBSCRIBE
			      ? 1
			      : 1 + take(history) % 4;
	struct wire_writer writer;

	wire_begin(&writer, buf, opcode, ++history->tag);
	while (nr-- > 0)
		choose_item(&writer, history, opcode);
	return wire_end(&writer);
}

/* ---- replies ---- */

static void remember(struct history *history, const struct wire_result *result,
		     const struct wire_extent *extents)
{
	uint64_t off = result->nr_inline ? wire_extent_at(extents, 0).off : 0;

	if (result->id != 0)
		history->handles[result->id % NR_HANDLES] =
			(struct handle){ result->slot, result->id, off };
}

/* What a reader is told was done changed nothing, and a stranger is told of nothing that was. */
static bool may_have_done(const struct job *job)
{
	switch (job->client->uid) {
	case READER:
		return job->opcode == WIRE_OPEN || job->opcode == WIRE_CLOSE ||
		       !operation_changes(job->opcode);
	case STRANGER:
		return false;
	default:
		return true;
	}
}

static void check_reply(struct history *history, const struct job *job, uint32_t nr_asked)
{
	const struct wire_extent *extents;
	struct wire_reader reader;
	struct wire_result result;
	const char *text;
	int r;

	must(wire_open(&reader, job->reply.buf, job->reply.length) == 0);
	must(reader.header.tag == job->tag && reader.header.opcode == (job->opcode | WIRE_REPLY));
	must(job->opcode == WIRE_LIST || reader.header.count == nr_asked);
	while ((r = wire_next_result(&reader, &result, &extents, &text)) == 1) {
		must(result.result == 0 || result.text_len > 0);
		must(result.result != 0 || may_have_done(job));
		if (result.result == 0)
			remember(history, &result, extents);
	}
	must(r == 0);
}

/* What waits for scrubbing gets its answer here: the fuzzer has no loop. */
static enum outcome run(struct job *job)
{
	enum outcome outcome;

	while ((outcome = request_run(job)) != JOB_DONE && outcome != JOB_BROKEN) {
		/* Nobody gives a lease back. */
		job->must_not_wait = outcome == JOB_WAITS_FOR_LEASES;
		while (outcome == JOB_WAITS_FOR_SPACE && !service_collect(service))
			usleep(100);
	}
	request_tell(job);
	return outcome;
}

static void ask(struct history *history, struct client *client)
{
	size_t length = choose_message(service->inbox->message, history);
	struct job job = { .service = service,
			   .client = client,
			   .desk = &desk,
			   .message = service->inbox->message,
			   .stranger_fd = -1,
			   .length = length };
	struct wire_reader reader;

	job.slice = (uint32_t)(length / 8 % 5);
	must(wire_open(&reader, service->inbox->message, length) == 0);
	must(run(&job) == JOB_DONE);
	check_reply(history, &job, reader.header.count);
}

/* Few bytes are for the others, so that most histories are of users. */
static void step(struct history *history)
{
	uint8_t byte = take(history);

	if (byte >= 252)
		client_lose(&history->clients[byte % NR_USERS], service, 0);
	else if (byte >= 244)
		ask(history, &history->clients[byte % 2 ? READER : STRANGER]);
	else
		ask(history, &history->clients[byte % NR_USERS]);
}

static void ask_as_it_stands(struct client *client, const uint8_t *data, size_t size)
{
	struct job job = { .service = service,
			   .client = client,
			   .desk = &desk,
			   .message = service->inbox->message,
			   .stranger_fd = -1,
			   .length = size };

	job.slice = (uint32_t)(size / 8 % 5);
	if (size > WIRE_MAX)
		return;
	memcpy(service->inbox->message, data, size);
	if (run(&job) == JOB_DONE)
		must(job.reply.length >= sizeof(struct wire_header));
	for (int i = 0; i < job.nr_fds; i++)
		close(job.fds[i]);
}

/* ---- histories ---- */

static void begin(struct history *history)
{
	for (int i = 0; i < NR_CLIENTS; i++) {
		/* The first is root; the others are users who share a group. */
		struct conn_peer peer = { .uid = (uid_t)i, .gid = (gid_t)(i > 0), .pid = 1 };

		must(client_init(&history->clients[i], &peer) == 0);
		client_admit(&history->clients[i], service);
		must(roster_enter(&history->clients[i].seat, service->roster, peer.uid) == 0);
		/* Half of them may ask again. */
		history->clients[i].seat->features = i % 2 ? WIRE_REPEATS : 0;
	}
}

static void free_all(struct client *client)
{
	struct arena *arena = service->arenas[0].arena;
	struct caller caller;
	struct alloc *alloc;

	must(client_join(client, service, 0) == 0);
	caller = client_caller(client, 0);
	while ((alloc = arena_next_slot(arena, 0)))
		must(arena_free_alloc(arena, &caller, alloc, true, NULL) == 0);
	must(service_settle(service, 0) == 0);
	service_tell(service, 0);
}

static void complain(void *arg, const char *what)
{
	fprintf(stderr, "%s\n", what);
}

static void finish(struct history *history)
{
	struct arena *arena = service->arenas[0].arena;
	struct arena_stats stats;

	must(arena_check(arena, complain, NULL) == 0);
	must(arena_check_memmap(arena, complain, NULL) == 0);
	free_all(&history->clients[0]);
	for (int i = 0; i < NR_CLIENTS; i++) {
		client_leave(&history->clients[i], service);
		client_fini(&history->clients[i]);
	}
	/* Who still has a mapping is asked once a round. */
	for (int i = 0; i < 3; i++) {
		arena_tick(arena);
		must(service_settle(service, 0) == 0);
	}
	arena_stats(arena, &stats);
	if (stats.free != stats.size)
		fprintf(stderr, "%llu of %llu free, %llu freeing, %llu reserved\n",
			(unsigned long long)stats.free, (unsigned long long)stats.size,
			(unsigned long long)stats.nr_freeing,
			(unsigned long long)stats.nr_reserved);
	must(stats.free == stats.size &&
	     stats.nr_published + stats.nr_reserved + stats.nr_freeing == 0);
	must(stats.holders == 0 && stats.slots_used == 0);
	for (uint32_t uid = 0; uid < NR_CLIENTS + 1; uid++)
		must(quota_used(service->quota, uid, QUOTA_BYTES) == 0 &&
		     quota_used(service->quota, uid, QUOTA_ALLOCATIONS) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct history history = { .at = data, .end = data + size };

	begin(&history);
	if (size > 0 && data[0] == 255) {
		ask_as_it_stands(&history.clients[1], data + 1, size - 1);
	} else {
		while (history.at < history.end)
			step(&history);
	}
	finish(&history);
	return 0;
}
