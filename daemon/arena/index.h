/* SPDX-License-Identifier: BSD-3-Clause */
/* index: the order of names, by which arena->names (a red-black tree of allocations) is sorted. */
#ifndef PMEMARENA_INDEX_H
#define PMEMARENA_INDEX_H

#include "daemon/arena/arena_internal.h"

/* Compares the names as bytes; of two that begin alike the shorter one is less. As strcmp(). */
int name_compare(const struct alloc *a, const struct alloc *b);
RB_PROTOTYPE(name_tree, alloc, by_name, name_compare)

#endif
