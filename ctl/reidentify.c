/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reidentify: gives a copy of an arena a UUID of its own. It runs the daemon's program for that,
 * since no daemon may serve the arena meanwhile.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

static const char help[] =
	"Gives a copy of an arena a UUID of its own, so that both can be served by one daemon. "
	"DEVICE is the copy; no daemon serves it.\n"
	"Names, ids, owners and contents stay. When it is interrupted, do it again: until then "
	"nobody can open the copy.\n"
	"\n"
	"      --metadata WHERE      when it is neither on DEVICE nor beside it\n"
	"      --force               DEVICE was used by another host that did not close it, or its "
	"parts are of different age\n";

/*
 * Gives the arena a new UUID, by the daemon's program, on a device that nobody serves. Two arenas
 * of one UUID cannot be served together, since the daemon names its files by it.
 */
static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *metadata = NULL, *args[10] = { "pmemarenad", "--reidentify" };
	bool force = false;
	const struct ctl_option options[] = { { "metadata", &metadata, NULL },
					      { "force", NULL, &force },
					      { NULL, NULL, NULL } };
	struct json_object *result;
	char *out = NULL, text[CTL_TEXT];
	int n = 2, status;

	if (!ctl_begin(&status, ctl, &ctl_reidentify, argc, argv, options, 1, 1))
		return status;
	args[n++] = argv[1];
	if (metadata) {
		args[n++] = "--metadata";
		args[n++] = metadata;
	}
	if (force)
		args[n++] = "--force";
	status = ctl_run_daemon(&out, args);
	result = status == CTL_DONE && out ? json_tokener_parse(out) : NULL;
	if (result && !ctl_print_json(ctl, result))
		printf("%s is an arena of its own: uuid %s, it was %s\n",
		       ctl_sentence(text, ctl_get_string(result, "device")),
		       ctl_get_string(result, "uuid"), ctl_get_string(result, "was"));
	json_object_put(result);
	free(out);
	return status;
}

const struct ctl_command ctl_reidentify = { "reidentify", "DEVICE [--metadata WHERE]",
					    "Give a copy of an arena a UUID of its own", help,
					    run };
