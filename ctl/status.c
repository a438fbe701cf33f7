/* SPDX-License-Identifier: BSD-3-Clause */
/* status: shows how the daemon and its arenas are. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/ctl.h"

/*
 * Shows that a process has locked bytes by which the daemon knows who has the arena mapped, and
 * which process it is.
 */
static void show_foreign_lock(struct json_object *found, long daemon)
{
	uint64_t first = ctl_get_u64(found, "first"), length = ctl_get_u64(found, "length");
	char range[CTL_TEXT], who[CTL_TEXT];
	long pid;

	if (!found)
		return;
	snprintf(range, sizeof(range), " %" PRIu64 " %" PRIu64, first, first + length - 1);
	if (!length)
		snprintf(range, sizeof(range), " %" PRIu64 " EOF", first);
	pid = ctl_get(found, "pid")
		      ? (long)ctl_get_u64(found, "pid")
		      : ctl_find_lock_holder(ctl_get_string(found, "inode"), range, daemon);
	if (pid)
		ctl_describe_process(who, pid);
	else
		snprintf(who, sizeof(who), "a process that only root can find; ask again as root");
	ctl_line(json_object_get_boolean(ctl_get(found, "write")) ? "  write-locked by"
								  : "  read-locked by",
		 who);
}

/* The most foreign marks that are shown one by one; a program may have taken thousands. */
#define FOREIGN_MARKS_MAX 10

/* Says what the mark costs, and what ends it: nobody can take the lock away from the process. */
static void say_foreign_mark(const char *who, struct json_object *session)
{
	printf("\n%s has the mark of session %s of uid %s in arena %s, which is over: what that "
	       "had stays quarantined until the process ends\n",
	       who, ctl_get_string(session, "session"), ctl_get_string(session, "uid"),
	       ctl_get_string(session, "arena"));
}

/*
 * Shows processes that have put locks on the marks of sessions of other users. Once such a session
 * is over the daemon cannot tell the lock from the session's own mark, and what the session had
 * stays quarantined. Only root can see whose descriptor it is.
 */
static void show_foreign_marks(struct ctl *ctl, long daemon)
{
	struct ctl_marks marks = { 0 };
	struct json_object *result, *ended;
	unsigned nr = 0;

	if (geteuid() != 0 || ctl_call(&result, ctl, "sessions", NULL) != CTL_DONE)
		return;
	ended = ctl_get(result, "ended");
	if (json_object_array_length(ended))
		ctl_read_marks(&marks, daemon);
	for (size_t i = 0; i < json_object_array_length(ended); i++) {
		struct json_object *session = ctl_at(ended, i);
		const struct ctl_mark *mark;

		for (size_t at = 0; (mark = ctl_next_mark(&at, &marks, session));) {
			char who[CTL_TEXT];

			if (!ctl_is_foreign(mark, session) || nr++ >= FOREIGN_MARKS_MAX)
				continue;
			ctl_describe_process(who, mark->pid);
			say_foreign_mark(who, session);
		}
	}
	if (nr > FOREIGN_MARKS_MAX)
		printf("\nand %u more marks of others\n", nr - FOREIGN_MARKS_MAX);
	free(marks.list);
	json_object_put(result);
}

/*
 * Prints the state of an arena. One whose device is not there has a state and a reason, and nothing
 * else.
 */
static void show_arena(const struct ctl *ctl, struct json_object *arena, long daemon)
{
	struct json_object *device = ctl_get(arena, "device");
	char text[CTL_TEXT], size[CTL_TEXT];

	printf("\narena %s: %s\n", ctl_get_string(arena, "name"), ctl_arena_state(text, arena));
	if (ctl_get(arena, "reason"))
		ctl_line("  reason", ctl_get_string(arena, "reason"));
	if (!device)
		return;
	ctl_line("  uuid", ctl_get_string(arena, "uuid"));
	ctl_line("  size", ctl_size(text, ctl, ctl_get_u64(arena, "size")));
	ctl_line("  page size", ctl_size(text, ctl, ctl_get_u64(arena, "page_size")));
	snprintf(text, sizeof(text), "%s (%s)", ctl_get_string(device, "path"),
		 ctl_get_string(device, "mode"));
	ctl_line("  device", text);
	ctl_line("  align", ctl_size(size, ctl, ctl_get_u64(device, "align")));
	ctl_line("  NUMA node", ctl_get_string(device, "target_node"));
	ctl_line("  persistence domain", ctl_get_string(device, "persistence_domain"));
	ctl_line("  health", ctl_get_string(device, "health"));
	ctl_line("  bad blocks", ctl_get_string(device, "badblocks"));
	ctl_line("  unsafe shutdowns", ctl_get_string(device, "unsafe_shutdowns"));
	ctl_line("  flushed by", ctl_get_string(arena, "granularity"));
	ctl_line("  metadata", ctl_get_string(arena, "metadata"));
	ctl_show_withheld(ctl, arena, "  ");
	show_foreign_lock(ctl_get(arena, "foreign_lock"), daemon);
}

/*
 * Returns a limit as text. What the configuration does not limit is absent from the answer, and
 * shown as "no limit".
 */
static const char *limit(struct json_object *quota, const char *key)
{
	return ctl_get(quota, key) ? ctl_get_string(quota, key) : "no limit";
}

/*
 * Shows the quota of a user who has no section of its own in the configuration, so that the
 * operator sees what any user may take.
 */
static void show_quota(const struct ctl *ctl, struct json_object *quota)
{
	char text[CTL_TEXT], bytes[CTL_TEXT];

	if (!quota)
		return;
	snprintf(text, sizeof(text), "bytes %s, allocations %s, sessions %s, leased bytes %s",
		 ctl_get(quota, "bytes") ? ctl_size(bytes, ctl, ctl_get_u64(quota, "bytes"))
					 : "no limit (any user may fill an arena)",
		 limit(quota, "allocations"), limit(quota, "sessions"),
		 limit(quota, "leased_bytes"));
	ctl_line("  quota of a user", text);
}

/*
 * Prints the daemon first, then each arena. The search for foreign locks leaves out the daemon
 * itself, which has locks on its devices too.
 */
static void show(struct ctl *ctl, struct json_object *result)
{
	struct json_object *arenas = ctl_get(result, "arenas"),
			   *sessions = ctl_get(result, "sessions");
	char text[CTL_TEXT];

	printf("pmemarenad %s: %s\n", ctl_get_string(result, "version"),
	       ctl_get_string(result, "state"));
	ctl_line("  pid", ctl_get_string(result, "pid"));
	ctl_line("  up", ctl_duration(text, ctl_get_u64(result, "uptime_ns")));
	ctl_line("  since", ctl_time(text, ctl_get_u64(result, "started_ns")));
	snprintf(text, sizeof(text), "%s of at most %s", ctl_get_string(sessions, "now"),
		 ctl_get_string(sessions, "limit"));
	ctl_line("  sessions", text);
	if (ctl_get_u64(sessions, "awaited"))
		ctl_line("  awaited", ctl_get_string(sessions, "awaited"));
	show_quota(ctl, ctl_get(result, "default_quota"));
	ctl_line("  socket", ctl_get_string(result, "socket"));
	ctl_line("  kernel", ctl_get_string(result, "kernel"));
	for (size_t i = 0; i < json_object_array_length(arenas); i++)
		show_arena(ctl, ctl_at(arenas, i), (long)ctl_get_u64(result, "pid"));
	show_foreign_marks(ctl, (long)ctl_get_u64(result, "pid"));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_status_command, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_call(&result, ctl, "status", NULL);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_status_command = { "status", "",
						"Show how the daemon and its arenas are", NULL,
						run };
