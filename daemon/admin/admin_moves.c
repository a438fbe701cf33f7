/* SPDX-License-Identifier: BSD-3-Clause */
/* admin_moves: who owns an arena, and what of it waits for other hosts, in JSON. */
#include <config.h>

#include "daemon/admin/admin_internal.h"
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
