/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena-heap: malloc() for small objects, on memory of an arena. Contents are volatile: they
 * are gone with the process, and the space goes back to the arena then. A library of its own,
 * libpmemarena-heap, so that who does not want its allocator need not load it.
 *
 *	struct pma_heap *heap;
 *	void *object;
 *
 *	pma_connect(&pma, NULL);
 *	pma_heap_open(&heap, pma, 0, 0, 0);             arena 0, sizes by themselves
 *	object = pma_heap_malloc(heap, 100);
 *	pma_heap_free(heap, object);
 *	pma_heap_close(heap);
 *
 * A heap takes extents from the arena, a larger one each time that it is full, and gives all of
 * them back when it is closed. Within an extent memkind's fixed kind allocates, which is jemalloc:
 * threads have arenas of their own, and malloc() of the process stays what it is. A process can
 * have some 4000 / (4 * processors, rounded up to a power of two) extents in all its heaps: on
 * large machines begin with many bytes, or set MEMKIND_ARENA_NUM_PER_KIND in the environment to the
 * number of threads that allocate at once.
 *
 * Of memory that was freed in large pieces memkind keeps some from small objects for up to ten
 * seconds; a heap takes another extent rather than wait, but one that has reached its bound may
 * refuse meanwhile.
 *
 * Threads: all of them may use one heap, and free what others allocated. fork: the memory is shared
 * with the parent, which goes on with it, so a child must not use the heap: allocations fail with
 * EPERM there, and frees do nothing.
 *
 * The daemon may go away and come back: the heap goes on. If the session is lost for good the heap
 * goes on with what it has, which nobody else gets as long as it is mapped, and cannot grow.
 */
#ifndef PMEMARENA_HEAP_H
#define PMEMARENA_HEAP_H

#include <pmemarena.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pma_heap;                /* opaque */

/*
 * A heap in arena @arena. @first_bytes: its first extent (0: 64 MiB, or an eighth of the arena
 * where that is less; at least 16 MiB). Each further one is as large as all before it together,
 * less where so much cannot be had. @max_bytes: of all extents (0: as many as the arena gives).
 * @pma is borrowed until pma_heap_close().
 *
 * 0, or -EINVAL @first_bytes is less than 16 MiB, more than the arena or more than @max_bytes,
 * -ENOMEM no memory in this process, -EMFILE memkind can manage no more extents (see above),
 * -ENOENT no such arena, and the errors of pma_reserve() and pma_map(). pma_message() has the
 * sentence.
 */
PMA_PUBLIC int pma_heap_open(struct pma_heap **out, struct pma *pma, uint32_t arena,
			     uint64_t first_bytes, uint64_t max_bytes);
/*
 * All objects are gone, and no other thread may be using one or the heap. The space goes back to
 * the arena. NULL is fine.
 */
PMA_PUBLIC void pma_heap_close(struct pma_heap *heap);

/*
 * As their namesakes in C, with one difference: NULL with errno ENOMEM may mean that the arena has
 * no room, the user no quota or the heap reached its @max_bytes: pma_heap_why(). EPERM in a child
 * of fork(). Only growing blocks: it asks the daemon, and after a refusal for as much again not
 * sooner than in a tenth of a second. Memory of malloc and realloc is not zeroed; it never has
 * anybody else's data. @align is a power of two. A size of 0 is one byte.
 */
PMA_PUBLIC void *pma_heap_malloc(struct pma_heap *heap, size_t size);
PMA_PUBLIC void *pma_heap_calloc(struct pma_heap *heap, size_t nr, size_t size);
/* @object NULL: malloc. */
PMA_PUBLIC void *pma_heap_realloc(struct pma_heap *heap, void *object, size_t size);
/* EINVAL: @align is not a power of two. */
PMA_PUBLIC void *pma_heap_aligned_alloc(struct pma_heap *heap, size_t align, size_t size);
/*
 * NULL is fine. 0, or -EINVAL it is in no extent of this heap. Freeing twice is as bad as
 * everywhere.
 */
PMA_PUBLIC int pma_heap_free(struct pma_heap *heap, void *object);
/* Bytes that may be used of @object; 0: it is in no extent of this heap. */
PMA_PUBLIC size_t pma_heap_usable_size(struct pma_heap *heap, const void *object);

/*
 * Why it could not grow when that failed last: -errno, and a sentence in @text (at most @size bytes
 * with its end); 0: it never failed. -EPERM in a child.
 */
PMA_PUBLIC int pma_heap_why(struct pma_heap *heap, char *text, size_t size);

struct pma_heap_info {
	uint64_t reserved;              /* bytes of all extents */
	uint64_t allocated;             /* bytes of objects */
	uint64_t max_bytes;
	uint32_t nr_extents;
};

/* What the heap has now. */
PMA_PUBLIC void pma_heap_stat(struct pma_heap_info *out, struct pma_heap *heap);

#ifdef __cplusplus
}
#endif

#endif
