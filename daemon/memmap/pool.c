/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool: slots of private tails in one memory file. They are filled before they are needed, so that
 * to restore a page takes one mmap() and the array is complete at every instant. The last slots are
 * a reserve: to mark a bad page must not fail for lack of memory. Slots of a few KiB are kept
 * ready; one of 16 MiB (pages of 1 GiB) is filled when somebody asks for it.
 *
 *	no memory --fill--> ready --take--> in use --give--> spent --fill--> ready
 *	    ^-------------------more than are kept-------------+
 *
 * The first 64 slots are one huge page and keep their memory. They are taken lowest first: pages
 * that are restored one after the other get slots one after the other, and sharing them again
 * unmaps one folio. That makes it cheaper by a tenth to a third.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

#define KEEP_BYTES    (UINT64_C(1) << 20)       /* of slots that are filled and not used, at most */
#define CHUNK_BYTES   HUGE_PAGE
#define RESERVE_SLOTS 4u                        /* this many slots are for urgent callers only */

void pool_init(struct pool *pool, size_t slot_len, struct node *node)
{
	*pool = (struct pool){ .fd = -1, .slot_len = slot_len, .node = node };
}

void pool_fini(struct pool *pool)
{
	if (pool->fd >= 0)
		close(pool->fd);
	free(pool->ready);
	free(pool->spent);
	free(pool->empty);
	pool_init(pool, pool->slot_len, pool->node);
}

static uint32_t nr_reserve(const struct pool *pool)
{
	return pool->slot_len * RESERVE_SLOTS <= KEEP_BYTES ? RESERVE_SLOTS : 0;
}

/*
 * How many slots are kept filled: before anything was ever split only the reserve, since an empty
 * arena is to cost little memory.
 */
static uint32_t nr_kept(const struct pool *pool)
{
	return pool->was_used ? (uint32_t)(KEEP_BYTES / pool->slot_len) : nr_reserve(pool);
}

static int grow_stack(uint32_t **stack, uint32_t room)
{
	uint32_t *grown = reallocarray(*stack, room, sizeof(**stack));

	if (!grown)
		return -ENOMEM;
	*stack = grown;
	return 0;
}

/* Each stack gets room for all slots, so that giving one back never fails. */
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
		r = plain_file("pmemarena-pool", 0, 0);
		if (r < 0)
			return r;
		pool->fd = r;
	}
	if (ftruncate(pool->fd, (off_t)((pool->nr_slots + UINT64_C(1)) * pool->slot_len)) < 0)
		return -errno;
	pool->empty[pool->nr_empty++] = pool->nr_slots++;
	return 0;
}

/*
 * Fills a slot with plain tails. A large one is filled while a request waits, so if it is fresh
 * nothing is written to it: its memory is zeroes already, as plain tails are. A small one is filled
 * ahead, and is written to, so that the first touch later costs no fault.
 */
static int fill_slot(const struct pool *pool, uint32_t slot, bool is_fresh)
{
	uint64_t off = slot * (uint64_t)pool->slot_len;

	if (is_fresh && pool->slot_len > KEEP_BYTES)
		return plain_take(pool->node, pool->fd, off, pool->slot_len);
	return plain_fill(pool->node, pool->fd, off, pool->slot_len);
}

static int fill_top(struct pool *pool, const uint32_t *stack, uint32_t *nr)
{
	uint32_t slot = stack[*nr - 1];
	int r = fill_slot(pool, slot, stack == pool->empty);

	if (r < 0)
		return r;
	(*nr)--;
	pool->ready[pool->nr_ready++] = slot;
	return 0;
}

static bool is_in_chunk(const struct pool *pool, uint32_t slot)
{
	return pool->has_chunk && slot < CHUNK_BYTES / pool->slot_len;
}

/* Brings a slot of the first huge page to the top of the stack; false: there is none on it. */
static bool prefer_chunk(const struct pool *pool, uint32_t *stack, uint32_t nr)
{
	for (uint32_t i = nr; i-- > 0;)
		if (is_in_chunk(pool, stack[i])) {
			uint32_t slot = stack[i];

			stack[i] = stack[nr - 1];
			stack[nr - 1] = slot;
			return true;
		}
	return false;
}

static int fill_one(struct pool *pool)
{
	int r = 0;

	if (pool->nr_spent > 0) {
		prefer_chunk(pool, pool->spent, pool->nr_spent);
		return fill_top(pool, pool->spent, &pool->nr_spent);
	}
	if (pool->nr_empty == 0)
		r = add_slot(pool);
	return r < 0 ? r : fill_top(pool, pool->empty, &pool->nr_empty);
}

/*
 * Makes the slots of the first huge page. If the kernel does not give one they are filled like any
 * other slots.
 */
static void add_chunk(struct pool *pool)
{
	uint32_t nr = (uint32_t)(CHUNK_BYTES / pool->slot_len);

	while (pool->nr_slots < nr && add_slot(pool) == 0)
		;
	pool->has_chunk = true;
	if (pool->nr_slots < nr || !plain_make_huge(pool->node, pool->fd, CHUNK_BYTES))
		return;
	while (prefer_chunk(pool, pool->empty, pool->nr_empty))
		pool->ready[pool->nr_ready++] = pool->empty[--pool->nr_empty];
}

/*
 * Brings the slot to the top that pool_take() shall take: @wish if it is ready, since slots that
 * follow each other under pages that follow each other are one mapping; else the lowest, behind
 * which the next ones are likely to be ready too.
 */
static void bring_up(struct pool *pool, uint32_t wish)
{
	uint32_t top = pool->nr_ready - 1, best = top, slot;

	for (uint32_t i = 0; i < top && pool->ready[best] != wish; i++)
		if (pool->ready[i] == wish || pool->ready[i] < pool->ready[best])
			best = i;
	slot = pool->ready[best];
	pool->ready[best] = pool->ready[top];
	pool->ready[top] = slot;
}

int pool_take(uint32_t *slot, struct pool *pool, uint32_t wish, bool urgent)
{
	int r = pool->nr_ready > nr_reserve(pool) ? 0 : fill_one(pool);

	if (r < 0 && !(urgent && pool->nr_ready > 0))
		return r;
	bring_up(pool, wish);
	*slot = pool->ready[--pool->nr_ready];
	pool->nr_used++;
	pool->was_used = true;
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

/* Gives the memory of a slot back to the kernel; the slot keeps its place in the file. */
static bool drop_one(struct pool *pool)
{
	uint32_t slot = pool->spent[pool->nr_spent - 1];

	if (fallocate(pool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(slot * (uint64_t)pool->slot_len), (off_t)pool->slot_len) < 0)
		return false;
	pool->nr_spent--;
	pool->empty[pool->nr_empty++] = slot;
	return true;
}

bool pool_refill(struct pool *pool)
{
	if (pool->was_used && !pool->has_chunk && pool->slot_len < CHUNK_BYTES) {
		add_chunk(pool);
		return true;
	}
	if (pool->nr_ready < nr_kept(pool) || prefer_chunk(pool, pool->spent, pool->nr_spent))
		return fill_one(pool) == 0;
	return pool->nr_spent > 0 && drop_one(pool);
}
