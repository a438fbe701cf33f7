/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_acts: the functions of which an act is made, for the table of acts and for each other.
 * have_THING() makes what an act needs before, run_CALL() is what may fail, and undo_THING() ends
 * what it made.
 */
#ifndef PMEMARENA_SWEEPER_ACTS_H
#define PMEMARENA_SWEEPER_ACTS_H

#include <stdint.h>

#include "tests/system/sweeper.h"

#define KIB(n) (UINT64_C(n) << 10)
#define MIB(n) (UINT64_C(n) << 20)

#define ANOTHER_NAME "another name"

/* ---- sweeper_allocations.c ---- */

/* Names for several at once. */
extern const char *const op_names[3];
void have_reservation(struct world *w);
void have_allocation(struct world *w);
void have_closed(struct world *w);
void undo_abort(struct world *w);
void free_named(struct world *w, const char *name);
void undo_free(struct world *w);
int run_reserve(struct world *w);
int run_create(struct world *w);
int run_publish(struct world *w);
int run_abort(struct world *w);
int run_open(struct world *w);
int run_open_owned(struct world *w);
int run_close(struct world *w);
int run_free(struct world *w);
int run_resize(struct world *w);
int run_rename(struct world *w);
int run_set_mode(struct world *w);
int run_stat(struct world *w);
int run_stat_name(struct world *w);
int run_set_owner(struct world *w);
int run_usage(struct world *w);
int run_list(struct world *w);
int run_extents(struct world *w);
int run_device_fd(struct world *w);
int run_arena_find(struct world *w);
void have_ops(struct world *w);
int run_many(struct world *w);
void undo_many(struct world *w);
int run_map(struct world *w);
int run_map_reading(struct world *w);
void have_mapped_reservation(struct world *w);
void have_map(struct world *w);
void have_map_and_options(struct world *w);
void have_parts(struct world *w);
void have_mapped_before(struct world *w);
void have_allocation_of_lines(struct world *w);
void undo_map(struct world *w);
int run_unmap(struct world *w);
int run_stores(struct world *w);
int run_is_valid(struct world *w);

/* ---- sweeper_caches.c ---- */

int run_cache_open(struct world *w);
int run_cache_close(struct world *w);
void undo_cache(struct world *w);
void have_cache(struct world *w);
int run_cache_reserve(struct world *w);
void have_pieces(struct world *w);
int run_cache_release(struct world *w);
void have_released(struct world *w);
int run_cache_trim(struct world *w);
int run_cache_publish(struct world *w);
void have_published(struct world *w);

/* ---- sweeper_connections.c ---- */

int run_options(struct world *w);
void undo_options(struct world *w);
void have_options(struct world *w);
int run_connect(struct world *w);
void undo_connect(struct world *w);
void have_options_for_nobody(struct world *w);
int run_disconnect(struct world *w);
int run_subscribe(struct world *w);
void undo_subscribe(struct world *w);
int run_get_fd(struct world *w);
void have_event(struct world *w);
int run_dispatch(struct world *w);
void undo_dispatch(struct world *w);
void have_many_things(struct world *w);
void have_lost(struct world *w);
void have_restarted(struct world *w);
int run_dispatch_until_up(struct world *w);
void undo_lost(struct world *w);
int run_child_unmap(struct world *w);
int run_child_connect(struct world *w);
int run_admin_call(struct world *w);
void undo_admin_call(struct world *w);
void have_noise(struct world *w);
void undo_noise(struct world *w);
int run_admin_watch(struct world *w);

/* ---- sweeper_caches.c, with memkind ---- */

int run_heap_open(struct world *w);
void undo_heap(struct world *w);
void have_heap(struct world *w);
int run_heap_grow(struct world *w);
int run_heap_close(struct world *w);

#endif
