/* SPDX-License-Identifier: BSD-3-Clause */
/* retire: the steps by which a free and an eviction end an allocation, in their order. */
#include <config.h>

#include "daemon/arena/retire.h"

#include "daemon/arena/charge.h"
#include "daemon/arena/object.h"

int retire_record(struct arena *arena, struct alloc *alloc, bool is_held)
{
	struct ledger_range range = alloc_ledger_range(alloc, LEDGER_FREEING);
	int r = 0;

	/*
	 * The ledger learns who may have the space mapped or pinned before the table forgets the
	 * allocation. If the daemon were killed in between, in the other order, the next one would
	 * give others space that somebody still writes to.
	 */
	if (is_held || !TAILQ_EMPTY(&arena->windows))
		r = ledger_add_range(&alloc->entry, arena->ledger, &range, alloc->extents,
				     alloc->nr_extents, NULL, 0);
	if (r == 0)
		r = table_retire(arena->table, alloc->records, alloc->nr_records);
	if (r < 0) {
		ledger_remove(arena->ledger, alloc->entry);
		alloc->entry = 0;
	}
	return r;
}

void retire_alloc(struct arena *arena, struct alloc *alloc)
{
	object_hide(arena, alloc);
	arena->nr_names_retiring += alloc->name != NULL;
	alloc->state = ALLOC_FREEING;
	alloc->staged = arena->txn;
	charge_pass_on(arena, alloc);
}

void retire_end(struct arena *arena, struct alloc *alloc)
{
	TAILQ_INSERT_TAIL(&arena->retiring, alloc, link);
}
