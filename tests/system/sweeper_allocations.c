/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_allocations: the calls about allocations, one by one and many at once, and about their
 * memory.
 */
#include <config.h>

#include "tests/system/sweeper_acts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/session/client.h"

void have_reservation(struct world *w)
{
	must(pma_reserve(&w->handle, w->pma, w->name, KIB(8), 0), "reserve");
}

void have_allocation(struct world *w)
{
	must(pma_create(&w->handle, w->pma, w->name, KIB(8), 0), "create");
}

void have_closed(struct world *w)
{
	have_allocation(w);
	must(pma_close(w->pma, w->handle), "close");
}

void undo_abort(struct world *w)
{
	pma_abort(w->pma, w->handle);
}

void free_named(struct world *w, const char *name)
{
	struct pma_handle handle;

	if (pma_open(&handle, w->pma, name, 0) == 0)
		must(pma_free(w->pma, handle), "free");
}

/* When the reply was lost only the name is known. */
void undo_free(struct world *w)
{
	if (w->handle.id && pma_free(w->pma, w->handle) == 0)
		return;
	free_named(w, w->name);
	free_named(w, ANOTHER_NAME);
}

int run_reserve(struct world *w)
{
	return pma_reserve(&w->handle, w->pma, w->name, KIB(8), 0);
}

int run_create(struct world *w)
{
	return pma_create(&w->handle, w->pma, w->name, MIB(4), 0);
}

int run_publish(struct world *w)
{
	return pma_publish(w->pma, w->handle);
}

int run_abort(struct world *w)
{
	return pma_abort(w->pma, w->handle);
}

int run_open(struct world *w)
{
	return pma_open(&w->handle, w->pma, w->name, PMA_READ_ONLY);
}

int run_open_owned(struct world *w)
{
	return pma_open_owned(&w->handle, w->pma, w->name, 0, (uint32_t)geteuid());
}

int run_close(struct world *w)
{
	return pma_close(w->pma, w->handle);
}

int run_free(struct world *w)
{
	return pma_free(w->pma, w->handle);
}

int run_resize(struct world *w)
{
	return pma_resize(w->pma, w->handle, KIB(12));
}

int run_rename(struct world *w)
{
	return pma_rename(w->pma, w->handle, ANOTHER_NAME);
}

int run_set_mode(struct world *w)
{
	return pma_set_mode(w->pma, w->handle, 0640);
}

int run_stat(struct world *w)
{
	struct pma_info info;

	return pma_stat(&info, w->pma, w->handle);
}

int run_stat_name(struct world *w)
{
	struct pma_info info;

	return pma_stat_name(&info, w->pma, 0, w->name);
}

int run_set_owner(struct world *w)
{
	return pma_set_owner(w->pma, w->handle, UINT32_MAX, (uint32_t)getegid());
}

int run_usage(struct world *w)
{
	struct pma_usage usage;

	return pma_usage_get(&usage, w->pma, 0);
}

int run_list(struct world *w)
{
	struct pma_info info[4];
	uint64_t cursor = 0;
	size_t nr = 4;

	return pma_list(info, &nr, &cursor, w->pma, 0, "s");
}

int run_extents(struct world *w)
{
	struct pma_extent extents[4];
	size_t nr = 4;

	return pma_extents(extents, &nr, w->pma, w->handle, 0);
}

int run_device_fd(struct world *w)
{
	int fd = pma_device_fd(w->pma, 0, true);

	return fd < 0 ? fd : 0;
}

int run_arena_find(struct world *w)
{
	uint32_t index;

	return pma_arena_find(&index, w->pma, "main");
}

const char *const op_names[3] = { "first", "second", "third" };

void have_ops(struct world *w)
{
	have_allocation(w);
	for (int i = 0; i < NR_OPS; i++)
		w->ops[i] = (struct pma_op){ .opcode = i < 3 ? PMA_OP_CREATE : PMA_OP_STAT,
					     .len = i < 3 ? KIB(4) : 0,
					     .name = i < 3 ? op_names[i] : NULL,
					     .handle = i < 3 ? PMA_HANDLE_NONE : w->handle };
}

/* What an earlier try did is not done again. */
int run_many(struct world *w)
{
	struct pma_op ops[NR_OPS];
	int from[NR_OPS], nr = 0, r;

	for (int i = 0; i < NR_OPS; i++) {
		if (i < 3 && w->ops[i].handle.id)
			continue;
		from[nr] = i;
		ops[nr++] = w->ops[i];
	}
	r = pma_run(w->pma, ops, (size_t)nr);
	for (int i = 0; i < nr; i++) {
		w->ops[from[i]] = ops[i];
		r = r == 0 ? ops[i].result : r;
	}
	return r;
}

void undo_many(struct world *w)
{
	for (int i = 0; i < 3; i++)
		free_named(w, op_names[i]);
	undo_free(w);
}

int run_map(struct world *w)
{
	return pma_map(&w->map, w->pma, w->handle, PMA_MAP_WRITE);
}

int run_map_reading(struct world *w)
{
	return pma_map(&w->map, w->pma, w->handle, PMA_MAP_READ);
}

void have_mapped_reservation(struct world *w)
{
	have_reservation(w);
	must(run_map(w), "map");
}

void have_map(struct world *w)
{
	have_allocation(w);
	must(run_map(w), "map");
}

void have_map_and_options(struct world *w)
{
	have_map(w);
	have_options(w);
}

/* Something beside it keeps the second extent apart from the first. */
void have_parts(struct world *w)
{
	struct pma_handle beside;

	must(pma_create(&w->handle, w->pma, w->name, MIB(2), 0), "create");
	must(pma_reserve(&beside, w->pma, NULL, MIB(2), 0), "reserve");
	must(pma_resize(w->pma, w->handle, MIB(4)), "resize");
	must(pma_abort(w->pma, beside), "abort");
}

void have_mapped_before(struct world *w)
{
	have_map(w);
	pma_unmap(w->map);
	w->map = NULL;
}

/* As if the device were a file of a dax file system. */
void have_allocation_of_lines(struct world *w)
{
	have_allocation(w);
	setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1);
}

void undo_map(struct world *w)
{
	pma_unmap(w->map);
	w->map = NULL;
	undo_free(w);
}

/*
 * If the memory is still there the daemon must not be told that it is not, or it would give the
 * space to others: what could not be unmapped is lent.
 */
int run_unmap(struct world *w)
{
	char *address = pma_map_address(w->map);
	struct holding *holding;
	unsigned char page;

	pma_unmap(w->map);
	w->map = NULL;
	holding = holding_recall(&w->pma->holdings, w->handle);
	if (mincore(address, 4096, &page) == 0 && (!holding || !holding->is_lent))
		must(-EFAULT, "it is still mapped, and the session does not know that");
	return 0;
}

int run_stores(struct world *w)
{
	char *address = pma_map_address(w->map);
	int r = pma_memset(w->map, address, 1, 4096);

	if (r == 0)
		r = pma_memcpy(w->map, address, "text", 4);
	if (r == 0)
		r = pma_flush(w->map, address, 4096);
	if (r == 0)
		r = pma_drain(w->map);
	return r == 0 ? pma_persist(w->map, address, 8192) : r;
}

/*
 * False is an answer too; that it was so for want of memory must not be remembered. A daemon that is
 * away is not asked: another call makes the connection again.
 */
int run_is_valid(struct world *w)
{
	if (w->nr_events++ > 0)
		must(run_stat(w), "stat");
	return pma_is_valid(w->pma, w->handle) ? 0 : -ENOENT;
}
