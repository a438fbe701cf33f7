/* SPDX-License-Identifier: BSD-3-Clause */
/* add-arena: has the daemon open one more arena, with its clients connected. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"Opens the arena NAME on PATH and serves it at once. PATH is a device-dax, a file, "
	"uuid:UUID or auto.\n"
	"KEY=VALUE is what a line of its section says, as size=64G or users=postgres; "
	"pmemarenad.conf(5) lists the keys.\n"
	"The daemon does not write this down: it says which section to add to its file, so that "
	"the arena is there after a restart too.\n"
	"\n"
	"      --device PATH         as device=PATH\n";

/* The daemon reads each setting as it would a line of its file, so that the keys are the same. */
static struct json_object *params_for(const char *device, char **settings)
{
	struct json_object *params = ctl_params(), *list = json_object_new_array();
	char text[CTL_TEXT];

	if (device) {
		snprintf(text, sizeof(text), "device=%s", device);
		json_object_array_add(list, json_object_new_string(text));
	}
	for (; *settings; settings++)
		json_object_array_add(list, json_object_new_string(*settings));
	json_object_object_add(params, "settings", list);
	return params;
}

static void show(const struct ctl *ctl, struct json_object *result)
{
	struct json_object *arena = ctl_get(result, "arena");
	char name[CTL_TEXT], size[CTL_TEXT], text[CTL_TEXT];

	printf("%s is served: number %s, %s bytes\n",
	       ctl_sentence(name, ctl_get_string(arena, "name")), ctl_get_string(arena, "index"),
	       ctl_size(size, ctl, ctl_get_u64(arena, "size")));
	printf("to keep it over a restart, add this section to %s:\n\n",
	       ctl_sentence(text, ctl_get_string(result, "file")));
	for (const char *line = ctl_get_string(result, "section"); *line;) {
		size_t len = strcspn(line, "\n");
		char shown[CTL_TEXT];

		snprintf(text, sizeof(text), "%.*s", (int)len, line);
		printf("%s\n", ctl_sentence(shown, text));
		line += len + (line[len] == '\n');
	}
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *device = NULL;
	const struct ctl_option options[] = { { "device", &device, NULL }, { NULL, NULL, NULL } };
	struct json_object *result, *params;
	int status;

	/* A terabyte takes some seconds to open. */
	ctl->patience_s = 600;
	if (!ctl_begin(&status, ctl, &ctl_add_arena, argc, argv, options, 1, 64))
		return status;
	params = params_for(device, argv + 2);
	ctl_put(params, "name", argv[1]);
	status = ctl_call(&result, ctl, "add-arena", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_add_arena = { "add-arena", "NAME --device PATH [KEY=VALUE...]",
					   "Serve one more arena, without a restart", help, run };
