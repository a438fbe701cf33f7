/* SPDX-License-Identifier: BSD-3-Clause */
/* log-level: sets what the daemon logs, until it is restarted or reloaded. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result, *params;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_log_level, argc, argv, NULL, 0, 1))
		return status;
	params = ctl_params();
	ctl_put(params, "level", argv[1]);
	status = ctl_call(&result, ctl, "log-level", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		printf("%s\n", ctl_get_string(result, "level"));
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_log_level = {
	"log-level", "[LEVEL]", "Show or set what is logged: error, warning, notice, info, debug",
	NULL, run
};
