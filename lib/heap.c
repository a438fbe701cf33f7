/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap: extents of an arena, each with a kind of memkind in it. Which extent an object comes from and when another one is taken is decided here; all
 * else about objects is memkind's, and this file is its only door. Of the library it knows what any program knows.
 *
 * Extents only come, until the heap is closed. A table of them, sorted by address, is replaced when one comes and never changed, so that
 * allocating and freeing take no lock; old tables stay until the end, they are few and small.
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
#include <time.h>
#include <unistd.h>

#define MIB(n)     (UINT64_C(n) << 20)
#define LEAST      MIB(16)              /* below, what memkind needs for itself weighs too much */
#define FIRST      MIB(64)
#define MAX_EXTENTS 64u                 /* each at least as large as all before it, where that can be had */
#define REST_NS    INT64_C(100000000)   /* after growing failed, before it is tried again */

struct region {
	char *base, *end;
	struct memkind *kind;           /* owned by the heap */
	struct pma_map *map;            /* owned by the heap */
	struct pma_handle handle;
};

struct table {
	struct table *older;            /* owned */
	uint32_t nr;
	struct region regions[];        /* by address */
};

struct pma_heap {
	_Atomic(struct table *) table;  /* owned; never NULL once it is open */
	_Atomic(const struct region *) current; /* where there was room last; in some table */
	struct pma *pma;                /* borrowed */
	uint32_t arena, forks;
	uint64_t page_size, first_bytes, max_bytes;
	pthread_mutex_t lock;           /* growing */
	uint64_t reserved;              /* under it, as all below */
	uint64_t refused_bytes;         /* what the arena would not give, until */
	int64_t  rest_until_ns;
	int      error;                 /* why it could not grow last */
	char     message[512], attempt[512];    /* about it; about the last try, which a smaller one may have made good */
};

/* ---- fork ---- */

static _Atomic uint32_t nr_forks;       /* that this process came out of */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
	atomic_fetch_add(&nr_forks, 1);
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

static bool is_ours(const struct pma_heap *heap)
{
	return atomic_load_explicit(&nr_forks, memory_order_relaxed) == heap->forks;
}

/* ---- which extent ---- */

static struct table *table_of(struct pma_heap *heap)
{
	return atomic_load_explicit(&heap->table, memory_order_acquire);
}

static bool has(const struct region *region, const void *object)
{
	return (const char *)object >= region->base && (const char *)object < region->end;
}

/* NULL: none of ours. */
static const struct region *find(struct pma_heap *heap, const void *object)
{
	const struct region *current = atomic_load_explicit(&heap->current, memory_order_acquire);
	const struct table *table;
	uint32_t from = 0, to;

	if (has(current, object))
		return current;
	table = table_of(heap);
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

/* ---- growing ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The table with one more, at *index. NULL: no memory. */
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

static void region_fini(struct pma_heap *heap, struct region *region)
{
	if (region->kind)
		memkind_destroy_kind(region->kind);
	pma_unmap(region->map);
	if (region->handle.id)
		pma_abort(heap->pma, region->handle);
}

static int create_kind(struct pma_heap *heap, struct region *region)
{
	struct memkind *kind;

	if (memkind_create_fixed(region->base, (size_t)(region->end - region->base), &kind) == MEMKIND_SUCCESS) {
		region->kind = kind;
		return 0;
	}
	/* It has 4095 arenas in all, of which each kind takes four a processor, unless it is told how many. */
	snprintf(heap->attempt, sizeof(heap->attempt), "memkind cannot manage one more extent in this process (%ld processors): open heaps with more "
		 "bytes to begin with, or set MEMKIND_ARENA_NUM_PER_KIND to less", sysconf(_SC_NPROCESSORS_CONF));
	return -EMFILE;
}

/* What there is to say about a failure is in heap->attempt. */
static int region_init(struct region *region, struct pma_heap *heap, uint64_t len)
{
	struct pma_op op = { .opcode = PMA_OP_RESERVE, .handle = { .arena = heap->arena }, .len = len };
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

static int add_region(struct pma_heap *heap, uint64_t len)
{
	struct region region;
	struct table *table = NULL;
	uint32_t index = 0;
	int r = region_init(&region, heap, len);

	if (r == 0) {
		table = table_with(table_of(heap), &region, &index);
		if (!table) {
			r = -ENOMEM;
			snprintf(heap->attempt, sizeof(heap->attempt), "%s", strerror(ENOMEM));
		}
	}
	if (r < 0) {
		region_fini(heap, &region);
		return r;
	}
	heap->reserved += (uint64_t)(region.end - region.base);
	atomic_store_explicit(&heap->table, table, memory_order_release);
	atomic_store_explicit(&heap->current, &table->regions[index], memory_order_release);
	return 0;
}

static uint64_t round_up(const struct pma_heap *heap, uint64_t len)
{
	return len > UINT64_MAX - heap->page_size ? len : (len + heap->page_size - 1) / heap->page_size * heap->page_size;
}

int pma_heap_why(struct pma_heap *heap, char *text, size_t size)
{
	int r;

	/* In a child the lock may be the parent's for ever. */
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

static int note_failure(struct pma_heap *heap, int r)
{
	heap->error = r;
	memcpy(heap->message, heap->attempt, sizeof(heap->message));
	return r;
}

/* Less might be had. */
static bool is_about_size(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EINVAL;
}

/* As large as what there is; less, down to @least, where that cannot be had. With the lock. */
static int grow(struct pma_heap *heap, uint64_t least)
{
	uint64_t len = heap->reserved ? heap->reserved : heap->first_bytes, left = heap->max_bytes - heap->reserved;
	int r;

	least = round_up(heap, least);
	if (least > left || (heap->reserved && table_of(heap)->nr == MAX_EXTENTS)) {
		snprintf(heap->attempt, sizeof(heap->attempt), "the heap has as many bytes as it may have; open it with more");
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

/* What one such object needs of an extent, with memkind's own. */
static uint64_t room_for(size_t align, size_t size)
{
	if (align > UINT64_MAX / 4 || size > UINT64_MAX / 4)
		return UINT64_MAX;
	return LEAST + (size > MIB(4) ? size + size / 4 : 0) + (align > MIB(4) ? align : 0);
}

/* Less than what was refused just now may still be had. */
static bool is_hopeless(const struct pma_heap *heap, uint64_t least)
{
	return least >= heap->refused_bytes && now_ns() < heap->rest_until_ns;
}

/* @least: bytes, in an extent. @seen: the table in which there was no room. True: look again. */
static bool make_room(struct pma_heap *heap, const struct table *seen, uint64_t least)
{
	bool grown = true;

	pthread_mutex_lock(&heap->lock);
	/* Another thread was faster, or it is too soon to ask once more. */
	if (table_of(heap) == seen)
		grown = !is_hopeless(heap, least) && grow(heap, least) == 0;
	pthread_mutex_unlock(&heap->lock);
	return grown;
}

/* ---- allocating ---- */

static void *from_region(const struct region *region, size_t align, size_t size)
{
	void *object;

	if (align <= 16)
		return memkind_malloc(region->kind, size);
	return memkind_posix_memalign(region->kind, &object, align, size) == 0 ? object : NULL;
}

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
		table = table_of(heap);
		object = from_any(heap, table, align, size);
	} while (!object && make_room(heap, table, room_for(align, size)));
	if (!object)
		errno = ENOMEM;
	return object;
}

void *pma_heap_malloc(struct pma_heap *heap, size_t size)
{
	void *object = NULL;

	if (is_ours(heap) && size > 0)
		object = memkind_malloc(atomic_load_explicit(&heap->current, memory_order_acquire)->kind, size);
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

/* In its extent if there is room in that one, else by way of another. */
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

static int check_sizes(const struct pma_heap *heap, const struct pma_arena *arena)
{
	return heap->first_bytes < LEAST || heap->first_bytes > arena->size || heap->max_bytes < heap->first_bytes ? -EINVAL : 0;
}

int pma_heap_open(struct pma_heap **out, struct pma *pma, uint32_t arena, uint64_t first_bytes, uint64_t max_bytes)
{
	struct pma_arena info;
	struct pma_heap *heap;
	int r = pma_arena_get(&info, pma, arena);

	if (r < 0)
		return r;
	pthread_once(&once, watch_forks);
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	heap->pma = pma;
	heap->arena = arena;
	heap->forks = atomic_load(&nr_forks);
	heap->page_size = info.page_size;
	heap->first_bytes = first_bytes ? first_bytes : info.size / 8 < FIRST ? info.size / 8 : FIRST;
	if (!first_bytes && heap->first_bytes < LEAST)
		heap->first_bytes = LEAST;
	heap->max_bytes = max_bytes ? max_bytes : UINT64_MAX;
	pthread_mutex_init(&heap->lock, NULL);
	r = check_sizes(heap, &info);
	if (r == 0)
		r = grow(heap, first_bytes ? first_bytes : LEAST);
	if (r < 0) {
		pma_heap_close(heap);
		return r;
	}
	*out = heap;
	return 0;
}

void pma_heap_close(struct pma_heap *heap)
{
	struct table *table, *older;

	if (!heap)
		return;
	table = table_of(heap);
	/* In a child the extents are the parent's, and so is what memkind knows of them. */
	for (uint32_t i = 0; table && is_ours(heap) && i < table->nr; i++)
		region_fini(heap, &table->regions[i]);
	for (; table; table = older) {
		older = table->older;
		free(table);
	}
	free(heap);
}

void pma_heap_stat(struct pma_heap_stat *out, struct pma_heap *heap)
{
	const struct table *table = table_of(heap);

	*out = (struct pma_heap_stat){ .max_bytes = heap->max_bytes, .nr_extents = table->nr };
	memkind_update_cached_stats();
	for (uint32_t i = 0; i < table->nr; i++) {
		size_t allocated = 0;

		if (memkind_get_stat(table->regions[i].kind, MEMKIND_STAT_TYPE_ALLOCATED, &allocated) == MEMKIND_SUCCESS)
			out->allocated += allocated;
		out->reserved += (uint64_t)(table->regions[i].end - table->regions[i].base);
	}
}
