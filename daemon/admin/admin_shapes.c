/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_shapes: how arenas, allocations, events and counters look in JSON. Numbers are integers, in
 * bytes or nanoseconds. A key is always there, and null where there is nothing to say.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/escape.h"

struct json_object *admin_shape(void)
{
	struct json_object *shape = shape_object();

	shape_put_i64(shape, "schema", ADMIN_SCHEMA);
	return shape;
}

/* ---- names ---- */

static void put_attributes(struct json_object *to, const struct alloc *alloc)
{
	char hex[2 * ALLOC_MAX_ATTRIBUTES + 1] = "";
	const uint8_t *bytes = alloc->attributes;

	for (size_t i = 0; i < alloc->attributes_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	shape_put_string(to, "attributes_hex", alloc->attributes_len ? hex : NULL);
}

void admin_put_name(struct json_object *to, const char *name, size_t len)
{
	char hex[2 * ALLOC_MAX_NAME + 1] = "";
	bool is_text = len > 0 && escape_is_utf8(name, len);

	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
	if (is_text)
		shape_put_bytes(to, "name", name, len);
	else
		shape_put_null(to, "name");
	shape_put_string(to, "name_hex", len > 0 && !is_text ? hex : NULL);
}

/* ---- arenas ---- */

static const char *state_name(enum arena_state state)
{
	return state == ARENA_ONLINE ? "online" : state == ARENA_DAMAGED ? "damaged" : "offline";
}

/* Adds a UUID in its usual form, as "01234567-89ab-cdef-0123-456789abcdef". */
static void put_uuid(struct json_object *to, const uint8_t uuid[16])
{
	char text[37];

	for (int i = 0, at = 0; i < 16; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%02x%s", uuid[i],
			       i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
	shape_put_string(to, "uuid", text);
}

static struct json_object *shape_device(const struct device_info *info)
{
	struct json_object *to = shape_object();

	shape_put_string(to, "path", info->path);
	shape_put_string(to, "chardev", info->chardev[0] ? info->chardev : NULL);
	shape_put_string(to, "mode", info->mode);
	shape_put_u64(to, "size", info->size);
	shape_put_u64(to, "align", info->align);
	shape_put_u64_if(to, "resource", info->resource != UINT64_MAX, info->resource);
	shape_put_u64_if(to, "target_node", info->numa_node >= 0, (uint64_t)info->numa_node);
	shape_put_u64_if(to, "region", info->region_id >= 0, (uint64_t)info->region_id);
	shape_put_string(to, "persistence_domain", info->persistence);
	shape_put_string(to, "health", info->health);
	shape_put_u64_if(to, "unsafe_shutdowns", info->unsafe_shutdowns >= 0,
			 (uint64_t)info->unsafe_shutdowns);
	shape_put_u64_if(to, "badblocks", info->nr_badblocks >= 0, (uint64_t)info->nr_badblocks);
	return to;
}

/* Adds how the arena comes and goes: whether it is drained, going, and in a file. */
static void put_changes(struct json_object *to, const struct service *service, uint32_t index)
{
	shape_put_bool(to, "drained", service_is_drained(service, index));
	shape_put_bool(to, "leaving", service->arenas[index].is_leaving);
	shape_put_bool(to, "added", service->arenas[index].is_added);
}

/* Shows a process that has a lock over the bytes of marks and is no session. */
static struct json_object *shape_stranger(const struct device_stranger *stranger)
{
	struct json_object *to = shape_object();

	shape_put_u64_if(to, "pid", stranger->pid != 0, (uint64_t)stranger->pid);
	shape_put_u64_if(to, "uid", stranger->uid != UINT32_MAX, stranger->uid);
	shape_put_string(to, "command", stranger->comm[0] ? stranger->comm : NULL);
	shape_put_string(to, "inode", stranger->inode);
	shape_put_bool(to, "write", stranger->is_write);
	shape_put_u64(to, "first", stranger->first);
	shape_put_u64_if(to, "length", stranger->len != 0, stranger->len);
	return to;
}

struct json_object *admin_shape_arena(const struct service *service, uint32_t index)
{
	const struct served *served = &service->arenas[index];
	struct json_object *to = shape_object();
	const struct arena_identity *identity;
	const struct device_stranger *stranger;
	const char *reason;

	shape_put_u64(to, "index", index);
	shape_put_string(to, "name", served->name);
	put_changes(to, service, index);
	if (!served->arena) {
		shape_put_string(to, "state", "offline");
		shape_put_string(to, "reason", served->reason);
		for (const char *const *key =
			     (const char *const[]){ "uuid", "size", "page_size", "data_offset",
						    "slots", "metadata", "granularity", "device",
						    "owner", "term", "withheld", "withheld_for",
						    "foreign_lock",
						    NULL };
		     *key; key++)
			shape_put_null(to, *key);
		return to;
	}
	identity = arena_identity(served->arena);
	shape_put_string(to, "state", state_name(arena_state(served->arena, &reason)));
	shape_put_string(to, "reason", reason[0] ? reason : NULL);
	put_uuid(to, identity->uuid);
	shape_put_u64(to, "size", identity->size);
	shape_put_u64(to, "page_size", identity->page_size);
	shape_put_u64(to, "data_offset", identity->data_off);
	shape_put_u64(to, "slots", identity->nr_slots);
	shape_put_string(to, "metadata", identity->metadata);
	shape_put_string(to, "granularity",
			 media_granularity_name(arena_granularity(served->arena)));
	shape_put(to, "device", shape_device(device_info(arena_device(served->arena))));
	admin_put_withheld(to, served->arena);
	stranger = device_stranger(arena_device(served->arena));
	if (stranger)
		shape_put(to, "foreign_lock", shape_stranger(stranger));
	else
		shape_put_null(to, "foreign_lock");
	return to;
}

/* ---- allocations ---- */

struct json_object *admin_shape_alloc(const struct service *service, uint32_t index,
				      const struct alloc *alloc)
{
	struct json_object *to = shape_object();
	const struct hold *hold;
	uint64_t nr_holds = 0;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc)
		nr_holds++;
	shape_put_string(to, "arena", service->arenas[index].name);
	shape_put_u64(to, "slot", alloc->slot);
	shape_put_u64(to, "id", alloc->id);
	admin_put_name(to, alloc->name, alloc->name ? alloc->name_len : 0);
	shape_put_string(to, "state",
			 alloc->state == ALLOC_PUBLISHED  ? "published"
			 : alloc->state == ALLOC_RESERVED ? "reserved"
							  : "freeing");
	shape_put_u64(to, "size", alloc_bytes(alloc));
	shape_put_u64(to, "uid", alloc->uid);
	shape_put_u64(to, "gid", alloc->gid);
	shape_put_u64(to, "mode", alloc->mode);
	shape_put_u64(to, "extents", alloc->nr_extents);
	shape_put_u64(to, "version", alloc->version);
	shape_put_u64(to, "created_ns", alloc->created_ns);
	shape_put_u64(to, "open_by", nr_holds);
	shape_put_bool(to, "poisoned", alloc->is_poisoned);
	shape_put_bool(to, "evictable", alloc->is_evictable);
	shape_put_bool(to, "leased", alloc->is_lease);
	put_attributes(to, alloc);
	return to;
}

struct json_object *admin_shape_extents(const struct arena *arena, const struct alloc *alloc)
{
	struct json_object *list = shape_array();

	for (uint32_t i = 0; i < alloc->nr_extents; i++) {
		struct extent extent = arena_extent(arena, alloc, i);
		struct json_object *to = shape_object();

		shape_put_u64(to, "offset", extent.off);
		shape_put_u64(to, "size", extent.len);
		shape_append(list, to);
	}
	return list;
}

struct json_object *admin_shape_event(const struct service *service, uint32_t index,
				      const struct arena_event *event, bool tells_place)
{
	static const char *const kinds[] = {
		[ARENA_PUBLISHED] = "published", [ARENA_FREED] = "freed",
		[ARENA_RENAMED] = "renamed",	 [ARENA_RESIZED] = "resized",
		[ARENA_CHANGED] = "changed",	 [ARENA_POISONED] = "poisoned",
		[ARENA_RECALL] = "recall",	 [ARENA_WENT_OFFLINE] = "arena-offline",
		[ARENA_EVICTED] = "evicted",	 [ARENA_CAME] = "arena-added",
		[ARENA_LEFT] = "arena-removed",
		[ARENA_MOVED] = "moved",
	};
	bool is_moved = event->kind == ARENA_MOVED && tells_place;
	bool is_freed = event->kind == ARENA_MOVED && !tells_place;
	struct json_object *to = admin_shape();

	shape_put_string(to, "event", kinds[is_freed ? ARENA_FREED : event->kind]);
	shape_put_string(to, "arena", service->arenas[index].name);
	shape_put_u64(to, "slot", event->slot);
	shape_put_u64(to, "id", event->id);
	admin_put_name(to, event->name, event->name_len);
	shape_put_u64(to, "size", event->len);
	shape_put_u64(to, "uid", event->uid);
	shape_put_u64(to, "gid", event->gid);
	shape_put_u64(to, "mode", event->mode);
	if (is_moved) {
		shape_put_string(to, "to_arena", service->arenas[event->to.arena].name);
		shape_put_u64(to, "to_slot", event->to.slot);
		shape_put_u64(to, "to_id", event->to.id);
	}
	return to;
}

/* ---- numbers ---- */

static struct json_object *shape_memmap(const struct memmap_stats *stats)
{
	struct json_object *to = shape_object();

	shape_put_u64(to, "bytes_flat", stats->bytes_flat);
	shape_put_u64(to, "bytes_now", stats->bytes_now);
	shape_put_u64(to, "sections", stats->sections);
	shape_put_u64(to, "sections_active", stats->sections_active);
	shape_put_u64(to, "pages_split", stats->pages_split);
	shape_put_u64(to, "pages_idle", stats->pages_idle);
	shape_put_u64(to, "vmas_used", stats->vmas_used);
	shape_put_u64(to, "vmas_limit", stats->vmas_limit);
	shape_put_u64(to, "dedups", stats->dedups);
	shape_put_u64(to, "restores", stats->restores);
	shape_put_u64(to, "dedup_failures", stats->dedup_failures);
	shape_put_u64(to, "restore_failures", stats->restore_failures);
	shape_put_u64(to, "dedups_put_off", stats->dedups_put_off);
	shape_put_u64(to, "pool_slots", stats->pool_slots);
	shape_put_u64(to, "pool_slots_free", stats->pool_slots_free);
	shape_put_bool(to, "backing_is_huge", stats->backing_is_huge);
	return to;
}

void admin_put_start(struct json_object *to, const struct arena_stats *stats)
{
	const struct arena_start *start = &stats->start;
	struct json_object *shape;

	if (start->when_ns) {
		shape = shape_object();
		shape_put_u64(shape, "at_ns", start->when_ns);
		shape_put_u64(shape, "mended", start->mended);
		shape_put_u64(shape, "damaged", start->damaged);
		shape_put_u64(shape, "unfinished", start->unfinished);
		shape_put_u64(shape, "ledger_broken", start->ledger_broken);
		shape_put_u64(shape, "ledger_outdated", start->ledger_outdated);
		shape_put(to, "last_start", shape);
	} else {
		shape_put_null(to, "last_start");
	}
	shape_put_u64_if(to, "mended_ns", stats->mended_ns, stats->mended_ns);
}

struct json_object *admin_shape_arena_stats(const struct service *service, uint32_t index)
{
	const struct served *served = &service->arenas[index];
	struct json_object *to = shape_object();
	struct arena_stats stats;
	const char *reason;

	shape_put_string(to, "name", served->name);
	shape_put_string(to, "state",
			 served->arena ? state_name(arena_state(served->arena, &reason))
				       : "offline");
	shape_put_bool(to, "drained", service_is_drained(service, index));
	memset(&stats, 0, sizeof(stats));
	if (served->arena)
		arena_stats(served->arena, &stats);
	shape_put_u64(to, "size", stats.size);
	shape_put_u64(to, "used", stats.used);
	shape_put_u64(to, "leased", stats.leased);
	shape_put_u64(to, "reserved", stats.reserved);
	shape_put_u64(to, "quarantined", stats.quarantined);
	shape_put_u64(to, "free", stats.free);
	shape_put_u64(to, "free_split", stats.free_split);
	admin_put_withheld(to, served->arena);
	shape_put_u64(to, "known_zero", stats.known_zero);
	shape_put_u64(to, "remains", stats.remains);
	shape_put_u64(to, "largest_free", stats.largest_free);
	shape_put_u64(to, "free_extents", stats.free_extents);
	shape_put_double(to, "fragmentation", stats.fragmentation);
	shape_put_u64(to, "poisoned", stats.poisoned);
	shape_put_u64(to, "published_allocations", stats.nr_published);
	shape_put_u64(to, "reserved_allocations", stats.nr_reserved);
	shape_put_u64(to, "freeing_allocations", stats.nr_freeing);
	shape_put_u64(to, "slots_total", stats.slots_total);
	shape_put_u64(to, "slots_used", stats.slots_used);
	shape_put_u64(to, "settles", stats.settles);
	shape_put_u64(to, "recalls", stats.recalls);
	shape_put_u64(to, "evictable", stats.evictable);
	shape_put_u64(to, "evictable_allocations", stats.nr_evictable);
	shape_put_u64(to, "evictions", stats.evictions);
	shape_put_u64(to, "evicted_bytes", stats.evicted_bytes);
	shape_put_u64(to, "records_written", stats.records_written);
	shape_put_u64(to, "records_mended", stats.records_mended);
	admin_put_start(to, &stats);
	shape_put_u64(to, "scrubbed_bytes", stats.scrubbed_bytes);
	shape_put_u64(to, "holders", stats.holders);
	shape_put_u64(to, "holds", stats.holds);
	shape_put_u64(to, "ended_sessions", stats.ended);
	shape_put_u64(to, "windows", stats.windows);
	shape_put_u64(to, "pins", stats.pins);
	shape_put_u64(to, "cataloged_allocations", stats.cataloged);
	shape_put(to, "memmap", shape_memmap(&stats.memmap));
	return to;
}

/*
 * Shows the counters of one operation. Bucket n of the histogram counts what took less than 2^n
 * microseconds.
 */
static struct json_object *shape_operation(const struct counters *counters, uint16_t opcode)
{
	const struct histogram *latency = &counters->latency[opcode];
	struct json_object *to = shape_object(), *buckets = shape_array();

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		shape_append_u64(buckets, latency->buckets[i]);
	shape_put_string(to, "operation", wire_opcode_name(opcode));
	shape_put_u64(to, "items", counters->items[opcode]);
	shape_put_u64(to, "refused", counters->refused[opcode]);
	shape_put_u64(to, "timed_messages", latency->count);
	shape_put_u64(to, "timed_ns", latency->sum_ns);
	shape_put_u64(to, "p50_ns", histogram_percentile(latency, 50));
	shape_put_u64(to, "p99_ns", histogram_percentile(latency, 99));
	shape_put(to, "buckets_1us_doubling", buckets);
	return to;
}

struct json_object *admin_shape_counters(const struct counters *counters)
{
	struct json_object *to = shape_object(), *operations = shape_array();

	shape_put_u64(to, "messages", counters->messages);
	shape_put_u64(to, "waited_for_scrubbing", counters->parked);
	shape_put_u64(to, "protocol_errors", counters->protocol_errors);
	shape_put_u64(to, "events_sent", counters->events_sent);
	shape_put_u64(to, "events_lost", counters->events_lost);
	for (uint16_t opcode = WIRE_ATTACH; opcode < WIRE_OPCODES; opcode++)
		shape_append(operations, shape_operation(counters, opcode));
	shape_put(to, "operations", operations);
	return to;
}

/* ---- the picture ---- */

static bool is_same(const struct arena_section *a, const struct arena_section *b)
{
	return a->active == b->active && a->nr_pages == b->nr_pages && a->nr_used == b->nr_used &&
	       a->nr_split == b->nr_split && a->nr_poisoned == b->nr_poisoned &&
	       a->nr_scrubbing == b->nr_scrubbing;
}

/* Adds @nr neighbouring sections that look like @section; none if @nr is 0. */
static void add_run(struct json_object *list, const struct arena_section *section, uint64_t nr)
{
	struct json_object *to = shape_object();

	if (nr == 0) {
		json_object_put(to);
		return;
	}
	shape_put_u64(to, "count", nr);
	shape_put_bool(to, "active", section->active);
	shape_put_u64(to, "pages", section->nr_pages);
	shape_put_u64(to, "used", section->nr_used);
	shape_put_u64(to, "split", section->nr_split);
	shape_put_u64(to, "poisoned", section->nr_poisoned);
	shape_put_u64(to, "scrubbing", section->nr_scrubbing);
	shape_append(list, to);
}

struct json_object *admin_shape_map(const struct arena *arena)
{
	struct json_object *list = shape_array();
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
