/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_shapes: how things look in JSON. Numbers are raw integers in bytes or nanoseconds; a key is always there, null where there is
 * nothing to say.
 */
#include <config.h>

#include "daemon/admin_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_object *admin_shape(void)
{
	struct json_object *shape = json_object_new_object();

	admin_put_i64(shape, "schema", ADMIN_SCHEMA);
	return shape;
}

void admin_put_u64(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

void admin_put_i64(struct json_object *to, const char *key, int64_t value)
{
	json_object_object_add(to, key, json_object_new_int64(value));
}

void admin_put_string(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, value ? json_object_new_string(value) : NULL);
}

void admin_put_bool(struct json_object *to, const char *key, bool value)
{
	json_object_object_add(to, key, json_object_new_boolean(value));
}

/* ---- names ---- */

/* How many bytes follow a lead byte; -1: it is none. */
static int utf8_tail(unsigned char lead)
{
	if (lead < 0x80)
		return 0;
	if (lead >= 0xc2 && lead < 0xe0)
		return 1;
	if (lead >= 0xe0 && lead < 0xf0)
		return 2;
	return lead >= 0xf0 && lead < 0xf5 ? 3 : -1;
}

/* Not shorter than it could be, no surrogate, not past the last character. */
static bool is_good_second(unsigned char lead, unsigned char second)
{
	return !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second >= 0xa0) && !(lead == 0xf0 && second < 0x90) &&
	       !(lead == 0xf4 && second >= 0x90);
}

static bool is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;

	while (p < end) {
		int tail = utf8_tail(*p);

		if (tail < 0 || end - p <= tail || (tail > 0 && !is_good_second(p[0], p[1])))
			return false;
		for (int i = 1; i <= tail; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
		}
		p += tail + 1;
	}
	return true;
}

void admin_put_name(struct json_object *to, const char *name, size_t len)
{
	char hex[2 * ALLOC_MAX_NAME + 1] = "";
	bool is_text = len > 0 && is_utf8(name, len);

	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
	json_object_object_add(to, "name", is_text ? json_object_new_string_len(name, (int)len) : NULL);
	json_object_object_add(to, "name_hex", len > 0 && !is_text ? json_object_new_string(hex) : NULL);
}

/* ---- arenas ---- */

static const char *state_name(enum arena_state state)
{
	return state == ARENA_ONLINE ? "online" : state == ARENA_DAMAGED ? "damaged" : "offline";
}

static void put_uuid(struct json_object *to, const uint8_t uuid[16])
{
	char text[37];

	for (int i = 0, at = 0; i < 16; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%02x%s", uuid[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
	admin_put_string(to, "uuid", text);
}

static struct json_object *shape_device(const struct device_info *info)
{
	struct json_object *to = json_object_new_object();

	admin_put_string(to, "path", info->path);
	admin_put_string(to, "chardev", info->chardev[0] ? info->chardev : NULL);
	admin_put_string(to, "mode", info->mode);
	admin_put_u64(to, "size", info->size);
	admin_put_u64(to, "align", info->align);
	json_object_object_add(to, "resource", info->resource == UINT64_MAX ? NULL : json_object_new_uint64(info->resource));
	json_object_object_add(to, "target_node", info->numa_node < 0 ? NULL : json_object_new_int(info->numa_node));
	json_object_object_add(to, "region", info->region_id < 0 ? NULL : json_object_new_int(info->region_id));
	admin_put_string(to, "persistence_domain", info->persistence);
	admin_put_string(to, "health", info->health);
	json_object_object_add(to, "unsafe_shutdowns", info->unsafe_shutdowns < 0 ? NULL : json_object_new_int64(info->unsafe_shutdowns));
	admin_put_u64(to, "badblocks", info->nr_badblocks);
	return to;
}

struct json_object *admin_shape_arena(const struct service *service, uint32_t index)
{
	const struct served *served = &service->arenas[index];
	struct json_object *to = json_object_new_object();
	const struct arena_identity *identity;
	const char *reason;

	admin_put_u64(to, "index", index);
	admin_put_string(to, "name", served->name);
	if (!served->arena) {
		admin_put_string(to, "state", "offline");
		admin_put_string(to, "reason", served->reason);
		for (const char *const *key = (const char *const[]){ "uuid", "size", "page_size", "data_offset", "slots", "metadata", "granularity", "device", NULL }; *key; key++)
			json_object_object_add(to, *key, NULL);
		return to;
	}
	identity = arena_identity(served->arena);
	admin_put_string(to, "state", state_name(arena_state(served->arena, &reason)));
	admin_put_string(to, "reason", reason[0] ? reason : NULL);
	put_uuid(to, identity->uuid);
	admin_put_u64(to, "size", identity->size);
	admin_put_u64(to, "page_size", identity->page_size);
	admin_put_u64(to, "data_offset", identity->data_off);
	admin_put_u64(to, "slots", identity->nr_slots);
	admin_put_string(to, "metadata", identity->metadata);
	admin_put_string(to, "granularity", media_granularity_name(arena_granularity(served->arena)));
	json_object_object_add(to, "device", shape_device(device_info(arena_device(served->arena))));
	return to;
}

/* ---- allocations ---- */

struct json_object *admin_shape_alloc(const struct service *service, uint32_t index, const struct alloc *alloc)
{
	struct json_object *to = json_object_new_object();
	const struct hold *hold;
	uint64_t nr_holds = 0;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		nr_holds++;
	admin_put_string(to, "arena", service->arenas[index].name);
	admin_put_u64(to, "slot", alloc->slot);
	admin_put_u64(to, "id", alloc->id);
	admin_put_name(to, alloc->name, alloc->name ? alloc->name_len : 0);
	admin_put_string(to, "state", alloc->state == ALLOC_PUBLISHED ? "published" : alloc->state == ALLOC_RESERVED ? "reserved" : "freeing");
	admin_put_u64(to, "size", arena_alloc_bytes(alloc));
	admin_put_u64(to, "uid", alloc->uid);
	admin_put_u64(to, "gid", alloc->gid);
	admin_put_u64(to, "mode", alloc->mode);
	admin_put_u64(to, "extents", alloc->nr_extents);
	admin_put_u64(to, "version", alloc->version);
	admin_put_u64(to, "created_ns", alloc->created_ns);
	admin_put_u64(to, "open_by", nr_holds);
	admin_put_bool(to, "poisoned", alloc->is_poisoned);
	admin_put_bool(to, "leased", alloc->is_lease);
	return to;
}

struct json_object *admin_shape_extents(const struct arena *arena, const struct alloc *alloc)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent extent = arena_extent(arena, alloc, i);
		struct json_object *to = json_object_new_object();

		admin_put_u64(to, "offset", extent.off);
		admin_put_u64(to, "size", extent.len);
		json_object_array_add(list, to);
	}
	return list;
}

struct json_object *admin_shape_event(const struct service *service, uint32_t index, const struct arena_event *event)
{
	static const char *const kinds[] = {
		[ARENA_PUBLISHED] = "published", [ARENA_FREED] = "freed", [ARENA_RENAMED] = "renamed", [ARENA_RESIZED] = "resized",
		[ARENA_CHANGED] = "changed", [ARENA_POISONED] = "poisoned", [ARENA_RECALL] = "recall", [ARENA_WENT_OFFLINE] = "arena-offline",
	};
	struct json_object *to = admin_shape();

	admin_put_string(to, "event", kinds[event->kind]);
	admin_put_string(to, "arena", service->arenas[index].name);
	admin_put_u64(to, "slot", event->slot);
	admin_put_u64(to, "id", event->id);
	admin_put_name(to, event->name, event->name_len);
	admin_put_u64(to, "size", event->len);
	admin_put_u64(to, "uid", event->uid);
	admin_put_u64(to, "gid", event->gid);
	admin_put_u64(to, "mode", event->mode);
	return to;
}

/* ---- numbers ---- */

static struct json_object *shape_memmap(const struct memmap_stats *stats)
{
	struct json_object *to = json_object_new_object();

	admin_put_u64(to, "bytes_flat", stats->bytes_flat);
	admin_put_u64(to, "bytes_now", stats->bytes_now);
	admin_put_u64(to, "sections", stats->sections);
	admin_put_u64(to, "sections_active", stats->sections_active);
	admin_put_u64(to, "pages_split", stats->pages_split);
	admin_put_u64(to, "pages_idle", stats->pages_idle);
	admin_put_u64(to, "vmas_used", stats->vmas_used);
	admin_put_u64(to, "vmas_limit", stats->vmas_limit);
	admin_put_u64(to, "dedups", stats->dedups);
	admin_put_u64(to, "restores", stats->restores);
	admin_put_u64(to, "dedup_failures", stats->dedup_failures);
	admin_put_u64(to, "restore_failures", stats->restore_failures);
	admin_put_u64(to, "dedups_put_off", stats->dedups_put_off);
	admin_put_u64(to, "pool_slots", stats->pool_slots);
	admin_put_u64(to, "pool_slots_free", stats->pool_slots_free);
	admin_put_bool(to, "backing_is_huge", stats->backing_is_huge);
	return to;
}

struct json_object *admin_shape_arena_stats(const struct service *service, uint32_t index)
{
	const struct served *served = &service->arenas[index];
	struct json_object *to = json_object_new_object();
	struct arena_stats stats;
	const char *reason;

	admin_put_string(to, "name", served->name);
	admin_put_string(to, "state", served->arena ? state_name(arena_state(served->arena, &reason)) : "offline");
	memset(&stats, 0, sizeof(stats));
	if (served->arena)
		arena_stats(served->arena, &stats);
	admin_put_u64(to, "size", stats.size);
	admin_put_u64(to, "used", stats.used);
	admin_put_u64(to, "leased", stats.leased);
	admin_put_u64(to, "reserved", stats.reserved);
	admin_put_u64(to, "quarantined", stats.quarantined);
	admin_put_u64(to, "free", stats.free);
	admin_put_u64(to, "free_split", stats.free_split);
	admin_put_u64(to, "known_zero", stats.known_zero);
	admin_put_u64(to, "largest_free", stats.largest_free);
	admin_put_u64(to, "free_extents", stats.free_extents);
	json_object_object_add(to, "fragmentation", json_object_new_double(stats.fragmentation));
	admin_put_u64(to, "poisoned", stats.poisoned);
	admin_put_u64(to, "published_allocations", stats.nr_published);
	admin_put_u64(to, "reserved_allocations", stats.nr_reserved);
	admin_put_u64(to, "freeing_allocations", stats.nr_freeing);
	admin_put_u64(to, "slots_total", stats.slots_total);
	admin_put_u64(to, "slots_used", stats.slots_used);
	admin_put_u64(to, "settles", stats.settles);
	admin_put_u64(to, "recalls", stats.recalls);
	admin_put_u64(to, "records_written", stats.records_written);
	admin_put_u64(to, "records_mended", stats.records_mended);
	admin_put_u64(to, "scrubbed_bytes", stats.scrubbed_bytes);
	admin_put_u64(to, "holders", stats.holders);
	admin_put_u64(to, "holds", stats.holds);
	json_object_object_add(to, "memmap", shape_memmap(&stats.memmap));
	return to;
}

static struct json_object *shape_operation(const struct counters *counters, uint16_t opcode)
{
	const struct histogram *latency = &counters->latency[opcode];
	struct json_object *to = json_object_new_object(), *buckets = json_object_new_array();

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		json_object_array_add(buckets, json_object_new_uint64(latency->buckets[i]));
	admin_put_string(to, "operation", wire_opcode_name(opcode));
	admin_put_u64(to, "items", counters->items[opcode]);
	admin_put_u64(to, "refused", counters->refused[opcode]);
	admin_put_u64(to, "timed_messages", latency->count);
	admin_put_u64(to, "timed_ns", latency->sum_ns);
	admin_put_u64(to, "p50_ns", histogram_percentile(latency, 50));
	admin_put_u64(to, "p99_ns", histogram_percentile(latency, 99));
	json_object_object_add(to, "buckets_1us_doubling", buckets);
	return to;
}

struct json_object *admin_shape_counters(const struct counters *counters)
{
	struct json_object *to = json_object_new_object(), *operations = json_object_new_array();

	admin_put_u64(to, "messages", counters->messages);
	admin_put_u64(to, "waited_for_scrubbing", counters->parked);
	admin_put_u64(to, "protocol_errors", counters->protocol_errors);
	admin_put_u64(to, "events_sent", counters->events_sent);
	admin_put_u64(to, "events_lost", counters->events_lost);
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++)
		json_object_array_add(operations, shape_operation(counters, opcode));
	json_object_object_add(to, "operations", operations);
	return to;
}

/* ---- the picture ---- */

static bool is_same(const struct arena_section *a, const struct arena_section *b)
{
	return a->active == b->active && a->nr_pages == b->nr_pages && a->nr_used == b->nr_used && a->nr_split == b->nr_split &&
	       a->nr_poisoned == b->nr_poisoned && a->nr_scrubbing == b->nr_scrubbing;
}

static void add_run(struct json_object *list, const struct arena_section *section, uint64_t nr)
{
	struct json_object *to = json_object_new_object();

	if (nr == 0) {
		json_object_put(to);
		return;
	}
	admin_put_u64(to, "count", nr);
	admin_put_bool(to, "active", section->active);
	admin_put_u64(to, "pages", section->nr_pages);
	admin_put_u64(to, "used", section->nr_used);
	admin_put_u64(to, "split", section->nr_split);
	admin_put_u64(to, "poisoned", section->nr_poisoned);
	admin_put_u64(to, "scrubbing", section->nr_scrubbing);
	json_object_array_add(list, to);
}

/* Neighbours that look alike are one entry: most of a large arena is. */
struct json_object *admin_shape_map(const struct arena *arena)
{
	struct json_object *list = json_object_new_array();
	struct arena_section run = { 0 }, section;
	uint64_t nr = 0;

	for (uint64_t i = 0; arena_section(arena, i, &section) == 0; i++) {
		if (nr > 0 && !is_same(&run, &section)) {
			add_run(list, &run, nr);
			nr = 0;
		}
		run = section;
		nr++;
	}
	add_run(list, &run, nr);
	return list;
}
