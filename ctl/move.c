/* SPDX-License-Identifier: BSD-3-Clause */
/* move: has the daemon move an allocation to another arena, slice by slice. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/archive.h"

/* How many times, and how often, it asks again while space is being scrubbed. */
#define TRIES   600
#define EACH_US 100000

static const char help[] =
	"Copies it into ARENA, with its name, owner, mode and attributes, and frees the original. "
	"Nobody may have it open or pinned, and nobody can open it meanwhile.\n"
	"Its handle is another one then. A move that was cut leaves the original, the copy beside "
	"it or not: the same command finishes it.\n"
	"\n"
	"      --to ARENA            where it shall be, by name or UUID\n"
	"      --arena NAME          where it is, by name or UUID; default: the first\n"
	"      --slot N --id N       instead of NAME: the allocation with this handle\n";

struct wish {
	const char *arena, *to, *slot, *id;     /* borrowed; NULL: not given */
	struct ctl_bytes name;
};

static struct json_object *params_for(const struct wish *wish)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", wish->arena);
	if (!wish->slot)
		ctl_put_bytes(params, "name", &wish->name);
	ctl_put(params, "slot", wish->slot);
	ctl_put(params, "id", wish->id);
	ctl_put(params, "to", wish->to);
	return params;
}

/* Asks for one slice; while there is no clean space, again and again. */
static int ask(struct json_object **result, struct ctl *ctl, const struct wish *wish)
{
	int code, r = 0;

	for (int i = 0; i < TRIES; i++) {
		r = ctl_call_quiet(result, &code, ctl, "move", params_for(wish));
		if (r != -EREMOTE || code != EAGAIN)
			return r;
		usleep(EACH_US);
	}
	return r;
}

static int move(struct ctl *ctl, const struct wish *wish, const char *name)
{
	struct ctl_progress progress = { .all = 0 };
	struct json_object *result = NULL;
	uint64_t before = 0;
	char arena[CTL_TEXT];
	int r;

	for (;;) {
		r = ask(&result, ctl, wish);
		if (r < 0)
			break;
		if (before == 0)
			ctl_progress_begin(&progress, ctl_get_u64(result, "size"));
		ctl_progress_add(&progress, ctl_get_u64(result, "done") - before, name);
		before = ctl_get_u64(result, "done");
		if (ctl_get_bool(result, "moved"))
			break;
		json_object_put(result);
		result = NULL;
	}
	ctl_progress_end(&progress);
	if (r < 0)
		return ctl_explain(r);
	if (!ctl_print_json(ctl, result))
		printf("moved to arena %s: slot %" PRIu64 ", id %" PRIu64 "\n",
		       ctl_sentence(arena, ctl_get_string(result, "arena")),
		       ctl_get_u64(result, "slot"), ctl_get_u64(result, "id"));
	json_object_put(result);
	return CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { .arena = NULL };
	const struct ctl_option options[] = {
		{ "arena", &wish.arena, NULL }, { "to", &wish.to, NULL },
		{ "slot", &wish.slot, NULL },	{ "id", &wish.id, NULL },
		{ NULL, NULL, NULL },
	};
	int status;

	if (!ctl_begin(&status, ctl, &ctl_move, argc, argv, options, 0, 1))
		return status;
	if (!wish.to)
		return ctl_usage(&ctl_move, "say where: --to ARENA");
	if (!argv[1] && !wish.slot && !wish.id)
		return ctl_usage(&ctl_move, "say which: NAME, or --slot N --id N");
	if (!ctl_check_handle(&ctl_move, argv[1], wish.slot, wish.id))
		return CTL_USAGE;
	if (argv[1] && !ctl_read_name(&wish.name, argv[1]))
		return CTL_USAGE;
	return move(ctl, &wish, argv[1] ? argv[1] : "");
}

const struct ctl_command ctl_move = { "move", "NAME --to ARENA [--arena NAME]",
				      "Move an allocation to another arena", help, run };
