/* SPDX-License-Identifier: BSD-3-Clause */
/* watch: shows events as they happen, until it is interrupted. */
#include <config.h>

#include <pmemarena.h>
#include <stdio.h>

#include "ctl/ctl.h"

static void show(const struct ctl *ctl, struct json_object *event)
{
	char name[CTL_TEXT], size[CTL_TEXT];

	printf("%s %s %s size %s uid %s id %s\n", ctl_get_string(event, "event"),
	       ctl_get_string(event, "arena"), ctl_name(name, event),
	       ctl_size(size, ctl, ctl_get_u64(event, "size")), ctl_get_string(event, "uid"),
	       ctl_get_string(event, "id"));
}

static bool take(const char *json, void *arg)
{
	const struct ctl *ctl = arg;
	struct json_object *event;

	if (ctl->json) {
		ctl_put_json(json);
		putchar('\n');
	} else {
		event = json_tokener_parse(json);
		show(ctl, event);
		json_object_put(event);
	}
	/*
	 * Flushes after each event, so that a reader behind a pipe gets it at once. When the reader
	 * is gone this fails, and the command ends.
	 */
	return ctl_flush() == 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status, r;

	if (!ctl_begin(&status, ctl, &ctl_watch, argc, argv, NULL, 0, 0))
		return status;
	/*
	 * First asks whether the daemon is there, within the timeout. After that no event may come
	 * for days, so the wait for events has no timeout.
	 */
	status = ctl_call(&result, ctl, "ping", NULL);
	if (status != CTL_DONE)
		return status;
	json_object_put(result);
	r = pma_admin_watch(ctl->admin_socket, "watch", NULL, take, ctl);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

const struct ctl_command ctl_watch = {
	"watch", "", "Show what happens to allocations as it happens, a line an event", NULL, run
};
