/* SPDX-License-Identifier: BSD-3-Clause */
/* hand-over: has the daemon give an arena that hosts share to another host. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

static const char help[] =
	"Gives ARENA, by name or UUID, to host HOST: all is settled, written out and closed, and "
	"the arena is offline here.\n"
	"Then start the daemon on HOST, or have it start there; no other host can have it but by "
	"take-over.\n"
	"Processes here keep what they have mapped; it is not given to others until this host "
	"opened the arena again.\n";

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result, *params;
	char arena[CTL_TEXT], host[CTL_TEXT];
	int status;

	if (!ctl_begin(&status, ctl, &ctl_hand_over, argc, argv, NULL, 2, 2))
		return status;
	params = ctl_params();
	ctl_put(params, "arena", argv[1]);
	ctl_put(params, "host", argv[2]);
	status = ctl_call(&result, ctl, "hand-over", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		printf("%s was handed over: start it on host %s\n",
		       ctl_sentence(arena, ctl_get_string(result, "arena")),
		       ctl_sentence(host, ctl_get_string(result, "host")));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_hand_over = { "hand-over", "ARENA HOST",
					   "Give an arena that hosts share to another one", help,
					   run };
