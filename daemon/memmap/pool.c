/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool: slots of private tails in one memory file, filled before they are needed, so that a restore is one mmap and the array is complete at
 * every instant. The last slots are the reserve: poison handling must not fail for want of memory. Slots of up to 1 MiB are kept
 * ready; a slot of 16 MiB (1 GiB pages) is filled when it is asked for.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

#define KEEP_BYTES    (UINT64_C(1) << 20)       /* filled and unused, at most */
#define RESERVE_SLOTS 4u

void pool_init(struct pool *pool, size_t slot_bytes)
{
	*pool = (struct pool){ .fd = -1, .slot_bytes = slot_bytes };
}

void pool_fini(struct pool *pool)
{
	if (pool->fd >= 0)
		close(pool->fd);
	free(pool->ready);
	free(pool->spent);
	free(pool->empty);
	*pool = (struct pool){ .fd = -1, .slot_bytes = pool->slot_bytes };
}

static uint32_t nr_kept(const struct pool *pool)
{
	return (uint32_t)(KEEP_BYTES / pool->slot_bytes);
}

static int grow_stack(uint32_t **stack, uint32_t room)
{
	uint32_t *grown = reallocarray(*stack, room, sizeof(**stack));

	if (!grown)
		return -ENOMEM;
	*stack = grown;
	return 0;
}

/* Each stack has room for all slots, so that giving one back never fails. */
static int make_room(struct pool *pool)
{
	uint32_t room = pool->room ? pool->room * 2 : 64;
	int r = 0;

	if (pool->nr_slots < pool->room)
		return 0;
	r = grow_stack(&pool->ready, room);
	if (r == 0)
		r = grow_stack(&pool->spent, room);
	if (r == 0)
		r = grow_stack(&pool->empty, room);
	if (r == 0)
		pool->room = room;
	return r;
}

static int add_slot(struct pool *pool)
{
	int r = make_room(pool);

	if (r < 0)
		return r;
	if (pool->fd < 0) {
		pool->fd = memfd_create("pmemarena-pool", MFD_CLOEXEC);
		if (pool->fd < 0)
			return -errno;
		fchmod(pool->fd, 0600);
	}
	if (ftruncate(pool->fd, (off_t)((pool->nr_slots + 1) * pool->slot_bytes)) < 0)
		return -errno;
	pool->empty[pool->nr_empty++] = pool->nr_slots++;
	return 0;
}

/* Turns one slot that is not filled into one that is. */
static int fill_one(struct pool *pool)
{
	uint32_t **from = pool->nr_spent ? &pool->spent : &pool->empty;
	uint32_t *nr = pool->nr_spent ? &pool->nr_spent : &pool->nr_empty;
	uint32_t slot;
	int r = 0;

	if (*nr == 0) {
		r = add_slot(pool);
		if (r < 0)
			return r;
		from = &pool->empty;
		nr = &pool->nr_empty;
	}
	slot = (*from)[*nr - 1];
	r = fill_plain(pool->fd, slot * pool->slot_bytes, pool->slot_bytes);
	if (r < 0)
		return r;
	(*nr)--;
	pool->ready[pool->nr_ready++] = slot;
	return 0;
}

int pool_take(uint32_t *slot, struct pool *pool, bool urgent)
{
	uint32_t reserve = nr_kept(pool) > RESERVE_SLOTS ? RESERVE_SLOTS : 0;
	int r;

	if (pool->nr_ready <= (urgent ? 0 : reserve)) {
		r = fill_one(pool);
		if (r < 0)
			return r == -ENOSPC ? -ENOMEM : r;
	}
	*slot = pool->ready[--pool->nr_ready];
	pool->nr_used++;
	return 0;
}

void pool_give(struct pool *pool, uint32_t slot)
{
	pool->spent[pool->nr_spent++] = slot;
	pool->nr_used--;
}

void pool_untake(struct pool *pool, uint32_t slot)
{
	pool->ready[pool->nr_ready++] = slot;
	pool->nr_used--;
}

/* Beyond the bound the memory goes back; the slot's place in the file stays. */
static bool drop_one(struct pool *pool)
{
	uint32_t slot = pool->spent[pool->nr_spent - 1];

	if (fallocate(pool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(slot * pool->slot_bytes), (off_t)pool->slot_bytes) < 0)
		return false;
	pool->nr_spent--;
	pool->empty[pool->nr_empty++] = slot;
	return true;
}

bool pool_refill(struct pool *pool)
{
	if (pool->fd < 0)
		return false;           /* nothing was ever split: nothing is kept for it */
	if (pool->nr_ready < nr_kept(pool))
		return fill_one(pool) == 0;
	return pool->nr_spent > 0 && drop_one(pool);
}
