/* SPDX-License-Identifier: BSD-3-Clause */
/* reload: have the daemon read its configuration again. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_reload, argc, argv, NULL, 0, 0))
		return status;
	status = ctl_call(&result, ctl, "reload", NULL);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result)) {
		if (ctl_get(result, "needs_restart"))
			printf("reloaded; these change with a restart only: %s\n", ctl_get_string(result, "needs_restart"));
		else
			printf("reloaded\n");
	}
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_reload = { "reload", "", "Have the daemon read its configuration again", NULL, run };
