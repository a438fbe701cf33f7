/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics: the numbers of `stats` for a monitoring system. It changes nothing. Units are bytes and
 * seconds, and there are few labels.
 */
#include <config.h>

#include "daemon/admin/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/admin/page.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/moves.h"
#include "daemon/service/service.h"
#include "lib/wire/escape.h"

/* ---- writing ---- */

/* Writes the head of a metric family, which OpenMetrics wants before its numbers. */
static void family(struct page *out, const char *name, const char *type, const char *unit,
		   const char *help)
{
	put(out, "# TYPE pmemarena_%s %s\n", name, type);
	if (unit)
		put(out, "# UNIT pmemarena_%s %s\n", name, unit);
	put(out, "# HELP pmemarena_%s %s\n", name, help);
}

static void counter(struct page *out, const char *name, const char *help, uint64_t value)
{
	family(out, name, "counter", NULL, help);
	put(out, "pmemarena_%s_total %" PRIu64 "\n", name, value);
}

/* Writes a label whose value is the name of a host: another one may have written it anyhow. */
static void put_host(struct page *out, const char *key, const char *name)
{
	char shown[ESCAPE_SIZE(HOST_NAME)];

	escape_name(shown, sizeof(shown), name, strnlen(name, HOST_NAME), escape_shows_ascii);
	put(out, "%s=\"", key);
	for (const char *at = shown; *at; at++)
		put(out, "%s%c", *at == '"' || *at == '\\' ? "\\" : "", *at);
	put(out, "\"");
}

/* ---- arenas: one family, one line an arena ---- */

struct sample {
	const char *name, *type, *unit, *help;
	/* a further label, as `state="used"`; NULL: there is none */
	const char *label;
	size_t      offset;             /* where the number is in struct arena_stats, a uint64_t */
};

#define STAT(field) offsetof(struct arena_stats, field)

/* Entries of the same name stand together: they are one family, whose head is written once. */
static const struct sample samples[] = {
	{ "size_bytes", "gauge", "bytes", "What clients can have.", NULL, STAT(size) },
	{ "space_bytes", "gauge", "bytes", "Space by state.", "state=\"used\"", STAT(used) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"reserved\"", STAT(reserved) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"leased\"", STAT(leased) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"quarantined\"", STAT(quarantined) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"free\"", STAT(free) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"withheld\"", STAT(withheld) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"poisoned\"", STAT(poisoned) },
	{ "known_zero_bytes", "gauge", "bytes",
	  "Free space that needs no scrubbing before it is handed out.", NULL, STAT(known_zero) },
	{ "remains_bytes", "gauge", "bytes",
	  "Free space that is kept as it is for the users who had it last.", NULL, STAT(remains) },
	{ "free_split_bytes", "gauge", "bytes",
	  "Free space in split pages, for small allocations of their owners.", NULL,
	  STAT(free_split) },
	{ "largest_free_extent_bytes", "gauge", "bytes",
	  "The largest free extent of whole pages; a larger request is served from several.", NULL,
	  STAT(largest_free) },
	{ "free_extents", "gauge", NULL, "Pieces that free space is in.", NULL,
	  STAT(free_extents) },
	{ "allocations", "gauge", NULL, "Allocations by state.", "state=\"published\"",
	  STAT(nr_published) },
	{ "allocations", NULL, NULL, NULL, "state=\"reserved\"", STAT(nr_reserved) },
	{ "allocations", NULL, NULL, NULL, "state=\"freeing\"", STAT(nr_freeing) },
	{ "table_slots", "gauge", NULL, "Slots of the allocation table.", NULL, STAT(slots_total) },
	{ "table_slots_used", "gauge", NULL, "Slots in use.", NULL, STAT(slots_used) },
	{ "settles", "counter", NULL, "Settles: changes that were made durable together.", NULL,
	  STAT(settles) },
	{ "recalls", "counter", NULL,
	  "Times that a request found no room and leases were asked back.", NULL, STAT(recalls) },
	{ "evictable_bytes", "gauge", "bytes", "Allocations that may be freed to make room.", NULL,
	  STAT(evictable) },
	{ "evictable_allocations", "gauge", NULL, "Allocations that may be freed to make room.",
	  NULL, STAT(nr_evictable) },
	{ "evictions", "counter", NULL, "Allocations that were freed to make room.", NULL,
	  STAT(evictions) },
	{ "evicted_bytes", "counter", "bytes", "Space of those that were freed to make room.",
	  NULL, STAT(evicted_bytes) },
	{ "records_written", "counter", NULL, "Records written to the table.", NULL,
	  STAT(records_written) },
	{ "records_mended", "counter", NULL,
	  "Records rewritten because the device had something else.", NULL, STAT(records_mended) },
	{ "start_records_damaged", "gauge", NULL,
	  "Records that the last start found lost in both copies.", NULL, STAT(start.damaged) },
	{ "start_ledger_items_broken", "gauge", NULL,
	  "Items of the ledger that the last start dropped because they were not whole.", NULL,
	  STAT(start.ledger_broken) },
	{ "scrubbed_bytes", "counter", "bytes", "Space made to read as zeroes.", NULL,
	  STAT(scrubbed_bytes) },
	{ "opens", "gauge", NULL, "Allocations that sessions have open.", NULL, STAT(holds) },
	{ "ended_sessions", "gauge", NULL,
	  "Sessions that are over and may still have something mapped.", NULL, STAT(ended) },
	{ "windows", "gauge", NULL, "Processes that have the whole arena mapped.", NULL,
	  STAT(windows) },
	{ "pins", "gauge", NULL, "Pins of windows, when they were read last.", NULL, STAT(pins) },
	{ "cataloged_allocations", "gauge", NULL,
	  "Allocations that windows find without a message.", NULL, STAT(cataloged) },
	{ "memmap_flat_bytes", "gauge", "bytes", "Descriptors, if nothing were deduplicated.", NULL,
	  STAT(memmap.bytes_flat) },
	{ "memmap_bytes", "gauge", "bytes", "Memory that descriptors take, measured.", NULL,
	  STAT(memmap.bytes_now) },
	{ "memmap_sections", "gauge", NULL, "Sections of 128 MiB.", NULL, STAT(memmap.sections) },
	{ "memmap_sections_active", "gauge", NULL, "Sections whose descriptors exist.", NULL,
	  STAT(memmap.sections_active) },
	{ "memmap_pages_split", "gauge", NULL, "Compound pages with tails of their own.", NULL,
	  STAT(memmap.pages_split) },
	{ "memmap_vmas", "gauge", NULL, "Mappings of the daemon.", NULL, STAT(memmap.vmas_used) },
	{ "memmap_vmas_limit", "gauge", NULL, "Mappings that it may have (vm.max_map_count).", NULL,
	  STAT(memmap.vmas_limit) },
	{ "memmap_dedups", "counter", NULL, "Compound pages whose tails were deduplicated.", NULL,
	  STAT(memmap.dedups) },
	{ "memmap_restores", "counter", NULL, "Compound pages whose tails were restored.", NULL,
	  STAT(memmap.restores) },
	{ "memmap_dedup_failures", "counter", NULL, "Deduplications that failed.", NULL,
	  STAT(memmap.dedup_failures) },
	{ "memmap_restore_failures", "counter", NULL, "Restores that failed.", NULL,
	  STAT(memmap.restore_failures) },
	{ "memmap_dedups_put_off", "counter", NULL, "Deduplications left for later.", NULL,
	  STAT(memmap.dedups_put_off) },
};

static void write_sample(struct page *out, const struct sample *sample, const char *arena,
			 const struct arena_stats *stats)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + sample->offset, sizeof(value));
	put(out, "pmemarena_%s%s{arena=\"%s\"%s%s} %" PRIu64 "\n", sample->name,
	    strcmp(sample->type ? sample->type : "gauge", "counter") == 0 ? "_total" : "", arena,
	    sample->label ? "," : "", sample->label ? sample->label : "", value);
}

/* Writes the state of each arena. One that is not open has no numbers, but this. */
static void write_states(struct page *out, const struct service *service)
{
	const char *reason;

	family(out, "arena_online", "gauge", NULL, "1: online; 0: damaged or offline.");
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];

		if (!served->is_gone)
			put(out, "pmemarena_arena_online{arena=\"%s\"} %d\n", served->name,
			    served->arena &&
				    arena_state(served->arena, &reason) == ARENA_ONLINE);
	}
	family(out, "arena_drained", "gauge", NULL, "1: no new space is handed out.");
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].is_gone)
			put(out, "pmemarena_arena_drained{arena=\"%s\"} %d\n",
			    service->arenas[i].name, service_is_drained(service, i));
	}
}

/* Of arenas that hosts share: who owns each. A move is another label and a greater number. */
static void write_owners(struct page *out, const struct service *service)
{
	struct arena_owner owner;
	const char *reason;

	family(out, "arena_term", "gauge", NULL, "The term of the host that owns a shared arena.");
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];

		if (!served->arena || !arena_owner(&owner, served->arena) ||
		    arena_state(served->arena, &reason) == ARENA_OFFLINE)
			continue;
		put(out, "pmemarena_arena_term{arena=\"%s\",", served->name);
		put_host(out, "owner", owner.name);
		put(out, "} %" PRIu64 "\n", owner.term);
	}
}

static void write_fragmentation(struct page *out, const struct service *service,
				const struct arena_stats *stats)
{
	family(out, "fragmentation_ratio", "gauge", "ratio",
	       "1 - largest free extent / free space.");
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].arena)
			put(out, "pmemarena_fragmentation_ratio{arena=\"%s\"} %g\n",
			    service->arenas[i].name, stats[i].fragmentation);
	}
}

/* ---- users ---- */

/*
 * The users with the most in an arena are shown one by one; the others together, so that the number
 * of series stays small.
 */
#define USERS_MAX 20

static void write_user(struct page *out, const char *arena, const char *uid,
		       const struct arena_user *user)
{
	const struct {
		const char *state;
		uint64_t bytes;
	} states[] = { { "reserved", user->reserved },
		       { "leased", user->leased },
		       { "open", user->open },
		       { "quarantined", user->quarantined } };

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		put(out, "pmemarena_user_bytes{arena=\"%s\",uid=\"%s\",state=\"%s\"} %" PRIu64 "\n",
		    arena, uid, states[i].state, states[i].bytes);
}

static int write_users_of(struct page *out, const struct served *served)
{
	struct arena_user top[USERS_MAX], rest;
	uint32_t nr = USERS_MAX;
	int r = arena_users(top, &nr, &rest, served->arena);
	char uid[16];

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < nr; i++) {
		snprintf(uid, sizeof(uid), "%" PRIu32, top[i].uid);
		write_user(out, served->name, uid, &top[i]);
	}
	write_user(out, served->name, "other", &rest);
	return 0;
}

static int write_users(struct page *out, const struct service *service)
{
	int r = 0;

	family(out, "user_bytes", "gauge", "bytes",
	       "What users have reserved, leased, open and in quarantine: the 20 with the most, "
	       "and all others as one.");
	for (uint32_t i = 0; i < service->nr_arenas && r == 0; i++) {
		if (service->arenas[i].arena)
			r = write_users_of(out, &service->arenas[i]);
	}
	return r;
}

static int write_arenas(struct page *out, const struct service *service)
{
	struct arena_stats *stats = calloc(service->nr_arenas + 1, sizeof(*stats));

	if (!stats)
		return -ENOMEM;
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].arena)
			arena_stats(service->arenas[i].arena, &stats[i]);
	}
	write_states(out, service);
	write_owners(out, service);
	for (size_t s = 0; s < sizeof(samples) / sizeof(*samples); s++) {
		if (samples[s].type)
			family(out, samples[s].name, samples[s].type, samples[s].unit,
			       samples[s].help);
		for (uint32_t i = 0; i < service->nr_arenas; i++) {
			if (service->arenas[i].arena)
				write_sample(out, &samples[s], service->arenas[i].name, &stats[i]);
		}
	}
	write_fragmentation(out, service, stats);
	free(stats);
	return write_users(out, service);
}

/* ---- requests ---- */

/* The buckets of OpenMetrics are cumulative: each counts what is at most its bound. */
static void write_histogram(struct page *out, const char *operation,
			    const struct histogram *histogram)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (i < HISTOGRAM_BUCKETS - 1)
			put(out,
			    "pmemarena_request_seconds_bucket{operation=\"%s\",le=\"%g\"} %" PRIu64
			    "\n",
			    operation, (double)histogram_bound(i) / 1e9, seen);
	}
	put(out, "pmemarena_request_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
	    operation, seen);
	put(out, "pmemarena_request_seconds_count{operation=\"%s\"} %" PRIu64 "\n", operation,
	    histogram->count);
	put(out, "pmemarena_request_seconds_sum{operation=\"%s\"} %.9f\n", operation,
	    (double)histogram->sum_ns / 1e9);
}

static void write_by_operation(struct page *out, const char *name, const char *help,
			       const uint64_t *values)
{
	family(out, name, "counter", NULL, help);
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++)
		put(out, "pmemarena_%s_total{operation=\"%s\"} %" PRIu64 "\n", name,
		    wire_opcode_name(opcode), values[opcode]);
}

static void write_requests(struct page *out, const struct counters *counters)
{
	write_by_operation(out, "operations", "Operations asked for, each item of a batch.",
			   counters->items);
	write_by_operation(out, "operations_refused", "Operations answered with an error.",
			   counters->refused);
	family(out, "request_seconds", "histogram", "seconds",
	       "From a message to its reply; one message in eight, and each that had to wait, is "
	       "timed.");
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++)
		write_histogram(out, wire_opcode_name(opcode), &counters->latency[opcode]);
	counter(out, "messages", "Messages of clients.", counters->messages);
	counter(out, "messages_waited", "Messages that waited for space to be scrubbed.",
		counters->parked);
	counter(out, "protocol_errors", "Connections ended for not keeping the protocol.",
		counters->protocol_errors);
	counter(out, "events_sent", "Events sent to clients.", counters->events_sent);
	counter(out, "events_lost", "Events dropped because a client did not read.",
		counters->events_lost);
}

static void write_daemon(struct page *out, const struct service *service)
{
	const struct counters *counters = &service->counters;

	family(out, "build", "info", NULL, "The daemon.");
	put(out, "pmemarena_build_info{version=\"%s\",", PACKAGE_VERSION);
	put_host(out, "nodename", service->host.name);
	put(out, "} 1\n");
	family(out, "uptime_seconds", "gauge", "seconds", "Since the daemon was started.");
	put(out, "pmemarena_uptime_seconds %.3f\n",
	    (double)(service_now_ns() - service->started_mono_ns) / 1e9);
	family(out, "sessions", "gauge", NULL, "Connected sessions.");
	put(out, "pmemarena_sessions %" PRIu32 "\n", service->nr_sessions);
	counter(out, "sessions_begun", "Sessions begun.", counters->sessions_begun);
	counter(out, "sessions_resumed", "Sessions taken up again after the daemon was replaced.",
		counters->sessions_resumed);
	counter(out, "sessions_refused", "Sessions refused.", counters->sessions_refused);
	counter(out, "sessions_orphaned",
		"Sessions that did not come back after the daemon was replaced.",
		counters->sessions_orphaned);
}

/* ---- all ---- */

int metrics_write(void *arg, char **text, size_t *length)
{
	const struct service *service = arg;
	struct page page;
	int r = page_begin(&page, text, length);

	if (r < 0)
		return r;
	if (write_arenas(&page, service) < 0)
		page.has_failed = true;
	write_requests(&page, &service->counters);
	write_daemon(&page, service);
	put(&page, "# EOF\n");
	return page_end(&page, text);
}
