/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics: the numbers of `stats` for a monitoring system. It reads and never changes; base units, few labels.
 */
#include <config.h>

#include "daemon/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/conn.h"

#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct metrics {
	struct evhttp *http;            /* owned, with its socket */
	const struct service *service;  /* borrowed */
};

/* ---- writing ---- */

static void family(struct evbuffer *out, const char *name, const char *type, const char *unit, const char *help)
{
	evbuffer_add_printf(out, "# TYPE pmemarena_%s %s\n", name, type);
	if (unit)
		evbuffer_add_printf(out, "# UNIT pmemarena_%s %s\n", name, unit);
	evbuffer_add_printf(out, "# HELP pmemarena_%s %s\n", name, help);
}

static void counter(struct evbuffer *out, const char *name, const char *help, uint64_t value)
{
	family(out, name, "counter", NULL, help);
	evbuffer_add_printf(out, "pmemarena_%s_total %" PRIu64 "\n", name, value);
}

/* ---- arenas: one family, one line an arena ---- */

struct sample {
	const char *name, *type, *unit, *help;
	const char *label;              /* NULL, or a further one: `state="used"` */
	size_t      offset;             /* of a uint64_t in struct arena_stats */
};

#define STAT(field) offsetof(struct arena_stats, field)

/* Neighbours of one name are one family. */
static const struct sample samples[] = {
	{ "size_bytes", "gauge", "bytes", "What clients can have.", NULL, STAT(size) },
	{ "space_bytes", "gauge", "bytes", "Space by state.", "state=\"used\"", STAT(used) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"reserved\"", STAT(reserved) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"leased\"", STAT(leased) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"quarantined\"", STAT(quarantined) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"free\"", STAT(free) },
	{ "space_bytes", NULL, NULL, NULL, "state=\"poisoned\"", STAT(poisoned) },
	{ "known_zero_bytes", "gauge", "bytes", "Free space that needs no scrubbing before it is handed out.", NULL, STAT(known_zero) },
	{ "free_split_bytes", "gauge", "bytes", "Free space in split pages, for small allocations of their owners.", NULL, STAT(free_split) },
	{ "largest_free_extent_bytes", "gauge", "bytes", "The largest free extent of whole pages; a larger request is served from several.", NULL, STAT(largest_free) },
	{ "free_extents", "gauge", NULL, "Pieces that free space is in.", NULL, STAT(free_extents) },
	{ "allocations", "gauge", NULL, "Allocations by state.", "state=\"published\"", STAT(nr_published) },
	{ "allocations", NULL, NULL, NULL, "state=\"reserved\"", STAT(nr_reserved) },
	{ "allocations", NULL, NULL, NULL, "state=\"freeing\"", STAT(nr_freeing) },
	{ "table_slots", "gauge", NULL, "Slots of the allocation table.", NULL, STAT(slots_total) },
	{ "table_slots_used", "gauge", NULL, "Slots in use.", NULL, STAT(slots_used) },
	{ "settles", "counter", NULL, "Commits to the device.", NULL, STAT(settles) },
	{ "recalls", "counter", NULL, "Times that a request found no room and leases were asked back.", NULL, STAT(recalls) },
	{ "records_written", "counter", NULL, "Records written to the table.", NULL, STAT(records_written) },
	{ "records_mended", "counter", NULL, "Records rewritten because the device had something else.", NULL, STAT(records_mended) },
	{ "scrubbed_bytes", "counter", "bytes", "Space made to read as zeroes.", NULL, STAT(scrubbed_bytes) },
	{ "opens", "gauge", NULL, "Allocations that sessions have open.", NULL, STAT(holds) },
	{ "memmap_flat_bytes", "gauge", "bytes", "Descriptors, if nothing were deduplicated.", NULL, STAT(memmap.bytes_flat) },
	{ "memmap_bytes", "gauge", "bytes", "Memory that descriptors take, measured.", NULL, STAT(memmap.bytes_now) },
	{ "memmap_sections", "gauge", NULL, "Sections of 128 MiB.", NULL, STAT(memmap.sections) },
	{ "memmap_sections_active", "gauge", NULL, "Sections whose descriptors exist.", NULL, STAT(memmap.sections_active) },
	{ "memmap_pages_split", "gauge", NULL, "Compound pages with tails of their own.", NULL, STAT(memmap.pages_split) },
	{ "memmap_vmas", "gauge", NULL, "Mappings of the daemon.", NULL, STAT(memmap.vmas_used) },
	{ "memmap_vmas_limit", "gauge", NULL, "Mappings that it may have (vm.max_map_count).", NULL, STAT(memmap.vmas_limit) },
	{ "memmap_dedups", "counter", NULL, "Compound pages whose tails were deduplicated.", NULL, STAT(memmap.dedups) },
	{ "memmap_restores", "counter", NULL, "Compound pages whose tails were restored.", NULL, STAT(memmap.restores) },
	{ "memmap_dedup_failures", "counter", NULL, "Deduplications that failed.", NULL, STAT(memmap.dedup_failures) },
	{ "memmap_restore_failures", "counter", NULL, "Restores that failed.", NULL, STAT(memmap.restore_failures) },
	{ "memmap_dedups_put_off", "counter", NULL, "Deduplications left for later.", NULL, STAT(memmap.dedups_put_off) },
};

static void write_sample(struct evbuffer *out, const struct sample *sample, const char *arena, const struct arena_stats *stats)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + sample->offset, sizeof(value));
	evbuffer_add_printf(out, "pmemarena_%s%s{arena=\"%s\"%s%s} %" PRIu64 "\n", sample->name,
			    strcmp(sample->type ? sample->type : "gauge", "counter") == 0 ? "_total" : "", arena, sample->label ? "," : "",
			    sample->label ? sample->label : "", value);
}

/* A closed arena has no numbers, but a state. */
static void write_states(struct evbuffer *out, const struct service *service)
{
	const char *reason;

	family(out, "arena_online", "gauge", NULL, "1: online; 0: damaged or offline.");
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];

		evbuffer_add_printf(out, "pmemarena_arena_online{arena=\"%s\"} %d\n", served->name,
				    served->arena && arena_state(served->arena, &reason) == ARENA_ONLINE);
	}
}

static void write_fragmentation(struct evbuffer *out, const struct service *service, const struct arena_stats *stats)
{
	family(out, "fragmentation_ratio", "gauge", "ratio", "1 - largest free extent / free space.");
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].arena)
			evbuffer_add_printf(out, "pmemarena_fragmentation_ratio{arena=\"%s\"} %g\n", service->arenas[i].name,
					    stats[i].fragmentation);
	}
}

static int write_arenas(struct evbuffer *out, const struct service *service)
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
			family(out, samples[s].name, samples[s].type, samples[s].unit, samples[s].help);
		for (uint32_t i = 0; i < service->nr_arenas; i++) {
			if (service->arenas[i].arena)
				write_sample(out, &samples[s], service->arenas[i].name, &stats[i]);
		}
	}
	write_fragmentation(out, service, stats);
	free(stats);
	return 0;
}

/* ---- requests ---- */

static void write_histogram(struct evbuffer *out, const char *operation, const struct histogram *histogram)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (i < HISTOGRAM_BUCKETS - 1)
			evbuffer_add_printf(out, "pmemarena_request_seconds_bucket{operation=\"%s\",le=\"%g\"} %" PRIu64 "\n", operation,
					    (double)histogram_bound(i) / 1e9, seen);
	}
	evbuffer_add_printf(out, "pmemarena_request_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", operation, seen);
	evbuffer_add_printf(out, "pmemarena_request_seconds_count{operation=\"%s\"} %" PRIu64 "\n", operation, histogram->count);
	evbuffer_add_printf(out, "pmemarena_request_seconds_sum{operation=\"%s\"} %.9f\n", operation, (double)histogram->sum_ns / 1e9);
}

static void write_by_operation(struct evbuffer *out, const char *name, const char *help, const uint64_t *values)
{
	family(out, name, "counter", NULL, help);
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++)
		evbuffer_add_printf(out, "pmemarena_%s_total{operation=\"%s\"} %" PRIu64 "\n", name, wire_opcode_name(opcode), values[opcode]);
}

static void write_requests(struct evbuffer *out, const struct counters *counters)
{
	write_by_operation(out, "operations", "Operations asked for, each item of a batch.", counters->items);
	write_by_operation(out, "operations_refused", "Operations answered with an error.", counters->refused);
	family(out, "request_seconds", "histogram", "seconds", "From a message to its reply; one message in eight, and each that had to wait, is timed.");
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++)
		write_histogram(out, wire_opcode_name(opcode), &counters->latency[opcode]);
	counter(out, "messages", "Messages of clients.", counters->messages);
	counter(out, "messages_waited", "Messages that waited for space to be scrubbed.", counters->parked);
	counter(out, "protocol_errors", "Connections ended for not keeping the protocol.", counters->protocol_errors);
	counter(out, "events_sent", "Events sent to clients.", counters->events_sent);
	counter(out, "events_lost", "Events dropped because a client did not read.", counters->events_lost);
}

static void write_daemon(struct evbuffer *out, const struct service *service)
{
	const struct counters *counters = &service->counters;

	family(out, "build", "info", NULL, "The daemon.");
	evbuffer_add_printf(out, "pmemarena_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	family(out, "uptime_seconds", "gauge", "seconds", "Since the daemon was started.");
	evbuffer_add_printf(out, "pmemarena_uptime_seconds %.3f\n", (double)(service_now_ns() - service->started_mono_ns) / 1e9);
	family(out, "sessions", "gauge", NULL, "Connected sessions.");
	evbuffer_add_printf(out, "pmemarena_sessions %" PRIu32 "\n", service->nr_sessions);
	counter(out, "sessions_begun", "Sessions begun.", counters->sessions_begun);
	counter(out, "sessions_resumed", "Sessions taken up again after the daemon was replaced.", counters->sessions_resumed);
	counter(out, "sessions_refused", "Sessions refused.", counters->sessions_refused);
	counter(out, "sessions_orphaned", "Sessions that did not come back after the daemon was replaced.", counters->sessions_orphaned);
}

/* ---- http ---- */

static void on_get(struct evhttp_request *request, void *arg)
{
	const struct metrics *metrics = arg;
	struct evbuffer *out = evbuffer_new();

	if (!out || write_arenas(out, metrics->service) < 0) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		write_requests(out, &metrics->service->counters);
		write_daemon(out, metrics->service);
		evbuffer_add_printf(out, "# EOF\n");
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", CONTENT_TYPE);
		evhttp_send_reply(request, HTTP_OK, "OK", out);
	}
	if (out)
		evbuffer_free(out);
}

static int listen_on_path(struct evhttp *http, const char *path, struct why *why)
{
	int sock = conn_listen(path, SOCK_STREAM, 0666);

	if (sock < 0)
		return why_set(why, sock, "metrics-listen %s: %s", path, strerror(-sock));
	if (evhttp_accept_socket(http, sock) < 0) {
		close(sock);
		return why_set(why, -ENOMEM, "metrics-listen %s: out of memory", path);
	}
	return 0;
}

/* ADDRESS:PORT or [ADDRESS]:PORT; the configuration was checked. */
static int listen_on_address(struct evhttp *http, const char *text, struct why *why)
{
	char host[CONFIG_SOCKET_MAX];
	const char *colon = strrchr(text, ':');
	size_t len = (size_t)(colon - text);
	bool is_bracketed = text[0] == '[' && text[len - 1] == ']';

	memcpy(host, text + is_bracketed, len - 2 * is_bracketed);
	host[len - 2 * is_bracketed] = '\0';
	if (evhttp_bind_socket(http, host, (uint16_t)strtoul(colon + 1, NULL, 10)) < 0)
		return why_set(why, errno ? -errno : -EADDRNOTAVAIL, "metrics-listen %s: %s", text, strerror(errno ? errno : EADDRNOTAVAIL));
	return 0;
}

int metrics_new(struct metrics **out, struct event_base *base, const struct service *service, struct why *why)
{
	const char *where = service->config.daemon.metrics_listen;
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	int r;

	if (!metrics)
		return why_set(why, -ENOMEM, "out of memory");
	metrics->service = service;
	metrics->http = evhttp_new(base);
	if (!metrics->http) {
		free(metrics);
		return why_set(why, -ENOMEM, "out of memory");
	}
	evhttp_set_allowed_methods(metrics->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(metrics->http, 8192);
	evhttp_set_max_body_size(metrics->http, 0);
	evhttp_set_timeout(metrics->http, 10);
	evhttp_set_cb(metrics->http, "/metrics", on_get, metrics);
	errno = 0;
	r = where[0] == '/' ? listen_on_path(metrics->http, where, why) : listen_on_address(metrics->http, where, why);
	if (r < 0) {
		metrics_free(metrics);
		return r;
	}
	*out = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	evhttp_free(metrics->http);
	free(metrics);
}
