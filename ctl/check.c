/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check, repair, check-memmap: is everything as it should be? The daemon's program looks at a
 * device that nobody serves; the daemon looks at an arena that it serves.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

/*
 * How long a check waits for the daemon. The check of a large arena takes long, and the daemon
 * answers nobody else meanwhile.
 */
#define PATIENCE_S 600

static const char check_help[] =
	"With a DEVICE: one that no daemon serves is looked at, and nothing is changed. Without: "
	"the daemon checks an arena of its.\n"
	"\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --metadata WHERE      of DEVICE, when it is neither on it nor beside it\n"
	"\n"
	"Exit status 4 when there are differences; each is a line.\n";

static const char repair_help[] =
	"With a DEVICE: one that no daemon serves. Without: the daemon repairs an arena of its.\n"
	"What both copies of the table have lost is given up, and its space is scrubbed before "
	"anyone gets it.\n"
	"\n"
	"      --dry-run             only say what would be done\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --metadata WHERE      of DEVICE, when it is neither on it nor beside it\n"
	"      --force               DEVICE was used by another host that did not close it\n";

static const char memmap_help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"\n"
	"Exit status 4 when there are differences; each is a line.\n";

/*
 * Prints what was found, and returns the exit status. A check that found differences fails, since a
 * script must notice them. A repair that mended differences has succeeded.
 */
static int show(const struct ctl *ctl, struct json_object *result, bool is_mending)
{
	struct json_object *findings = ctl_get(result, "findings");
	bool is_clean = ctl_get_bool(result, "clean");
	char text[CTL_TEXT];

	if (!ctl_print_json(ctl, result)) {
		for (size_t i = 0; i < json_object_array_length(findings); i++)
			printf("%s\n",
			       ctl_sentence(text, json_object_get_string(ctl_at(findings, i))));
		printf(is_clean ? "clean\n" : "%s difference(s)\n",
		       ctl_get_string(result, "differences"));
		if (ctl_get(result, "last_start"))
			printf("last start, %s\n",
			       ctl_last_start(text, ctl_get(result, "last_start")));
	}
	return is_clean || is_mending ? CTL_DONE : CTL_DIFFERENCES;
}

/* What the command line of a check or a repair asks for. */
struct wish {
	const char *arena, *metadata;
	bool dry_run, force;
};

/*
 * Has the daemon's program look at a device that no daemon serves; it refuses one that is served.
 * Its exit status becomes that of the command. If it cannot look, it says why itself.
 */
static int run_offline(struct ctl *ctl, const char *mode, const char *device,
		       const struct wish *wish)
{
	const char *args[10] = { "pmemarenad", mode, device };
	struct json_object *result;
	char *out = NULL;
	int n = 3, status;

	if (wish->metadata) {
		args[n++] = "--metadata";
		args[n++] = wish->metadata;
	}
	if (wish->dry_run)
		args[n++] = "--dry-run";
	if (wish->force)
		args[n++] = "--force";
	status = ctl_run_daemon(&out, args);
	result = out ? json_tokener_parse(out) : NULL;
	if (result)
		show(ctl, result, status == CTL_DONE);
	json_object_put(result);
	free(out);
	return status;
}

/*
 * Asks the daemon to check an arena that it serves. The daemon reads the whole table for that,
 * which may take minutes, so this command waits longer than others.
 */
static int run_online(struct ctl *ctl, const char *method, const struct wish *wish, bool is_repair)
{
	struct json_object *params = ctl_params(), *result;
	int status;

	ctl_put(params, "arena", wish->arena);
	ctl->patience_s = PATIENCE_S;
	if (is_repair)
		json_object_object_add(params, "dry_run", json_object_new_boolean(wish->dry_run));
	status = ctl_call(&result, ctl, method, params);
	if (status != CTL_DONE)
		return status;
	status = show(ctl, result, is_repair && !wish->dry_run);
	json_object_put(result);
	return status;
}

/*
 * Checks the device that is named in an argument, by the daemon's program. Without an argument the
 * daemon is asked, since a device that it serves cannot be opened twice.
 */
static int run_check(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct ctl_option options[] = { { "arena", &wish.arena, NULL },
					      { "metadata", &wish.metadata, NULL },
					      { NULL, NULL, NULL } };
	int status;

	if (!ctl_begin(&status, ctl, &ctl_check, argc, argv, options, 0, 1))
		return status;
	return argv[1] ? run_offline(ctl, "--check", argv[1], &wish)
		       : run_online(ctl, "check", &wish, false);
}

/*
 * Repairs a device or an arena, chosen as in run_check(). With --dry-run nothing is mended, and the
 * status says whether there is something to mend.
 */
static int run_repair(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct ctl_option options[] = {
		{ "arena", &wish.arena, NULL },
		{ "metadata", &wish.metadata, NULL },
		{ "dry-run", NULL, &wish.dry_run },
		{ "force", NULL, &wish.force },
		{ NULL, NULL, NULL },
	};
	int status;

	if (!ctl_begin(&status, ctl, &ctl_repair, argc, argv, options, 0, 1))
		return status;
	return argv[1] ? run_offline(ctl, "--repair", argv[1], &wish)
		       : run_online(ctl, "repair", &wish, true);
}

/*
 * Checks the descriptors of an arena. They exist only while a daemon serves it, so that the command
 * takes no device.
 */
static int run_check_memmap(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct ctl_option options[] = { { "arena", &wish.arena, NULL },
					      { NULL, NULL, NULL } };
	int status;

	if (!ctl_begin(&status, ctl, &ctl_check_memmap, argc, argv, options, 0, 0))
		return status;
	return run_online(ctl, "check-memmap", &wish, false);
}

const struct ctl_command ctl_check = { "check", "[DEVICE]",
				       "Compare what is kept twice; say what differs", check_help,
				       run_check };
const struct ctl_command ctl_repair = { "repair", "[DEVICE] [--dry-run]",
					"Make a damaged arena whole", repair_help, run_repair };
const struct ctl_command ctl_check_memmap = { "check-memmap", "[--arena NAME]",
					      "Compare every descriptor with the table",
					      memmap_help, run_check_memmap };
