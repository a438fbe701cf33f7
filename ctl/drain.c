/* SPDX-License-Identifier: BSD-3-Clause */
/* drain, remove-arena: an arena hands out no new space; an arena goes. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"

/* ---- drain ---- */

static const char drain_help[] =
	"Hands out no new space in ARENA, by name or UUID; what is there is served as before, and "
	"caches are asked to give back what they took ahead.\n"
	"It lasts until --undo, until the arena is removed, or the machine restarts.\n"
	"\n"
	"      --undo                hand out space again\n";

static void show_drained(const struct ctl *ctl, struct json_object *result)
{
	struct json_object *arena = ctl_get(result, "arena");
	char name[CTL_TEXT], text[CTL_TEXT];
	uint64_t nr = ctl_get_u64(result, "published_allocations");

	ctl_sentence(name, ctl_get_string(arena, "name"));
	if (!ctl_get_bool(arena, "drained")) {
		printf("%s hands out space again\n", name);
		return;
	}
	printf("%s is drained: no new space is handed out\n", name);
	printf("published in it: %" PRIu64 " allocation%s, %s bytes\n", nr, nr == 1 ? "" : "s",
	       ctl_size(text, ctl, ctl_get_u64(result, "used")));
	if (ctl_get(result, "held"))
		printf("held: %s; `pmemarenactl holders --arena %s` lists all\n",
		       ctl_sentence(text, ctl_get_string(result, "held")), name);
	else
		printf("nobody holds anything of it: `pmemarenactl remove-arena %s` removes it\n",
		       name);
}

static int run_drain(struct ctl *ctl, int argc, char **argv)
{
	bool undo = false;
	const struct ctl_option options[] = { { "undo", NULL, &undo }, { NULL, NULL, NULL } };
	struct json_object *result, *params;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_drain, argc, argv, options, 1, 1))
		return status;
	params = ctl_params();
	ctl_put(params, "arena", argv[1]);
	json_object_object_add(params, "undo", json_object_new_boolean(undo));
	status = ctl_call(&result, ctl, "drain", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result))
		show_drained(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_drain = { "drain", "ARENA [--undo]",
				       "Hand out no new space in an arena", drain_help, run_drain };

/* ---- remove ---- */

static const char remove_help[] =
	"Closes ARENA, by name or UUID, in order, and serves it no more. Refused while somebody "
	"holds something of it: see `pmemarenactl drain` and `pmemarenactl holders`.\n"
	"What is published stays on its media, which can be added again, here or elsewhere.\n";

static int run_remove(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *result, *params;
	char name[CTL_TEXT], file[CTL_TEXT];
	uint64_t nr;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_remove_arena, argc, argv, NULL, 1, 1))
		return status;
	params = ctl_params();
	ctl_put(params, "arena", argv[1]);
	status = ctl_call(&result, ctl, "remove-arena", params);
	if (status != CTL_DONE)
		return status;
	if (!ctl_print_json(ctl, result)) {
		nr = ctl_get_u64(result, "published_allocations");
		printf("%s was removed; %" PRIu64 " published allocation%s on its media\n",
		       ctl_sentence(name, ctl_get_string(result, "arena")), nr,
		       nr == 1 ? " stays" : "s stay");
		if (ctl_get(result, "file"))
			printf("take its section out of the configuration (%s), or it is back with "
			       "the next start or reload\n",
			       ctl_sentence(file, ctl_get_string(result, "file")));
	}
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_remove_arena = { "remove-arena", "ARENA",
					      "Serve an arena no more, without a restart",
					      remove_help, run_remove };
