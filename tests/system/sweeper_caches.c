/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_caches: the calls of caches, and of heaps where there is memkind.
 */
#include <config.h>

#include "tests/system/sweeper_acts.h"

#include <stdbool.h>
#include <unistd.h>

#ifdef SWEEP_HEAP
#include <pmemarena-heap.h>
#endif

int run_cache_open(struct world *w)
{
	return pma_cache_open(&w->cache, w->pma, 0, MIB(16));
}

int run_cache_close(struct world *w)
{
	pma_cache_close(w->cache);
	w->cache = NULL;
	return 0;
}

void undo_cache(struct world *w)
{
	run_cache_close(w);
	for (int i = 0; i < NR_PIECES; i++)
		free_named(w, op_names[i]);
}

void have_cache(struct world *w)
{
	must(run_cache_open(w), "cache");
}

int run_cache_reserve(struct world *w)
{
	for (int i = 0; i < NR_PIECES; i++) {
		int r = w->pieces[i].address ? 0
					     : pma_cache_reserve(&w->pieces[i], w->cache,
								 i == 2 ? MIB(2) : KIB(4),
								 PMA_ZEROED);

		if (r < 0)
			return r;
	}
	return 0;
}

void have_pieces(struct world *w)
{
	have_cache(w);
	must(run_cache_reserve(w), "pieces");
}

int run_cache_release(struct world *w)
{
	for (int i = 0; i < NR_PIECES; i++) {
		int r = w->pieces[i].address ? pma_cache_release(w->cache, &w->pieces[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

void have_released(struct world *w)
{
	have_pieces(w);
	must(run_cache_release(w), "release");
}

int run_cache_trim(struct world *w)
{
	pma_cache_trim(w->cache);
	return 0;
}

/* What an earlier try published is not published again. */
int run_cache_publish(struct world *w)
{
	int r = 0;

	for (int i = 0; i < NR_PIECES; i++)
		w->publications[i] = (struct pma_publication){
			.piece = &w->pieces[i],
			.name = op_names[i],
			.handle = w->publications[i].handle,
		};
	for (int i = 0, nr; i < NR_PIECES && r == 0; i += nr) {
		for (nr = 0; i + nr < NR_PIECES && !w->publications[i + nr].handle.id; nr++)
			;
		r = pma_cache_publish(w->cache, &w->publications[i], (size_t)nr);
		for (int j = i; j < i + nr && r == 0; j++)
			r = w->publications[j].result;
		nr += nr == 0;
	}
	return r;
}

void have_published(struct world *w)
{
	have_pieces(w);
	must(run_cache_publish(w), "publish pieces");
}

#ifdef SWEEP_HEAP
int run_heap_open(struct world *w)
{
	return pma_heap_open(&w->heap, w->pma, 0, MIB(16), MIB(128));
}

void undo_heap(struct world *w)
{
	pma_heap_close(w->heap);
	w->heap = NULL;
}

void have_heap(struct world *w)
{
	must(run_heap_open(w), "heap");
}

/* More than one extent has. It is not asked for again sooner than in a tenth of a second. */
int run_heap_grow(struct world *w)
{
	void *object = pma_heap_malloc(w->heap, MIB(20));

	if (!object) {
		usleep(110000);
		return pma_heap_why(w->heap, w->text, sizeof(w->text));
	}
	return pma_heap_free(w->heap, object);
}

int run_heap_close(struct world *w)
{
	undo_heap(w);
	return 0;
}
#endif
