/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rm: frees allocations. It asks the administrators' socket or, if that is closed to this user, the
 * clients' socket, where the owner may free them.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

static const char help[] =
	"NAME as it is shown: \\xHH is a byte, \\\\ a backslash.\n"
	"\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --slot N --id N       the allocation with this handle, which may have no name\n"
	"      --prefix TEXT         those whose names begin with TEXT; asks before\n"
	"      --yes                 does not ask\n"
	"\n"
	"Its space is used again when nobody has it open or mapped any more.\n";

/* One allocation that is to be freed, by its name or its handle. */
struct wish {
	struct ctl_bytes name;          /* empty: the handle says which allocation it is */
	const char *arena, *slot, *id;
};

/* Makes the parameters of the request: the name or the handle; the other one is left out. */
static struct json_object *params_for(const struct wish *wish)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", wish->arena);
	if (wish->name.len)
		ctl_put_bytes(params, "name", &wish->name);
	ctl_put(params, "slot", wish->slot);
	ctl_put(params, "id", wish->id);
	return params;
}

/*
 * Frees as a client. The library frees by handle, so a name is looked up first. If the name passes
 * to another allocation in between, the one that was found is freed, and the other stays.
 */
static int free_as_client(struct pma *pma, const struct wish *wish)
{
	struct pma_arena arena;
	struct pma_handle handle;
	struct pma_info stat;
	int r = ctl_client_arena(&arena, pma, wish->arena);

	if (r < 0)
		return r;
	if (!wish->name.len) {
		handle = (struct pma_handle){ arena.index, (uint32_t)strtoul(wish->slot, NULL, 0),
					      strtoull(wish->id, NULL, 0) };
		return pma_free(pma, handle);
	}
	r = pma_stat_name(&stat, pma, arena.index, wish->name.bytes);
	return r < 0 ? r : pma_free(pma, stat.handle);
}

/*
 * Asks the daemon as a client. It decides whether this user may free the allocation: the owner and
 * root may.
 */
static int ask_as_client(struct ctl *ctl, const struct wish *wish)
{
	struct pma *pma;
	int r, status = ctl_connect(&pma, ctl);

	if (status != CTL_DONE)
		return status;
	ctl_await(ctl);
	r = free_as_client(pma, wish);
	ctl_await_no_more();
	status = r < 0 ? ctl_refused(r) : CTL_DONE;
	pma_disconnect(pma);
	return status;
}

/* Frees one allocation. With --json it prints one object for it, in a line. */
static int rm_one(struct ctl *ctl, const struct wish *wish)
{
	struct json_object *result;
	int code, r;

	r = ctl_call_quiet(&result, &code, ctl, "rm", params_for(wish));
	if (ctl_is_not_admin(r, code))
		return ask_as_client(ctl, wish);
	if (r < 0)
		return ctl_explain(r);
	ctl_print_json(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

/* ---- by the beginning of their names ---- */

/* What is to be freed: what was there when it was asked, and nothing that comes later. */
struct crowd {
	struct json_object *allocs;     /* owned */
	uint64_t bytes;
};

static int find_crowd(struct crowd *crowd, struct ctl *ctl, const char *arena,
		      const struct ctl_bytes *prefix)
{
	struct ctl_listing listing = { .ctl = ctl, .arena = arena, .prefix = *prefix };
	struct json_object *page;
	int status;

	crowd->allocs = json_object_new_array();
	while ((status = ctl_listing_next(&page, &listing)) == CTL_DONE && page) {
		for (size_t i = 0; i < json_object_array_length(page); i++) {
			struct json_object *alloc = json_object_get(ctl_at(page, i));

			crowd->bytes += ctl_get_u64(alloc, "size");
			json_object_array_add(crowd->allocs, alloc);
		}
		json_object_put(page);
	}
	ctl_listing_end(&listing);
	return status;
}

/* Asks the person at the terminal. Without one only --yes says so. */
static bool is_agreed(const struct crowd *crowd, const struct ctl_bytes *prefix)
{
	static const struct ctl human = { .human = true };
	char size[CTL_TEXT], name[CTL_TEXT], answer[16] = "";

	if (!isatty(STDIN_FILENO)) {
		ctl_say("%zu allocations would be freed: where nobody can be asked, say --yes",
			json_object_array_length(crowd->allocs));
		return false;
	}
	fprintf(stderr, "free %zu allocations, %s, whose names begin with %s? [y/N] ",
		json_object_array_length(crowd->allocs), ctl_size(size, &human, crowd->bytes),
		ctl_shown(name, prefix->bytes, prefix->len));
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int rm_crowd(struct ctl *ctl, const struct wish *wish, const struct crowd *crowd)
{
	int status, worst = CTL_DONE;

	for (size_t i = 0; i < json_object_array_length(crowd->allocs); i++) {
		struct json_object *alloc = ctl_at(crowd->allocs, i);
		struct wish one = { .arena = wish->arena,
				    .slot = ctl_get_string(alloc, "slot"),
				    .id = ctl_get_string(alloc, "id") };

		status = rm_one(ctl, &one);
		if (status > worst)
			worst = status;
		if (status == CTL_NO_DAEMON)
			break;
	}
	return worst;
}

static int rm_prefix(struct ctl *ctl, const struct wish *wish, const char *text, bool yes)
{
	struct crowd crowd = { .bytes = 0 };
	struct ctl_bytes prefix;
	int status;

	if (!ctl_read_name(&prefix, text))
		return CTL_USAGE;
	if (prefix.len == 0)
		return ctl_usage(&ctl_rm, "an empty prefix is that of all names");
	status = find_crowd(&crowd, ctl, wish->arena, &prefix);
	if (status == CTL_DONE && json_object_array_length(crowd.allocs) > 0)
		status = yes || is_agreed(&crowd, &prefix) ? rm_crowd(ctl, wish, &crowd)
							   : CTL_FAILED;
	json_object_put(crowd.allocs);
	return status;
}

/*
 * Reads all names before the first allocation is freed: a typing error must not free half of them.
 */
static bool are_names(struct wish *wish, char **names)
{
	for (; *names; names++) {
		if (!ctl_read_name(&wish->name, *names))
			return false;
	}
	return true;
}

/*
 * Goes on after one that could not be freed, as rm(1) does; the status is that of the worst
 * failure.
 */
static int rm_named(struct ctl *ctl, struct wish *wish, char **names)
{
	int status, worst = CTL_DONE;

	for (; *names; names++) {
		ctl_read_name(&wish->name, *names);
		status = rm_one(ctl, wish);
		if (status > worst)
			worst = status;
	}
	return worst;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { .arena = NULL };
	const char *prefix = NULL;
	bool yes = false;
	const struct ctl_option options[] = {
		{ "arena", &wish.arena, NULL }, { "slot", &wish.slot, NULL },
		{ "id", &wish.id, NULL },	{ "prefix", &prefix, NULL },
		{ "yes", NULL, &yes },		{ NULL, NULL, NULL },
	};
	int status;

	if (!ctl_begin(&status, ctl, &ctl_rm, argc, argv, options, 0, argc))
		return status;
	if (prefix && (argv[1] || wish.slot || wish.id))
		return ctl_usage(&ctl_rm, "--prefix says which, alone");
	if (prefix)
		return rm_prefix(ctl, &wish, prefix, yes);
	if (!argv[1] && !wish.slot && !wish.id)
		return ctl_usage(&ctl_rm,
				 "say which: NAME, or --slot N --id N, or --prefix TEXT");
	if (!ctl_check_handle(&ctl_rm, argv[1], wish.slot, wish.id) || !are_names(&wish, argv + 1))
		return CTL_USAGE;
	return argv[1] ? rm_named(ctl, &wish, argv + 1) : rm_one(ctl, &wish);
}

const struct ctl_command ctl_rm = { "rm", "NAME... | --slot N --id N | --prefix TEXT [--yes]",
				    "Free allocations", help, run };
