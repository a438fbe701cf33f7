/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target: an allocation that a command is about, found over the clients' socket: the daemon lets
 * its owner and root do what the command asks.
 */
#include <config.h>

#include <stdlib.h>

#include "ctl/ctl.h"

bool ctl_target_read(struct ctl_target *target, const struct ctl_command *command)
{
	if (!target->text && !target->slot && !target->id)
		return ctl_usage(command, "say which: NAME, or --slot N --id N"), false;
	if (!ctl_check_handle(command, target->text, target->slot, target->id))
		return false;
	return !target->text || ctl_read_name(&target->name, target->text);
}

static int find(struct ctl_target *target, const char *arena_name)
{
	struct pma_arena arena;
	struct pma_info info;
	int r = ctl_client_arena(&arena, target->pma, arena_name);

	if (r < 0)
		return r;
	target->index = arena.index;
	if (!target->text) {
		target->handle = (struct pma_handle){ arena.index,
						      (uint32_t)strtoul(target->slot, NULL, 0),
						      strtoull(target->id, NULL, 0) };
		return 0;
	}
	r = pma_stat_name(&info, target->pma, arena.index, target->name.bytes);
	target->handle = info.handle;
	return r;
}

int ctl_target_act(struct ctl *ctl, struct ctl_target *target,
		   int (*act)(const struct ctl_target *target, void *arg), void *arg)
{
	int r, status = ctl_connect(&target->pma, ctl);

	if (status != CTL_DONE)
		return status;
	ctl_await(ctl);
	r = find(target, target->arena);
	if (r == 0)
		r = act(target, arg);
	ctl_await_no_more();
	if (r < 0)
		status = ctl_refused(r);
	pma_disconnect(target->pma);
	return status;
}
