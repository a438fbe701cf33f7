/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap: malloc() on space of an arena. A heap reserves extents, maps each of them (a *region*), and
 * gives the memory to an allocator of libmemkind (a *kind*), which divides it into objects. This
 * file decides from which region an object comes; heap_grow.c reserves and ends regions. No other
 * file knows libmemkind. They call libpmemarena as a program does, and in addition set
 * pma_message().
 *
 * A heap gives no region back before it is closed. Its regions stand in a table, sorted by address.
 * When a region is added the heap makes a new table and never changes the old one, so that threads
 * read a table without a lock. An old table stays until the heap is closed, since a thread may
 * still be reading it; there are at most MAX_EXTENTS of them, and they are small.
 */
#include <config.h>

#include <pmemarena-heap.h>

#include <errno.h>
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/heap_grow.h"

/* ---- fork ---- */

/* How many forks lie between this process and the one that loaded the library. */
static _Atomic uint32_t nr_forks;
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_watching;                /* count_fork() is registered; under watch_lock */

static void count_fork(void)
{
	atomic_fetch_add(&nr_forks, 1);
}

/*
 * Has each fork() of this process counted. Without that a child would allocate from memory that its
 * parent allocates from too. Registering may fail for want of memory; the next caller tries again.
 */
static int watch_forks(void)
{
	int r = 0;

	pthread_mutex_lock(&watch_lock);
	if (!is_watching)
		r = -pthread_atfork(NULL, NULL, count_fork);
	is_watching = r == 0;
	pthread_mutex_unlock(&watch_lock);
	return r;
}

/* Is this the process that opened the heap, and not a child of it? */
static bool is_ours(const struct pma_heap *heap)
{
	return atomic_load_explicit(&nr_forks, memory_order_relaxed) == heap->forks;
}

/* ---- which extent ---- */

static bool has(const struct region *region, const void *object)
{
	return (const char *)object >= region->base && (const char *)object < region->end;
}

/* Finds the region that @object is in. NULL: it is in no region of this heap. */
static const struct region *find(struct pma_heap *heap, const void *object)
{
	const struct region *current = atomic_load_explicit(&heap->current, memory_order_acquire);
	const struct table *table;
	uint32_t from = 0, to;

	if (has(current, object))
		return current;
	table = heap_table(heap);
	to = table->nr;
	while (from < to) {
		uint32_t middle = (from + to) / 2;

		if (has(&table->regions[middle], object))
			return &table->regions[middle];
		if ((const char *)object < table->regions[middle].base)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* ---- allocating ---- */

/* Allocates from @region; NULL: there is no room for the object in it. */
static void *from_region(const struct region *region, size_t align, size_t size)
{
	void *object;

	if (align <= 16)
		return memkind_malloc(region->kind, size);
	return memkind_posix_memalign(region->kind, &object, align, size) == 0 ? object : NULL;
}

/* Tries the regions of @table, the newest first. NULL: none has room. */
static void *from_any(struct pma_heap *heap, const struct table *table, size_t align, size_t size)
{
	for (uint32_t i = table->nr; i-- > 0;) {
		void *object = from_region(&table->regions[i], align, size);

		if (!object)
			continue;
		atomic_store_explicit(&heap->current, &table->regions[i], memory_order_release);
		return object;
	}
	return NULL;
}

/* Allocates from any region, and lets the heap grow if none has room. NULL with errno. */
static void *allocate(struct pma_heap *heap, size_t align, size_t size)
{
	const struct table *table;
	void *object;

	if (!is_ours(heap)) {
		errno = EPERM;
		return NULL;
	}
	size = size ? size : 1;
	do {
		table = heap_table(heap);
		object = from_any(heap, table, align, size);
	} while (!object && heap_make_room(heap, table, heap_room_for(align, size)));
	if (!object)
		errno = ENOMEM;
	return object;
}

/* Most objects come from the region that had room last: that one is tried without a loop. */
void *pma_heap_malloc(struct pma_heap *heap, size_t size)
{
	void *object = NULL;

	if (is_ours(heap) && size > 0)
		object = memkind_malloc(
			atomic_load_explicit(&heap->current, memory_order_acquire)->kind, size);
	return object ? object : allocate(heap, 1, size);
}

void *pma_heap_calloc(struct pma_heap *heap, size_t nr, size_t size)
{
	void *object;

	if (size && nr > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	object = pma_heap_malloc(heap, nr * size);
	return object ? memset(object, 0, nr * size) : NULL;
}

void *pma_heap_aligned_alloc(struct pma_heap *heap, size_t align, size_t size)
{
	if (align == 0 || (align & (align - 1))) {
		errno = EINVAL;
		return NULL;
	}
	return allocate(heap, align, size);
}

int pma_heap_free(struct pma_heap *heap, void *object)
{
	const struct region *region;

	if (!object || !is_ours(heap))
		return 0;
	region = find(heap, object);
	if (!region)
		return -EINVAL;
	memkind_free(region->kind, object);
	return 0;
}

size_t pma_heap_usable_size(struct pma_heap *heap, const void *object)
{
	const struct region *region = object ? find(heap, object) : NULL;

	return region ? memkind_malloc_usable_size(region->kind, (void *)(uintptr_t)object) : 0;
}

/*
 * memkind changes the object's size within its region. If there is no room in that region, the
 * object moves to another one.
 */
void *pma_heap_realloc(struct pma_heap *heap, void *object, size_t size)
{
	const struct region *region;
	size_t old;
	void *moved;

	if (!object)
		return pma_heap_malloc(heap, size);
	region = is_ours(heap) ? find(heap, object) : NULL;
	if (!region) {
		errno = is_ours(heap) ? EINVAL : EPERM;
		return NULL;
	}
	size = size ? size : 1;
	moved = memkind_realloc(region->kind, object, size);
	if (moved)
		return moved;
	old = memkind_malloc_usable_size(region->kind, object);
	moved = pma_heap_malloc(heap, size);
	if (!moved)
		return NULL;
	memcpy(moved, object, old < size ? old : size);
	memkind_free(region->kind, object);
	return moved;
}

/* ---- the heap ---- */

/*
 * Checks the sizes that the program asked for. -EINVAL: they make no sense; the message says why.
 */
static int check_sizes(struct pma_heap *heap, const struct pma_arena *arena)
{
	if (heap->first_bytes >= HEAP_LEAST && heap->first_bytes <= arena->size &&
	    heap->max_bytes >= heap->first_bytes)
		return 0;
	snprintf(heap->message, sizeof(heap->message),
		 "the heap's first extent is to have %llu bytes, and all of them at most %llu: the "
		 "first needs %llu at least, and at most the arena's %llu",
		 (unsigned long long)heap->first_bytes, (unsigned long long)heap->max_bytes,
		 (unsigned long long)HEAP_LEAST, (unsigned long long)arena->size);
	return -EINVAL;
}

/* Ends a heap that could not be opened. The reason is in it, and in pma_message() afterwards. */
static int refuse_open(struct pma_heap *heap, int err)
{
	char message[sizeof(heap->message)];

	memcpy(message, heap->message, sizeof(message));
	pma_heap_close(heap);
	return pmemarena_error_set(err, "%s", message);
}

int pma_heap_open(struct pma_heap **out, struct pma *pma, uint32_t arena, uint64_t first_bytes,
		  uint64_t max_bytes)
{
	struct pma_arena info;
	struct pma_heap *heap;
	int r = pma_arena_get(&info, pma, arena);

	if (r < 0)
		return r;
	if (watch_forks() < 0)
		return pmemarena_error_set(-ENOMEM, "%s", HEAP_NO_MEMORY);
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return pmemarena_error_set(-ENOMEM, "%s", HEAP_NO_MEMORY);
	heap->pma = pma;
	heap->arena = arena;
	heap->forks = atomic_load(&nr_forks);
	heap->page_size = info.page_size;
	heap->first_bytes = first_bytes		    ? first_bytes
			    : info.size / 8 < HEAP_FIRST ? info.size / 8
						    : HEAP_FIRST;
	if (!first_bytes && heap->first_bytes < HEAP_LEAST)
		heap->first_bytes = HEAP_LEAST;
	heap->max_bytes = max_bytes ? max_bytes : UINT64_MAX;
	pthread_mutex_init(&heap->lock, NULL);
	r = check_sizes(heap, &info);
	if (r == 0)
		r = heap_grow(heap, first_bytes ? first_bytes : HEAP_LEAST);
	if (r < 0)
		return refuse_open(heap, r);
	*out = heap;
	return 0;
}

void pma_heap_close(struct pma_heap *heap)
{
	struct table *table, *older;

	if (!heap)
		return;
	table = heap_table(heap);
	/*
	 * A child frees only its copies of the tables: the regions are its parent's, and memkind
	 * keeps data of its own in them.
	 */
	for (uint32_t i = 0; table && is_ours(heap) && i < table->nr; i++) {
		heap_pay(heap);
		heap_end_region(heap, &table->regions[i]);
	}
	if (is_ours(heap))
		heap_pay(heap);
	for (; table; table = older) {
		older = table->older;
		free(table);
	}
	free(heap);
}

void pma_heap_stat(struct pma_heap_info *out, struct pma_heap *heap)
{
	const struct table *table = heap_table(heap);

	*out = (struct pma_heap_info){ .max_bytes = heap->max_bytes, .nr_extents = table->nr };
	memkind_update_cached_stats();
	for (uint32_t i = 0; i < table->nr; i++) {
		size_t allocated = 0;

		if (memkind_get_stat(table->regions[i].kind, MEMKIND_STAT_TYPE_ALLOCATED,
				     &allocated) == MEMKIND_SUCCESS)
			out->allocated += allocated;
		out->reserved += (uint64_t)(table->regions[i].end - table->regions[i].base);
	}
}

int pma_heap_why(struct pma_heap *heap, char *text, size_t size)
{
	int r;

	/*
	 * A thread of the parent may have had the lock at the time of the fork. In the child nobody
	 * would ever release it.
	 */
	if (!is_ours(heap)) {
		snprintf(text, size, "the heap is the parent's: a child of fork() cannot use it");
		return -EPERM;
	}
	pthread_mutex_lock(&heap->lock);
	r = heap->error;
	snprintf(text, size, "%s", heap->message);
	pthread_mutex_unlock(&heap->lock);
	return r;
}
