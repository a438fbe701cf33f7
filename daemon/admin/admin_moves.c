/* SPDX-License-Identifier: BSD-3-Clause */
/* admin_moves: the method by which an arena goes to another host. */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/arena/moves.h"
#include "daemon/log.h"

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
