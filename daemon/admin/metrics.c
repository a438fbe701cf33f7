/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics: the numbers of `stats` for a monitoring system. It changes nothing. Units are bytes and
 * seconds, and there are few labels.
 */
#include <config.h>

#include "daemon/admin/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/admin/http.h"
#include "daemon/arena/arena_stats.h"
#include "lib/wire/conn.h"

#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct metrics {
	struct http *http;              /* owned */
};

/* ---- writing ---- */

struct page {
	FILE *stream;                   /* owned */
	/* memory ran short, and something is missing in the document */
	bool  has_failed;
};

__attribute__((format(printf, 2, 3))) static void put(struct page *out, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	out->has_failed |= vfprintf(out->stream, format, ap) < 0;
	va_end(ap);
}

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

		put(out, "pmemarena_arena_online{arena=\"%s\"} %d\n", served->name,
		    served->arena && arena_state(served->arena, &reason) == ARENA_ONLINE);
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
	struct arena_stats *stats = calloc(service->nr_arenas, sizeof(*stats));

	if (!stats)
		return -ENOMEM;
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].arena)
			arena_stats(service->arenas[i].arena, &stats[i]);
	}
	write_states(out, service);
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
	put(out, "pmemarena_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
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

/* ---- http ---- */

/*
 * Writes the document in memory. A document in which something is missing is not served: a
 * monitoring system would take the numbers that are left for all.
 */
static int write_all(void *arg, char **text, size_t *length)
{
	const struct service *service = arg;
	struct page page = { .stream = open_memstream(text, length) };

	if (!page.stream)
		return -ENOMEM;
	if (write_arenas(&page, service) < 0)
		page.has_failed = true;
	write_requests(&page, &service->counters);
	write_daemon(&page, service);
	put(&page, "# EOF\n");
	if (fclose(page.stream) == 0 && !page.has_failed)
		return 0;
	free(*text);
	return -ENOMEM;
}

/* Listens at the first address where that is possible; a host may have several. */
static int listen_at(const struct addrinfo *address)
{
	int r = -EADDRNOTAVAIL, sock;

	for (; address; address = address->ai_next) {
		sock = socket(address->ai_family,
			      address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      address->ai_protocol);
		if (sock >= 0 &&
		    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0 &&
		    bind(sock, address->ai_addr, address->ai_addrlen) == 0 &&
		    listen(sock, SOMAXCONN) == 0)
			return sock;
		r = -errno;
		if (sock >= 0)
			close(sock);
	}
	return r;
}

/* Listens at "ADDRESS:PORT" or "[ADDRESS]:PORT". The configuration was checked before. */
static int listen_on_address(const char *text)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*addresses;
	char host[CONFIG_SOCKET_MAX];
	const char *colon = strrchr(text, ':');
	size_t len = (size_t)(colon - text);
	bool is_bracketed = text[0] == '[' && text[len - 1] == ']';
	int r;

	memcpy(host, text + is_bracketed, len - 2 * is_bracketed);
	host[len - 2 * is_bracketed] = '\0';
	r = getaddrinfo(host, colon + 1, &hints, &addresses);
	if (r != 0)
		return r == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
	r = listen_at(addresses);
	freeaddrinfo(addresses);
	return r;
}

int metrics_new(struct metrics **out, struct event_base *base, const struct service *service,
		struct why *why)
{
	const char *where = service->config.daemon.metrics_listen;
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	int sock, r;

	if (!metrics)
		return why_set(why, -ENOMEM, "out of memory");
	sock = where[0] == '/' ? conn_listen(where, SOCK_STREAM, 0666) : listen_on_address(where);
	if (sock < 0) {
		free(metrics);
		return why_set(why, sock, "metrics-listen %s: %s", where, strerror(-sock));
	}
	r = http_new(&metrics->http, base, sock,
		     &(struct http_document){ .path = "/metrics",
					      .type = CONTENT_TYPE,
					      .write = write_all,
					      .arg = (void *)(uintptr_t)service });
	if (r < 0) {
		free(metrics);
		return why_set(why, r, "metrics-listen %s: the loop cannot wait for it: %s", where,
			       strerror(-r));
	}
	*out = metrics;
	return 0;
}

void metrics_tick(struct metrics *metrics)
{
	if (metrics)
		http_tick(metrics->http, service_now_ns());
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	http_free(metrics->http);
	free(metrics);
}
