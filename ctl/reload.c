/* SPDX-License-Identifier: BSD-3-Clause */
/* reload: makes the daemon read its configuration again. */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

/* Says each mistake of the configuration in a line of its own, and that nothing was changed. */
static int explain(const struct ctl *ctl, int r)
{
	size_t nr = ctl->errors ? json_object_array_length(ctl->errors) : 0;

	for (size_t i = 0; i < nr; i++)
		ctl_say("%s", json_object_get_string(ctl_at(ctl->errors, i)));
	if (nr == 0)
		return ctl_explain(r);
	ctl_say("nothing was reloaded, all stays as it was");
	return CTL_FAILED;
}

/*
 * A reload is all or nothing. What can change only with a restart is said, though it is no failure:
 * the operator would otherwise believe that it holds by now.
 */
static int run(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result;
	char text[CTL_TEXT];
	int status, code, r;

	if (!ctl_begin(&status, ctl, &ctl_reload, argc, argv, NULL, 0, 0))
		return status;
	r = ctl_call_quiet(&result, &code, ctl, "reload", NULL);
	if (r < 0)
		return explain(ctl, r);
	if (!ctl_print_json(ctl, result)) {
		if (ctl_get(result, "needs_restart"))
			printf("reloaded; these change with a restart only: %s\n",
			       ctl_sentence(text, ctl_get_string(result, "needs_restart")));
		else
			printf("reloaded\n");
		if (ctl_get(result, "arenas"))
			printf("%s\n", ctl_sentence(text, ctl_get_string(result, "arenas")));
		if (ctl_get(result, "ignored"))
			printf("%s\n", ctl_sentence(text, ctl_get_string(result, "ignored")));
	}
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_reload = {
	"reload", "", "Have the daemon read its configuration again; say all that is wrong with it",
	NULL, run
};
