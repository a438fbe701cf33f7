/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_moves: an arena goes to another host, and what of it waits for others, in JSON.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/log.h"
#include "daemon/service/host_shape.h"

void admin_put_withheld(struct json_object *to, const struct arena *arena)
{
	struct moves_hosts hosts = { .nr = 0 };
	struct arena_owner owner;

	if (arena)
		arena_abroad(&hosts, arena);
	if (arena && arena_owner(&owner, arena)) {
		shape_put_string(to, "owner", owner.name);
		shape_put_u64(to, "term", owner.term);
	} else {
		shape_put_null(to, "owner");
		shape_put_null(to, "term");
	}
	shape_put_u64(to, "withheld", arena ? arena_withheld(arena) : 0);
	shape_put(to, "withheld_for", host_shape_list(&hosts));
}

int admin_hand_over_run(struct json_object **result, struct admin_call *call)
{
	struct arena *arena;
	const char *host = NULL;
	uint32_t index;
	int r = admin_arena(&index, &arena, call);

	if (r == 0)
		r = admin_get_string(&host, call, "host");
	if (r < 0)
		return r;
	r = arena_hand_over(arena, host ? host : "", &call->why);
	if (r < 0)
		return r;
	log_notice("arena %s was handed over to host %s by uid %u",
		   call->service->arenas[index].name, host, call->uid);
	service_tell(call->service, index);
	*result = admin_shape();
	shape_put_string(*result, "arena", call->service->arenas[index].name);
	shape_put_string(*result, "host", host);
	return 0;
}
