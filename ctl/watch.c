/* SPDX-License-Identifier: BSD-3-Clause */
/* watch: events as they happen, until interrupted. */
#include <config.h>

#include <pmemarena.h>
#include <stdio.h>

#include "ctl/ctl.h"

static void show(const struct ctl *ctl, struct json_object *event)
{
	char name[CTL_TEXT], size[CTL_TEXT];

	printf("%s %s %s size %s uid %s id %s\n", ctl_get_string(event, "event"), ctl_get_string(event, "arena"), ctl_name(name, event),
	       ctl_size(size, ctl, ctl_get_u64(event, "size")), ctl_get_string(event, "uid"), ctl_get_string(event, "id"));
}

static bool take(const char *json, void *arg)
{
	const struct ctl *ctl = arg;
	struct json_object *event;

	if (ctl->json) {
		puts(json);
	} else {
		event = json_tokener_parse(json);
		show(ctl, event);
		json_object_put(event);
	}
	/* Whoever reads it through a pipe wants it now; one that does not read any more ends it. */
	return fflush(stdout) == 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status, r;

	if (!ctl_begin(&status, ctl, &ctl_watch, argc, argv, NULL, 0, 0))
		return status;
	r = pma_admin_watch(ctl->admin_socket, "watch", NULL, take, ctl);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

const struct ctl_command ctl_watch = { "watch", "", "Show what happens to allocations as it happens, a line an event", NULL, run };
