/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_return: leases of a cache that go back to the daemon. They are taken off their shelf with
 * the lock and ended without it, since to end one is a request: with the lock, every thread that
 * wants a piece would wait for the daemon.
 */
#include <config.h>

#include "lib/memory/cache_return.h"

#include <pmemarena.h>

#include "lib/memory/cache_internal.h"
#include "lib/memory/keeper.h"
#include "lib/session/client.h"

void cache_detach(struct pma_cache *cache, struct shelf *shelf, struct lease *lease,
		  struct lease_list *to)
{
	TAILQ_REMOVE(&shelf->leases, lease, link);
	TAILQ_INSERT_TAIL(to, lease, link);
	cache->bytes -= lease_bytes(lease);
}

void cache_detach_idle(struct pma_cache *cache, struct shelf *shelf, uint64_t need,
		       struct lease_list *to)
{
	struct lease *lease, *next;

	TAILQ_FOREACH_SAFE(lease, &shelf->leases, link, next) {
		if (need != UINT64_MAX && cache->bytes + need <= cache->max_bytes)
			return;
		if (lease->nr_pieces == 0)
			cache_detach(cache, shelf, lease, to);
	}
}

void cache_end_all(struct pma_cache *cache, struct lease_list *list)
{
	struct lease_list again = TAILQ_HEAD_INITIALIZER(again);
	struct lease *lease;
	uint32_t nr = 0;

	while ((lease = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, lease, link);
		if (lease_end(lease) < 0) {
			TAILQ_INSERT_TAIL(&again, lease, link);
			nr++;
		}
	}
	if (nr == 0)
		return;
	pthread_mutex_lock(&cache->lock);
	TAILQ_CONCAT(&cache->ending, &again, link);
	cache->nr_ending += nr;
	pthread_mutex_unlock(&cache->lock);
}

void cache_take_ending(struct pma_cache *cache, struct lease_list *to)
{
	TAILQ_CONCAT(to, &cache->ending, link);
	cache->nr_ending = 0;
}

void cache_tidy_up(void *arg, bool recalled)
{
	struct pma_cache *cache = arg;
	struct lease_list list = TAILQ_HEAD_INITIALIZER(list);

	pthread_mutex_lock(&cache->lock);
	cache_take_ending(cache, &list);
	if (recalled) {
		cache->nr_recalls++;
		cache_detach_idle(cache, &cache->small, UINT64_MAX, &list);
		cache_detach_idle(cache, &cache->large, UINT64_MAX, &list);
	}
	pthread_mutex_unlock(&cache->lock);
	cache_end_all(cache, &list);
}

void pma_cache_trim(struct pma_cache *cache)
{
	struct lease_list list = TAILQ_HEAD_INITIALIZER(list);

	if (client_check(cache->pma) < 0)
		return;
	pthread_mutex_lock(&cache->lock);
	cache_take_ending(cache, &list);
	cache_detach_idle(cache, &cache->small, UINT64_MAX, &list);
	cache_detach_idle(cache, &cache->large, UINT64_MAX, &list);
	pthread_mutex_unlock(&cache->lock);
	cache_end_all(cache, &list);
}

void cache_leave_to_keeper(struct pma_cache *cache, struct lease *lease)
{
	TAILQ_INSERT_TAIL(&cache->ending, lease, link);
	cache->nr_ending++;
	keeper_wake(cache->keeper);
}
