/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap_grow: reserves and maps another extent for a heap when no region has room, and gives regions
 * back when the heap is closed. heap.c says what a region and a table are.
 */
#include <config.h>

#include "lib/heap_grow.h"

#include <errno.h>
#include <memkind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * The most extents of a heap. Each new one doubles the heap where the arena has room, so that
 * nobody reaches this number.
 */
#define MAX_EXTENTS 64u
/*
 * How long the heap waits, after the arena refused to let it grow, before it asks for as much
 * again.
 */
#define REST_NS    INT64_C(100000000)

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/*
 * Makes a table with all regions of @old (may be NULL) and @region, which gets the number *index.
 * NULL: no memory.
 */
static struct table *table_with(struct table *old, const struct region *region, uint32_t *index)
{
	uint32_t nr = old ? old->nr : 0, at = 0;
	struct table *table = malloc(sizeof(*table) + (nr + 1) * sizeof(*region));

	if (!table)
		return NULL;
	while (at < nr && old->regions[at].base < region->base)
		at++;
	if (nr > 0) {
		memcpy(table->regions, old->regions, at * sizeof(*region));
		memcpy(table->regions + at + 1, old->regions + at, (nr - at) * sizeof(*region));
	}
	table->regions[at] = *region;
	table->nr = nr + 1;
	table->older = old;
	*index = at;
	return table;
}

int heap_pay(struct pma_heap *heap)
{
	if (heap->owed.id && pma_abort(heap->pma, heap->owed) == -ENOMEM)
		return -ENOMEM;
	heap->owed = PMA_HANDLE_NONE;
	return 0;
}

void heap_end_region(struct pma_heap *heap, struct region *region)
{
	if (region->kind)
		memkind_destroy_kind(region->kind);
	pma_unmap(region->map);
	heap->owed = region->handle;
	heap_pay(heap);
}

static int no_memory(struct pma_heap *heap)
{
	snprintf(heap->attempt, sizeof(heap->attempt), "%s", HEAP_NO_MEMORY);
	return -ENOMEM;
}

static int create_kind(struct pma_heap *heap, struct region *region)
{
	struct memkind *kind;
	int error = memkind_create_fixed(region->base, (size_t)(region->end - region->base), &kind);

	if (error == MEMKIND_SUCCESS) {
		region->kind = kind;
		return 0;
	}
	if (error == MEMKIND_ERROR_MALLOC)
		return no_memory(heap);
	/*
	 * memkind has 4095 arenas (of jemalloc) in a process, and each kind takes four for each
	 * processor, unless the environment variable says another number.
	 */
	snprintf(heap->attempt, sizeof(heap->attempt),
		 "memkind cannot manage one more extent in this process (%ld processors): open "
		 "heaps with more "
		 "bytes to begin with, or set MEMKIND_ARENA_NUM_PER_KIND to less",
		 sysconf(_SC_NPROCESSORS_CONF));
	return -EMFILE;
}

/*
 * Reserves and maps @len bytes and makes a kind of them. After an error the reason is in
 * heap->attempt, and *region has what was made so far, for heap_end_region().
 */
static int region_init(struct region *region, struct pma_heap *heap, uint64_t len)
{
	struct pma_op op = { .opcode = PMA_OP_RESERVE,
			     .handle = { .arena = heap->arena },
			     .len = len };
	int r = pma_run(heap->pma, &op, 1);

	*region = (struct region){ .base = NULL };
	if (r == 0)
		r = op.result;
	if (r == 0) {
		region->handle = op.handle;
		r = pma_map(&region->map, heap->pma, op.handle, PMA_MAP_WRITE);
	}
	if (r < 0) {
		snprintf(heap->attempt, sizeof(heap->attempt), "%s", pma_message());
		return r;
	}
	region->base = pma_map_address(region->map);
	region->end = region->base + pma_map_length(region->map);
	return create_kind(heap, region);
}

/* Adds a region of @len bytes to the heap. The caller has the lock. */
static int add_region(struct pma_heap *heap, uint64_t len)
{
	struct region region;
	struct table *table = NULL;
	uint32_t index = 0;
	int r = region_init(&region, heap, len);

	if (r == 0) {
		table = table_with(heap_table(heap), &region, &index);
		if (!table)
			r = no_memory(heap);
	}
	if (r < 0) {
		heap_end_region(heap, &region);
		return r;
	}
	heap->reserved += (uint64_t)(region.end - region.base);
	atomic_store_explicit(&heap->table, table, memory_order_release);
	atomic_store_explicit(&heap->current, &table->regions[index], memory_order_release);
	return 0;
}

static uint64_t round_up(const struct pma_heap *heap, uint64_t len)
{
	return len > UINT64_MAX - heap->page_size
		       ? len
		       : (len + heap->page_size - 1) / heap->page_size * heap->page_size;
}

/* Remembers for pma_heap_why() that the heap could not grow. Returns @r. */
static int note_failure(struct pma_heap *heap, int r)
{
	heap->error = r;
	memcpy(heap->message, heap->attempt, sizeof(heap->message));
	return r;
}

/* After these errors a smaller extent may still be had. */
static bool is_about_size(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EINVAL;
}

int heap_grow(struct pma_heap *heap, uint64_t least)
{
	uint64_t len = heap->reserved ? heap->reserved : heap->first_bytes,
		 left = heap->max_bytes - heap->reserved;
	int r;

	if (heap_pay(heap) < 0) {
		snprintf(heap->attempt, sizeof(heap->attempt), "%s", pma_message());
		return note_failure(heap, -ENOMEM);
	}
	least = round_up(heap, least);
	if (least > left || (heap->reserved && heap_table(heap)->nr == MAX_EXTENTS)) {
		snprintf(heap->attempt, sizeof(heap->attempt),
			 "the heap has as many bytes as it may have; open it with more");
		return note_failure(heap, -ENOMEM);
	}
	if (len > left)
		len = left / heap->page_size * heap->page_size;
	for (;;) {
		len = round_up(heap, len < least ? least : len);
		r = add_region(heap, len);
		if (!is_about_size(r) || len <= least)
			break;
		len /= 2;
	}
	if (r == 0)
		return 0;
	heap->refused_bytes = is_about_size(r) ? least : 0;
	heap->rest_until_ns = now_ns() + REST_NS;
	return note_failure(heap, r);
}

uint64_t heap_room_for(size_t align, size_t size)
{
	if (align > UINT64_MAX / 4 || size > UINT64_MAX / 4)
		return UINT64_MAX;
	return HEAP_LEAST + (size > HEAP_MIB(4) ? size + size / 4 : 0) + (align > HEAP_MIB(4) ? align : 0);
}

/* Was this much, or less, refused a moment ago? Less than what was refused may still be had. */
static bool is_hopeless(const struct pma_heap *heap, uint64_t least)
{
	return least >= heap->refused_bytes && now_ns() < heap->rest_until_ns;
}

bool heap_make_room(struct pma_heap *heap, const struct table *seen, uint64_t least)
{
	bool grown = true;

	pthread_mutex_lock(&heap->lock);
	if (heap_table(heap) == seen)
		grown = !is_hopeless(heap, least) && heap_grow(heap, least) == 0;
	pthread_mutex_unlock(&heap->lock);
	return grown;
}
