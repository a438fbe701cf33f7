/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_internal: what cache.c and publication.c share; for nobody else.
 */
#ifndef PMEMARENA_CACHE_INTERNAL_H
#define PMEMARENA_CACHE_INTERNAL_H

#include <pthread.h>

#include "lib/memory/lease.h"

struct keeper;
TAILQ_HEAD(lease_list, lease);

/*
 * A shelf: the leases of a cache whose units have one size, either base pages or pages of the
 * arena.
 */
struct shelf {
	uint8_t  unit_shift;
	uint64_t ahead;                 /* bytes to take at a time */
	struct lease_list leases;       /* owned */
};

struct pma_cache {
	pthread_mutex_t lock;           /* protects everything below */
	pthread_cond_t  refilled;
	struct pma *pma;                /* borrowed */
	uint32_t arena;
	uint64_t page_size, max_bytes;
	struct shelf small, large;
	uint64_t bytes;                 /* bytes that are leased and not published */
	uint64_t in_use;                /* how many of @bytes are in pieces that the program has */
	/* a thread is asking the daemon for another lease; the others wait for it */
	bool     is_refilling;
	uint64_t nr_refills, nr_recalls;
	struct lease_list ending;       /* owned; leases that wait for the keeper to end them */
	uint32_t nr_ending;
	struct keeper *keeper;          /* owned */
};

/* publication.c */
/*
 * The state of a piece that a program gave, under the lock. PIECE_NONE, with a message: it is no
 * piece of this cache, or it was released already.
 */
enum piece_state cache_piece(uint32_t *nr, const struct pma_piece *piece);

#endif
