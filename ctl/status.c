/* SPDX-License-Identifier: BSD-3-Clause */
/* status: how the daemon and its arenas are. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

static void show_arena(const struct ctl *ctl, struct json_object *arena)
{
	struct json_object *device = ctl_get(arena, "device");
	char text[CTL_TEXT], size[CTL_TEXT];

	printf("\narena %s: %s\n", ctl_get_string(arena, "name"), ctl_get_string(arena, "state"));
	if (ctl_get(arena, "reason"))
		ctl_line("  reason", ctl_get_string(arena, "reason"));
	if (!device)
		return;
	ctl_line("  uuid", ctl_get_string(arena, "uuid"));
	ctl_line("  size", ctl_size(text, ctl, ctl_get_u64(arena, "size")));
	ctl_line("  page size", ctl_size(text, ctl, ctl_get_u64(arena, "page_size")));
	snprintf(text, sizeof(text), "%s (%s)", ctl_get_string(device, "path"), ctl_get_string(device, "mode"));
	ctl_line("  device", text);
	ctl_line("  align", ctl_size(size, ctl, ctl_get_u64(device, "align")));
	ctl_line("  NUMA node", ctl_get_string(device, "target_node"));
	ctl_line("  persistence domain", ctl_get_string(device, "persistence_domain"));
	ctl_line("  health", ctl_get_string(device, "health"));
	ctl_line("  bad blocks", ctl_get_string(device, "badblocks"));
	ctl_line("  unsafe shutdowns", ctl_get_string(device, "unsafe_shutdowns"));
	ctl_line("  flushed by", ctl_get_string(arena, "granularity"));
	ctl_line("  metadata", ctl_get_string(arena, "metadata"));
}

static void show(const struct ctl *ctl, struct json_object *result)
{
	struct json_object *arenas = ctl_get(result, "arenas"), *sessions = ctl_get(result, "sessions");
	char text[CTL_TEXT];

	printf("pmemarenad %s: %s\n", ctl_get_string(result, "version"), ctl_get_string(result, "state"));
	ctl_line("  pid", ctl_get_string(result, "pid"));
	ctl_line("  up", ctl_duration(text, ctl_get_u64(result, "uptime_ns")));
	ctl_line("  since", ctl_time(text, ctl_get_u64(result, "started_ns")));
	snprintf(text, sizeof(text), "%s of at most %s", ctl_get_string(sessions, "now"), ctl_get_string(sessions, "limit"));
	ctl_line("  sessions", text);
	if (ctl_get_u64(sessions, "awaited"))
		ctl_line("  awaited", ctl_get_string(sessions, "awaited"));
	ctl_line("  socket", ctl_get_string(result, "socket"));
	ctl_line("  kernel", ctl_get_string(result, "kernel"));
	for (size_t i = 0; i < json_object_array_length(arenas); i++)
		show_arena(ctl, ctl_at(arenas, i));
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

const struct ctl_command ctl_status_command = { "status", "", "Show how the daemon and its arenas are", NULL, run };
