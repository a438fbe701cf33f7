/* SPDX-License-Identifier: BSD-3-Clause */
/* format: makes a new, empty arena on a device that no daemon serves. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

static const char help[] =
	"DEVICE is /dev/daxX.Y, or a regular file.\n"
	"\n"
	"      --name NAME           of the arena; default: main\n"
	"      --size SIZE           a file is created with it; default: what is there\n"
	"      --page-size SIZE      4K, 2M (default) or 1G: what large allocations are made of\n"
	"      --metadata WHERE      \"device\", or a path; default: beside a file, on a "
	"device-dax itself\n"
	"      --slots N             how many allocations there can be; default: from the size\n"
	"      --memmap-on-device    room for the descriptors on the device instead of in memory\n"
	"      --force               even if something else lives there; it is gone then\n";

/*
 * Appends an option with its value to the @n arguments, unless the value was not given (NULL).
 * Returns how many arguments there are then.
 */
static size_t add(const char **args, size_t n, const char *option, const char *value)
{
	if (value) {
		args[n++] = option;
		args[n++] = value;
	}
	return n;
}

/*
 * The daemon's program formats, since only it knows what an arena looks like. Its refusals go to
 * standard error by themselves; what it prints is JSON, and is shown as a sentence.
 */
static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *name = NULL, *size = NULL, *page_size = NULL, *metadata = NULL, *slots = NULL;
	bool force = false, memmap = false;
	const struct ctl_option options[] = {
		{ "name", &name, NULL },
		{ "size", &size, NULL },
		{ "page-size", &page_size, NULL },
		{ "metadata", &metadata, NULL },
		{ "slots", &slots, NULL },
		{ "force", NULL, &force },
		{ "memmap-on-device", NULL, &memmap },
		{ NULL, NULL, NULL },
	};
	const char *args[20] = { "pmemarenad" };
	struct json_object *result;
	char *out = NULL, text[CTL_TEXT];
	size_t n = 1;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_format, argc, argv, options, 1, 1))
		return status;
	n = add(args, n, "--format", argv[1]);
	n = add(args, n, "--name", name);
	n = add(args, n, "--size", size);
	n = add(args, n, "--page-size", page_size);
	n = add(args, n, "--metadata", metadata);
	n = add(args, n, "--slots", slots);
	if (force)
		args[n++] = "--force";
	if (memmap)
		args[n++] = "--memmap-on-device";
	status = ctl_run_daemon(&out, args);
	result = status == CTL_DONE && out ? json_tokener_parse(out) : NULL;
	if (result && !ctl_print_json(ctl, result))
		printf("formatted %s as arena %s\n",
		       ctl_sentence(text, ctl_get_string(result, "device")),
		       ctl_get_string(result, "name"));
	json_object_put(result);
	free(out);
	return status;
}

const struct ctl_command ctl_format = { "format",
					"DEVICE [--name NAME] [--size SIZE] [--page-size SIZE] ...",
					"Write a new, empty arena to a device", help, run };
