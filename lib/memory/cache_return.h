/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_return: how leases of a cache go back to the daemon. */
#ifndef PMEMARENA_CACHE_RETURN_H
#define PMEMARENA_CACHE_RETURN_H

#include "lib/memory/cache_internal.h"

/* Takes a lease off its shelf and puts it on @to: the caller ends it without the lock. */
void cache_detach(struct pma_cache *cache, struct shelf *shelf, struct lease *lease,
		  struct lease_list *to);
/*
 * Detaches leases of which no piece is in use (idle ones) until @need bytes more fit into the
 * cache's bound, or none is left. UINT64_MAX: all idle ones. They go to @to, and the caller ends
 * them without the lock.
 */
void cache_detach_idle(struct pma_cache *cache, struct shelf *shelf, uint64_t need,
		       struct lease_list *to);
/*
 * Ends all leases of @list, without the lock: to end one is a request. Those of which the daemon
 * cannot be told for want of memory wait for the next time that leases are ended.
 */
void cache_end_all(struct pma_cache *cache, struct lease_list *list);
/* Moves the leases that wait for their end to @to, which must be empty. With the lock. */
void cache_take_ending(struct pma_cache *cache, struct lease_list *to);
/*
 * Ends leases on the keeper's thread; @recalled: the daemon asked for leases back, so idle ones
 * too.
 */
void cache_tidy_up(void *arg, bool recalled);
/* The keeper ends a lease that is on no list. With the lock. */
void cache_leave_to_keeper(struct pma_cache *cache, struct lease *lease);

#endif
