/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rm: free allocations. Asked of the administrators' socket, and where that is not for the caller, of the clients': then its owner may.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --arena NAME          by name or UUID; default: the first\n"
	"\n"
	"Its space is used again when nobody has it open or mapped any more.\n";

static struct json_object *params_for(const char *name, const char *arena)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", arena);
	ctl_put_name(params, name);
	return params;
}

static int free_as_client(struct pma *pma, const char *name, const char *arena)
{
	struct pma_stat stat;
	uint32_t index = 0;
	int r = 0;

	if (arena)
		r = pma_arena_find(&index, pma, arena);
	if (r == 0)
		r = pma_stat_name(&stat, pma, index, name);
	if (r == 0)
		r = pma_free(pma, stat.handle);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

static int ask_as_client(struct ctl *ctl, const char *name, const char *arena)
{
	struct pma *pma;
	int r, status = ctl_connect(&pma, ctl);

	if (status != CTL_DONE)
		return status;
	r = free_as_client(pma, name, arena);
	pma_disconnect(pma);
	return r;
}

static int rm_one(struct ctl *ctl, const char *name, const char *arena)
{
	struct json_object *result;
	int code, r;

	r = ctl_call_quiet(&result, &code, ctl, "rm", params_for(name, arena));
	if (ctl_is_not_admin(r, code))
		return ask_as_client(ctl, name, arena);
	if (r < 0)
		return ctl_explain(r);
	ctl_print_json(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *arena = NULL;
	const struct ctl_option options[] = { { "arena", &arena, NULL }, { NULL, NULL, NULL } };
	int status, worst = CTL_DONE;

	if (!ctl_begin(&status, ctl, &ctl_rm, argc, argv, options, 1, argc))
		return status;
	for (int i = 1; argv[i]; i++) {
		status = rm_one(ctl, argv[i], arena);
		if (status > worst)
			worst = status;
	}
	return worst;
}

const struct ctl_command ctl_rm = { "rm", "NAME... [--arena NAME]", "Free allocations", help, run };
