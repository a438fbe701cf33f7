/* SPDX-License-Identifier: BSD-3-Clause */
/* ping: asks whether the daemon is there. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_ping, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_call(&result, ctl, "ping", NULL);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		printf("pmemarenad %s, pid %s\n", ctl_get_string(result, "version"),
		       ctl_get_string(result, "pid"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_ping = { "ping", "", "Ask whether the daemon is there", NULL, run };
