/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: allocations in this process's memory.
 */
#ifndef PMEMARENA_MAP_H
#define PMEMARENA_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct pma_mapping;

/*
 * As pma_unmap(). Returns whether another process may still have the mapping; true also when that
 * cannot be found out.
 */
bool map_end(struct pma_mapping *map);
/* Returns where the mapped allocation, which has one extent, begins on the device. */
uint64_t map_offset(const struct pma_mapping *map);

#endif
