/* SPDX-License-Identifier: BSD-3-Clause */
/* admin_moves: what of an arena waits for other hosts, in JSON. */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/service/host_shape.h"

void admin_put_withheld(struct json_object *to, const struct arena *arena)
{
	struct moves_hosts hosts = { .nr = 0 };

	if (arena)
		arena_abroad(&hosts, arena);
	shape_put_u64(to, "withheld", arena ? arena_withheld(arena) : 0);
	shape_put(to, "withheld_for", host_shape_list(&hosts));
}
