/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * take-over: the operator vouches that the hosts which had an arena are fenced. It runs the
 * daemon's program for that, since no daemon may serve the arena meanwhile.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

static const char help[] =
	"Takes an arena over from the hosts that had it before. DEVICE is what it lies on; no "
	"daemon serves it, here or there.\n"
	"Only when those hosts are certainly down, were booted since, or are cut off from DEVICE: "
	"what a process there has mapped is given to others by the next start.\n"
	"\n"
	"      --fenced BY           what made certain of it, as \"power off by the BMC\": for the "
	"log\n"
	"      --metadata WHERE      when it is neither on DEVICE nor beside it\n"
	"      --dry-run             only say which hosts they are, and change nothing\n";

static void show(struct json_object *result)
{
	struct json_object *hosts = ctl_get(result, "taken_from");
	bool is_dry = json_object_get_boolean(ctl_get(result, "dry_run"));
	char text[CTL_TEXT], name[CTL_TEXT];

	if (json_object_array_length(hosts) == 0)
		printf("%s: no other host has to do with it; nothing %s changed\n",
		       ctl_sentence(text, ctl_get_string(result, "device")),
		       is_dry ? "would be" : "was");
	for (size_t i = 0; i < json_object_array_length(hosts); i++) {
		struct json_object *host = ctl_at(hosts, i);
		const char *key = ctl_get(host, "identity") ? "identity" : "machine_id";

		printf("%s: %s over from host %s (%s)\n",
		       ctl_sentence(text, ctl_get_string(result, "device")),
		       is_dry ? "would be taken" : "taken",
		       ctl_get(host, "name") ? ctl_sentence(name, ctl_get_string(host, "name"))
					     : "unknown",
		       ctl_get_string(host, key));
	}
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *metadata = NULL, *fenced = NULL;
	const char *args[10] = { "pmemarenad", "--take-over" };
	bool dry_run = false;
	const struct ctl_option options[] = { { "fenced", &fenced, NULL },
					      { "metadata", &metadata, NULL },
					      { "dry-run", NULL, &dry_run },
					      { NULL, NULL, NULL } };
	struct json_object *result;
	char *out = NULL;
	int n = 2, status;

	if (!ctl_begin(&status, ctl, &ctl_take_over, argc, argv, options, 1, 1))
		return status;
	if (dry_run == (fenced && *fenced))
		return ctl_usage(&ctl_take_over,
				 "say with --fenced BY what made certain that the other hosts are "
				 "down, or --dry-run");
	args[n++] = argv[1];
	args[n++] = dry_run ? "--dry-run" : "--fenced";
	if (!dry_run)
		args[n++] = fenced;
	if (metadata) {
		args[n++] = "--metadata";
		args[n++] = metadata;
	}
	status = ctl_run_daemon(&out, args);
	result = status == CTL_DONE && out ? json_tokener_parse(out) : NULL;
	if (result && !ctl_print_json(ctl, result))
		show(result);
	json_object_put(result);
	free(out);
	return status;
}

const struct ctl_command ctl_take_over = { "take-over",
					   "--fenced BY|--dry-run DEVICE [--metadata WHERE]",
					   "Take an arena over from hosts that are down", help,
					   run };
