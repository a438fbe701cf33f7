/* SPDX-License-Identifier: BSD-3-Clause */
/* admin_transfer: the method "move", which moves a slice of an allocation to another arena. */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>

/* The answer says how far it is: who wants it moved calls again until "moved" is true. */
int admin_move_run(struct json_object **result, struct admin_call *call)
{
	const char *name = NULL;
	struct transfer transfer;
	struct arena *arena;
	struct alloc *alloc;
	uint32_t from, to;
	int r = admin_alloc(&alloc, &from, call);

	if (r == 0)
		r = admin_get_string(&name, call, "to");
	if (r == 0)
		return why_set(&call->why, -EBADMSG, "\"to\" is needed: the arena");
	if (r > 0)
		r = service_find_arena(&to, call->service, name, &call->why);
	if (r < 0)
		return r;
	arena = service_arena(&r, call->service, to, &call->why);
	if (arena)
		r = service_transfer(&transfer, call->service, from, alloc, to, &call->why);
	if (r < 0)
		return r;
	*result = admin_shape();
	shape_put_bool(*result, "moved", transfer.done == transfer.size);
	shape_put_u64(*result, "done", transfer.done);
	shape_put_u64(*result, "size", transfer.size);
	shape_put_string(*result, "arena", call->service->arenas[to].name);
	shape_put_u64(*result, "slot", transfer.to.slot);
	shape_put_u64(*result, "id", transfer.to.id);
	return 0;
}
