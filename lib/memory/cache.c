/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache: space taken ahead in leases, from which pieces are handed out without a message. It
 * decides how much to take, from which lease a piece comes, and when a lease goes back; how units
 * are counted is lease.c's, how leases go back cache_return.c's, and how pieces become allocations
 * publication.c's.
 *
 *	        reserve                publish
 *	free ------------> reserved -------------> published
 *	  ^                   |                        |
 *	  +----- release -----+                        +--- release: an ordinary allocation
 *
 * A lease is mapped once, as long as any piece of it is in use. So the space of a part that was
 * published and then freed is nobody else's before that mapping goes, which it does with the last
 * piece.
 */
#include <config.h>

#include <pmemarena.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/memory/cache_internal.h"
#include "lib/memory/cache_return.h"
#include "lib/session/client.h"
#include "lib/error.h"
#include "lib/memory/keeper.h"
#include "lib/wire/size.h"

#define BASE_SHIFT  12
/* the most bytes of small leases (base pages) that are taken at a time */
#define SMALL_BYTES (UINT64_C(2) << 20)
/*
 * the most bytes of large leases (compound pages) that are taken at a time, unless one piece is
 * larger
 */
#define LARGE_BYTES (UINT64_C(32) << 20)
/*
 * How many leases may wait for the keeper (the cache's thread) to end them. Beyond that the thread
 * that releases a piece ends them itself.
 */
#define MAX_ENDING  8

/* ---- leases that are taken ---- */

/* Takes another lease. Called with the lock, which is released during the request. */
static int take_lease(struct pma_cache *cache, struct shelf *shelf, uint64_t len, bool is_ahead)
{
	struct lease_list idle = TAILQ_HEAD_INITIALIZER(idle);
	struct lease *lease;
	int r;

	cache_take_ending(cache, &idle);
	cache_detach_idle(cache, &cache->small, len, &idle);
	cache_detach_idle(cache, &cache->large, len, &idle);
	if (cache->bytes + len > cache->max_bytes) {
		char asked[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

		r = error_set(-ENOBUFS,
			      "%s more do not fit into the cache's bound of %s: %s are in use; "
			      "release or publish some, or open it with more",
			      size_text(asked, len), size_text(max, cache->max_bytes),
			      size_text(used, cache->in_use));
		pthread_mutex_unlock(&cache->lock);
		cache_end_all(cache, &idle);
		pthread_mutex_lock(&cache->lock);
		return r;
	}
	cache->bytes += len;
	pthread_mutex_unlock(&cache->lock);
	cache_end_all(cache, &idle);
	r = lease_new(&lease, cache->pma, cache->arena, len, shelf->unit_shift, is_ahead);
	pthread_mutex_lock(&cache->lock);
	if (r < 0) {
		cache->bytes -= len;
		if (lease)
			cache_leave_to_keeper(cache, lease);
		return r;
	}
	cache->nr_refills++;
	TAILQ_INSERT_HEAD(&shelf->leases, lease, link);
	return 0;
}

/*
 * Takes a lease of the size that the shelf usually takes ahead. If that cannot be had, takes one of
 * @len bytes only. If the arena is short of space, that one is an ordinary reservation: for such
 * the daemon asks other clients to give leases back, for a lease it does not.
 */
static int refill(struct pma_cache *cache, struct shelf *shelf, uint64_t len)
{
	uint64_t left = cache->max_bytes > cache->in_use ? cache->max_bytes - cache->in_use : 0;
	uint64_t usual = shelf->ahead > len ? shelf->ahead : len;
	int r = -ENOBUFS;

	if (usual <= left)
		r = take_lease(cache, shelf, usual, true);
	if (r == -ENOBUFS || r == -ENOSPC || (r == -EDQUOT && usual > len))
		r = take_lease(cache, shelf, len, r != -ENOSPC);
	return r;
}

static int wait_or_refill(struct pma_cache *cache, struct shelf *shelf, uint64_t len)
{
	int r;

	if (cache->is_refilling) {
		pthread_cond_wait(&cache->refilled, &cache->lock);
		return 0;
	}
	cache->is_refilling = true;
	r = refill(cache, shelf, len);
	cache->is_refilling = false;
	pthread_cond_broadcast(&cache->refilled);
	return r;
}

/* ---- pieces ---- */

static struct shelf *shelf_of(struct pma_cache *cache, uint64_t len)
{
	return len < cache->page_size ? &cache->small : &cache->large;
}

/*
 * The daemon ended this lease (its session was lost). Nothing more is handed out from it, and it is
 * ended when no piece of it is in use.
 */
static void drop_lost(struct pma_cache *cache, struct shelf *shelf, struct lease *lease)
{
	if (lease->nr_pieces == 0) {
		TAILQ_REMOVE(&shelf->leases, lease, link);
		cache->bytes -= lease_bytes(lease);
		cache_leave_to_keeper(cache, lease);
	} else {
		lease->nr_free = 0;
	}
}

static struct lease *claim(uint32_t *first, struct pma_cache *cache, struct shelf *shelf,
			   uint32_t nr)
{
	struct lease *lease, *next;

	TAILQ_FOREACH_SAFE(lease, &shelf->leases, link, next) {
		if (lease->nr_free < nr)
			continue;
		if (!lease_is_valid(lease))
			drop_lost(cache, shelf, lease);
		else if (lease_claim(first, lease, nr))
			return lease;
	}
	return NULL;
}

/* Leases with free units stand in front, so that a search ends early. */
static void move(struct shelf *shelf, struct lease *lease, bool to_front)
{
	TAILQ_REMOVE(&shelf->leases, lease, link);
	if (to_front)
		TAILQ_INSERT_HEAD(&shelf->leases, lease, link);
	else
		TAILQ_INSERT_TAIL(&shelf->leases, lease, link);
}

static int check_len(const struct pma_cache *cache, uint64_t *len)
{
	uint64_t asked = *len,
		 unit = asked < cache->page_size ? UINT64_C(1) << BASE_SHIFT : cache->page_size;
	char text[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

	if (asked == 0)
		return error_set(-EINVAL, "the length is 0");
	if (asked > cache->max_bytes)
		return error_set(-EINVAL, "%s are more than the cache's bound of %s",
				 size_text(text, asked), size_text(max, cache->max_bytes));
	*len = (asked + unit - 1) / unit * unit;
	return 0;
}

static void fill(struct pma_piece *out, struct lease *lease, uint32_t first, uint64_t len)
{
	out->address = lease->base + ((size_t)first << lease->unit_shift);
	out->len = len;
	out->map = lease->map;
	out->lease = lease;
	out->unit = first;
}

int pma_cache_reserve(struct pma_piece *out, struct pma_cache *cache, uint64_t len, uint32_t flags)
{
	struct shelf *shelf;
	struct lease *lease;
	uint32_t first, nr;
	bool was_used = false;
	int r = client_check(cache->pma);

	if (r == 0 && (flags & ~(uint32_t)PMA_ZEROED))
		r = error_set(-EINVAL, "flags %#x mean nothing here",
			      flags & ~(uint32_t)PMA_ZEROED);
	if (r == 0)
		r = check_len(cache, &len);
	if (r < 0)
		return r;
	shelf = shelf_of(cache, len);
	nr = (uint32_t)(len >> shelf->unit_shift);
	pthread_mutex_lock(&cache->lock);
	while (!(lease = claim(&first, cache, shelf, nr)) && r == 0)
		r = wait_or_refill(cache, shelf, len);
	if (lease) {
		cache->in_use += len;
		was_used = lease_was_used(lease, first, nr);
		if (lease->nr_free == 0)
			move(shelf, lease, false);
	}
	pthread_mutex_unlock(&cache->lock);
	if (!lease)
		return r;
	fill(out, lease, first, len);
	r = was_used && (flags & PMA_ZEROED) ? pma_memset(out->map, out->address, 0, out->len) : 0;
	if (r < 0)
		pma_cache_release(cache, out);
	return r;
}

/*
 * The last piece of a lease was released: should the lease be given back? Yes if nothing of it can
 * be handed out, or at least half of it was published: as long as the lease is mapped, space that
 * was published and then freed cannot be used by anybody.
 */
static bool is_finished(const struct lease *lease)
{
	return lease->nr_pieces == 0 &&
	       (lease->nr_free == 0 || lease->nr_kept <= lease->nr_units / 2);
}

/* Ends a detached lease, or wakes the keeper for it. Called with the lock, which it releases. */
static void end_or_wake(struct pma_cache *cache)
{
	struct lease_list list = TAILQ_HEAD_INITIALIZER(list);
	bool is_late = ++cache->nr_ending > MAX_ENDING;

	if (is_late)
		cache_take_ending(cache, &list);
	pthread_mutex_unlock(&cache->lock);
	if (is_late)
		cache_end_all(cache, &list);
	else
		keeper_wake(cache->keeper);
}

int pma_cache_release(struct pma_cache *cache, struct pma_piece *piece)
{
	struct lease *lease = piece->lease;
	struct shelf *shelf = shelf_of(cache, piece->len);
	enum piece_state state;
	uint32_t nr = 0;
	int r = client_check(cache->pma);

	if (r < 0)
		return r;
	pthread_mutex_lock(&cache->lock);
	state = cache_piece(&nr, piece);
	if (state == PIECE_NONE || state == PIECE_BUSY) {
		r = state == PIECE_NONE ? -EINVAL : error_set(-EBUSY, "it is being published");
		pthread_mutex_unlock(&cache->lock);
		return r;
	}
	if (state != PIECE_PUBLISHED)
		cache->in_use -= (uint64_t)nr << lease->unit_shift;
	if (lease->nr_free == 0 && state == PIECE_RESERVED)
		move(shelf, lease, true);
	lease_release(lease, piece->unit);
	if (is_finished(lease)) {
		cache_detach(cache, shelf, lease, &cache->ending);
		end_or_wake(cache);
	} else {
		pthread_mutex_unlock(&cache->lock);
	}
	*piece = (struct pma_piece){ .address = NULL };
	return 0;
}

/* ---- the cache ---- */

static uint8_t shift_of(uint64_t size)
{
	return (uint8_t)__builtin_ctzll(size);
}

static uint64_t at_most(uint64_t len, uint64_t max, uint64_t unit)
{
	len = len < max ? len : max;
	return len < unit ? unit : len / unit * unit;
}

static int check_open(struct pma *pma, const struct pma_arena *arena, uint64_t max_bytes)
{
	bool carves;

	client_lock(pma);
	carves = pma->link.carves;
	client_unlock(pma);
	if (!carves)
		return error_set(-EOPNOTSUPP,
				 "the daemon does not know leases: it is older than this library");
	if (max_bytes < UINT64_C(1) << BASE_SHIFT || max_bytes > arena->size)
		return error_set(-EINVAL,
				 "the cache's bound is %llu bytes; at least 4K, and no more than "
				 "the arena's %llu, make sense",
				 (unsigned long long)max_bytes, (unsigned long long)arena->size);
	return 0;
}

static void init_shelves(struct pma_cache *cache)
{
	uint64_t page = cache->page_size, half = page / 2 < SMALL_BYTES ? page / 2 : SMALL_BYTES;

	/*
	 * Two small leases fill one page of the arena. A cache takes an eighth of its bound at a
	 * time, so that a small part of the bound at most lies idle.
	 */
	cache->small.unit_shift = BASE_SHIFT;
	cache->small.ahead = at_most(half, cache->max_bytes / 8, UINT64_C(1) << BASE_SHIFT);
	cache->large.unit_shift = shift_of(page);
	cache->large.ahead = at_most(LARGE_BYTES, cache->max_bytes / 8, page);
	TAILQ_INIT(&cache->small.leases);
	TAILQ_INIT(&cache->large.leases);
	TAILQ_INIT(&cache->ending);
}

int pma_cache_open(struct pma_cache **out, struct pma *pma, uint32_t arena, uint64_t max_bytes)
{
	struct pma_arena info;
	struct pma_cache *cache;
	int r = pma_arena_get(&info, pma, arena);

	if (r == 0)
		r = check_open(pma, &info, max_bytes);
	if (r < 0)
		return r;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return error_memory();
	cache->pma = pma;
	cache->arena = arena;
	cache->page_size = info.page_size;
	cache->max_bytes = max_bytes;
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->refilled, NULL);
	init_shelves(cache);
	r = keeper_new(&cache->keeper, pma, arena, cache_tidy_up, cache);
	if (r < 0) {
		free(cache);
		return r;
	}
	*out = cache;
	return 0;
}

/*
 * Ends what the cache has. What could not be told to the daemon is tried once more; if that is in
 * vain too the daemon learns it from the end of the session.
 */
static void end_leases(struct pma_cache *cache)
{
	struct lease_list list = TAILQ_HEAD_INITIALIZER(list);
	struct lease *lease;

	TAILQ_CONCAT(&cache->ending, &cache->small.leases, link);
	TAILQ_CONCAT(&cache->ending, &cache->large.leases, link);
	for (int i = 0; i < 2; i++) {
		cache_take_ending(cache, &list);
		cache_end_all(cache, &list);
	}
	while ((lease = TAILQ_FIRST(&cache->ending))) {
		TAILQ_REMOVE(&cache->ending, lease, link);
		lease_free(lease);
	}
}

void pma_cache_close(struct pma_cache *cache)
{
	if (!cache)
		return;
	keeper_free(cache->keeper);
	if (client_check(cache->pma) == 0) {
		end_leases(cache);
		pthread_cond_destroy(&cache->refilled);
		pthread_mutex_destroy(&cache->lock);
	}
	free(cache);
}

void pma_cache_stat(struct pma_cache_info *out, struct pma_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	*out = (struct pma_cache_info){
		.leased = cache->bytes, .in_use = cache->in_use, .max_bytes = cache->max_bytes,
		.nr_refills = cache->nr_refills, .nr_recalls = cache->nr_recalls,
	};
	pthread_mutex_unlock(&cache->lock);
}
