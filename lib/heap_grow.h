/* SPDX-License-Identifier: BSD-3-Clause */
/* heap_grow: the regions of a heap: how it gets another one, and how one ends. For heap.c alone. */
#ifndef PMEMARENA_HEAP_GROW_H
#define PMEMARENA_HEAP_GROW_H

#include <pmemarena-heap.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NO_MEMORY  "no memory is left for this process: free some, or raise its limit (ulimit -v)"
#define HEAP_MIB(n)     (UINT64_C(n) << 20)
/* The smallest extent: of a smaller one memkind's own data would take too large a part. */
#define HEAP_LEAST      HEAP_MIB(16)
#define HEAP_FIRST      HEAP_MIB(64)    /* the first extent, if the program does not say */

/*
 * One reservation of the heap and its memory. Each table has a copy; what it points to belongs to
 * the heap, which ends it once.
 */
struct region {
	char *base, *end;               /* the memory; @end is the first byte behind it */
	struct memkind *kind;
	struct pma_mapping *map;
	struct pma_handle handle;       /* the reservation */
};

/* All regions that the heap had at one time. It does not change once other threads can see it. */
struct table {
	struct table *older;            /* owned; the table that this one replaced, or NULL */
	uint32_t nr;
	struct region regions[];        /* sorted by base */
};

struct pma_heap {
	_Atomic(struct table *) table;  /* owned; never NULL once the heap is open */
	/*
	 * The region in which the last object was allocated, in some table: the next object is
	 * tried there first.
	 */
	_Atomic(const struct region *) current;
	struct pma *pma;                /* borrowed */
	uint32_t arena;
	uint32_t forks;                 /* nr_forks in the process that opened the heap */
	uint64_t page_size;             /* of the arena */
	uint64_t first_bytes;           /* the first extent's length */
	uint64_t max_bytes;             /* of all extents together */
	pthread_mutex_t lock;           /* a thread has it while it lets the heap grow */
	/* The lock protects all below. */
	uint64_t reserved;              /* bytes of all extents */
	/*
	 * Until rest_until_ns nobody asks the arena for refused_bytes or more: it refused that
	 * much.
	 */
	uint64_t refused_bytes;
	int64_t  rest_until_ns;
	/*
	 * a reservation that could not be given back to the daemon yet; its id is 0: there is none
	 */
	struct pma_handle owed;
	/* why the heap could not grow the last time; 0: it always could */
	int      error;
	char     message[512];          /* `error` as a sentence */
	/*
	 * Why the last extent could not be had. It becomes the message if a smaller extent cannot
	 * be had either.
	 */
	char     attempt[512];
};

static inline struct table *heap_table(struct pma_heap *heap)
{
	return atomic_load_explicit(&heap->table, memory_order_acquire);
}

/*
 * Gives heap->owed back to the daemon. -ENOMEM: there is no memory for the message, and it is still
 * owed. What else the daemon says does not matter: then the reservation is over.
 */
int heap_pay(struct pma_heap *heap);
/*
 * Ends a region. Nothing may be owed to the daemon before; what the region has is owed afterwards
 * if the daemon could not be told.
 */
void heap_end_region(struct pma_heap *heap, struct region *region);
/*
 * Adds a region as large as all regions before it together. Where so much cannot be had it tries
 * half as much, and so on down to @least bytes. With the lock.
 */
int heap_grow(struct pma_heap *heap, uint64_t least);
/*
 * The caller found no room in the regions of @seen. Adds a region of @least bytes or more, unless
 * another thread added one since. Returns whether it is worth while to look for room again.
 */
bool heap_make_room(struct pma_heap *heap, const struct table *seen, uint64_t least);
/*
 * How large an extent must be so that memkind can allocate an object of @size bytes, aligned to
 * @align, in it. Large objects need some more than their size, since memkind rounds them up.
 */
uint64_t heap_room_for(size_t align, size_t size);

#endif
