/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * objects: a heap, where libpmemarena-heap is built. Its memory never has anybody else's data.
 */
#include <config.h>

#include "tests/storm/stormer.h"

#ifdef STORM_HEAP

#include <inttypes.h>
#include <pmemarena-heap.h>
#include <stddef.h>

#include "tests/storm/stamp.h"

#define OBJECTS 24u
#define MIB     (UINT64_C(1) << 20)

struct object {
	uint64_t *words;                /* NULL: unused */
	size_t nr;                      /* even */
	uint64_t origin;
};

static struct pma_heap *heap;
static struct object all[OBJECTS];

static void check_fresh(const struct object *object)
{
	for (size_t i = 0; i + 1 < object->nr; i++)
		if (object->words[i] == STAMP_MAGIC &&
		    ORIGIN_MAKER(object->words[i + 1]) != me.maker)
			fail(NULL,
			     "a new object of a heap has the stamp of origin %" PRIx64
			     " (stormer %u)",
			     object->words[i + 1], ORIGIN_MAKER(object->words[i + 1]));
}

static void make(struct object *object)
{
	static const uint64_t most[] = { 4, 64, 2000, 20000 };

	object->nr = 2 * (1 + rnd(most[rnd(4)]));
	object->words = pma_heap_malloc(heap, object->nr * sizeof(*object->words));
	if (!object->words)
		return;
	check_fresh(object);
	object->origin = ORIGIN(me.maker, ++me.books->next_number);
	for (size_t i = 0; i < object->nr; i += 2) {
		object->words[i] = STAMP_MAGIC;
		object->words[i + 1] = object->origin;
	}
}

static void drop(struct object *object)
{
	for (size_t i = 0; i < object->nr; i += 2)
		if (object->words[i] != STAMP_MAGIC || object->words[i + 1] != object->origin)
			fail(NULL,
			     "an object of a heap, origin %" PRIx64 ", has %" PRIx64 " %" PRIx64
			     " at %zu",
			     object->origin, object->words[i], object->words[i + 1],
			     i * sizeof(*object->words));
	me.books->nr_checks++;
	pma_heap_free(heap, object->words);
	object->words = NULL;
}

void objects_end(void)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		if (all[i].words)
			drop(&all[i]);
	pma_heap_close(heap);
	heap = NULL;
}

void objects_step(void)
{
	struct object *object = &all[rnd(OBJECTS)];

	count(KIND_OBJECT);
	if (!heap && rnd(8))
		return;
	if (!heap && pma_heap_open(&heap, me.pma, 0, 16 * MIB, 32 * MIB) < 0)
		heap = NULL;            /* no room for so much, mostly */
	if (!heap)
		return;
	if (object->words)
		drop(object);
	else
		make(object);
	if (rnd(60) == 0)
		objects_end();
}

#else

void objects_step(void)
{
}

void objects_end(void)
{
}

#endif
