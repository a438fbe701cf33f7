/* SPDX-License-Identifier: BSD-3-Clause */
/* stats: shows the numbers of the daemon and its arenas. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

/* One line for a number of bytes. */
static void line(const struct ctl *ctl, struct json_object *from, const char *what, const char *key)
{
	char text[CTL_TEXT];

	ctl_line(what, ctl_size(text, ctl, ctl_get_u64(from, key)));
}

/*
 * Prints what the descriptors of base pages cost: the memory that they take, what they would take
 * if no pages of descriptors were shared, and the mappings that the sharing needs, of which the
 * kernel allows a process only so many (vm.max_map_count).
 */
static void show_memmap(const struct ctl *ctl, struct json_object *memmap)
{
	char text[CTL_TEXT];

	line(ctl, memmap, "  descriptors", "bytes_now");
	line(ctl, memmap, "  if not shared", "bytes_flat");
	snprintf(text, sizeof(text), "%s of %s", ctl_get_string(memmap, "sections_active"),
		 ctl_get_string(memmap, "sections"));
	ctl_line("  active sections", text);
	ctl_line("  split pages", ctl_get_string(memmap, "pages_split"));
	snprintf(text, sizeof(text), "%s done, %s failed, %s put off",
		 ctl_get_string(memmap, "dedups"), ctl_get_string(memmap, "dedup_failures"),
		 ctl_get_string(memmap, "dedups_put_off"));
	ctl_line("  dedups", text);
	snprintf(text, sizeof(text), "%s done, %s failed", ctl_get_string(memmap, "restores"),
		 ctl_get_string(memmap, "restore_failures"));
	ctl_line("  restores", text);
	snprintf(text, sizeof(text), "%s of at most %s", ctl_get_string(memmap, "vmas_used"),
		 ctl_get_string(memmap, "vmas_limit"));
	ctl_line("  mappings (VMAs)", text);
}

/*
 * Writes what the last start found. All numbers are shown, also those that are 0: that nothing was
 * damaged is what an operator wants to read after a power cut.
 */
char *ctl_last_start(char text[CTL_TEXT], struct json_object *start)
{
	char when[CTL_TEXT];

	snprintf(text, CTL_TEXT,
		 "%.32s: %s mended, %s damaged, %s unfinished dropped; of the ledger %s broken and "
		 "%s outdated dropped",
		 ctl_time(when, ctl_get_u64(start, "at_ns")), ctl_get_string(start, "mended"),
		 ctl_get_string(start, "damaged"), ctl_get_string(start, "unfinished"),
		 ctl_get_string(start, "ledger_broken"), ctl_get_string(start, "ledger_outdated"));
	return text;
}

/*
 * Prints how many records had one bad copy that was made anew from the other: at the start, or by
 * the verifier while the arena is served. A number that grows says that the device is going bad.
 */
static void show_mended(struct json_object *arena)
{
	struct json_object *start = ctl_get(arena, "last_start");
	char text[CTL_TEXT], when[CTL_TEXT];

	snprintf(text, sizeof(text), "%s%s%.32s", ctl_get_string(arena, "records_mended"),
		 ctl_get(arena, "mended_ns") ? ", last " : "",
		 ctl_get(arena, "mended_ns") ? ctl_time(when, ctl_get_u64(arena, "mended_ns"))
					     : "");
	ctl_line("  records mended", text);
	if (start)
		ctl_line("  last start", ctl_last_start(text, start));
}

/*
 * Prints an arena: space first, then allocations, then what was done since the start. What is 0 on
 * most arenas (bad pages, windows, ended sessions) is shown only when it is not 0.
 */
static void show_arena(const struct ctl *ctl, struct json_object *arena)
{
	char text[CTL_TEXT];

	printf("\narena %s: %s\n", ctl_get_string(arena, "name"), ctl_arena_state(text, arena));
	line(ctl, arena, "  size", "size");
	line(ctl, arena, "  used", "used");
	line(ctl, arena, "  reserved", "reserved");
	line(ctl, arena, "  leased", "leased");
	line(ctl, arena, "  quarantined", "quarantined");
	ctl_show_withheld(ctl, arena, "  ");
	line(ctl, arena, "  free", "free");
	line(ctl, arena, "    in split pages", "free_split");
	line(ctl, arena, "    known zero", "known_zero");
	if (ctl_get_u64(arena, "remains"))
		line(ctl, arena, "    kept as it is", "remains");
	line(ctl, arena, "    largest extent", "largest_free");
	snprintf(text, sizeof(text), "%s, fragmentation %.3f",
		 ctl_get_string(arena, "free_extents"),
		 json_object_get_double(ctl_get(arena, "fragmentation")));
	ctl_line("    extents", text);
	if (ctl_get_u64(arena, "poisoned"))
		line(ctl, arena, "  poisoned", "poisoned");
	snprintf(text, sizeof(text), "%s published, %s reserved, %s freeing",
		 ctl_get_string(arena, "published_allocations"),
		 ctl_get_string(arena, "reserved_allocations"),
		 ctl_get_string(arena, "freeing_allocations"));
	ctl_line("  allocations", text);
	snprintf(text, sizeof(text), "%s of %s", ctl_get_string(arena, "slots_used"),
		 ctl_get_string(arena, "slots_total"));
	ctl_line("  table slots", text);
	if (ctl_get_u64(arena, "windows")) {
		ctl_line("  windows", ctl_get_string(arena, "windows"));
		ctl_line("  pins", ctl_get_string(arena, "pins"));
	}
	if (ctl_get_u64(arena, "ended_sessions"))
		ctl_line("  ended, still mapped", ctl_get_string(arena, "ended_sessions"));
	ctl_line("  settles", ctl_get_string(arena, "settles"));
	ctl_line("  recalls", ctl_get_string(arena, "recalls"));
	if (ctl_get_u64(arena, "evictable") || ctl_get_u64(arena, "evictions")) {
		line(ctl, arena, "  evictable", "evictable");
		ctl_line("  evictions", ctl_get_string(arena, "evictions"));
		line(ctl, arena, "  evicted", "evicted_bytes");
	}
	line(ctl, arena, "  scrubbed", "scrubbed_bytes");
	show_mended(arena);
	show_memmap(ctl, ctl_get(arena, "memmap"));
}

/*
 * Prints a line for each operation. The latencies are upper bounds of the buckets of the daemon's
 * histogram, which keeps no single values; an operation that was never timed has a dash.
 */
static void show_operations(struct json_object *operations)
{
	static const char *const columns[] = { "OPERATION", ">ITEMS",  ">REFUSED",
					       ">P50 <=",   ">P99 <=", NULL };
	struct ctl_table *table = ctl_table_new(columns);
	char text[CTL_TEXT];

	for (size_t i = 0; i < json_object_array_length(operations); i++) {
		struct json_object *operation = ctl_at(operations, i);

		if (ctl_get_u64(operation, "items") == 0)
			continue;
		ctl_table_row(table);
		ctl_table_cell(table, ctl_get_string(operation, "operation"));
		ctl_table_cell(table, ctl_get_string(operation, "items"));
		ctl_table_cell(table, ctl_get_string(operation, "refused"));
		ctl_table_cell(table, ctl_get_u64(operation, "timed_messages")
					      ? ctl_duration(text, ctl_get_u64(operation, "p50_ns"))
					      : "-");
		ctl_table_cell(table, ctl_get_u64(operation, "timed_messages")
					      ? ctl_duration(text, ctl_get_u64(operation, "p99_ns"))
					      : "-");
	}
	putchar('\n');
	ctl_table_print(table);
}

/*
 * Prints all numbers. They count from the start of this daemon; only those of space are as of now.
 */
static void show(const struct ctl *ctl, struct json_object *result)
{
	struct json_object *arenas = ctl_get(result, "arenas"),
			   *sessions = ctl_get(result, "sessions"),
			   *requests = ctl_get(result, "requests");
	char text[CTL_TEXT];

	ctl_line("up", ctl_duration(text, ctl_get_u64(result, "uptime_ns")));
	snprintf(text, sizeof(text), "%s now, %s begun, %s resumed, %s refused, %s orphaned",
		 ctl_get_string(sessions, "now"), ctl_get_string(sessions, "begun"),
		 ctl_get_string(sessions, "resumed"), ctl_get_string(sessions, "refused"),
		 ctl_get_string(sessions, "orphaned"));
	ctl_line("sessions", text);
	snprintf(text, sizeof(text), "%s, %s waited for scrubbing",
		 ctl_get_string(requests, "messages"),
		 ctl_get_string(requests, "waited_for_scrubbing"));
	ctl_line("messages", text);
	for (size_t i = 0; i < json_object_array_length(arenas); i++)
		show_arena(ctl, ctl_at(arenas, i));
	if (ctl_get_u64(requests, "messages"))
		show_operations(ctl_get(requests, "operations"));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_stats, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_call(&result, ctl, "stats", NULL);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_stats = {
	"stats", "", "Show space, memory for descriptors, sessions and latencies in numbers", NULL,
	run
};
