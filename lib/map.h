/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: allocations in this process's memory.
 */
#ifndef PMEMARENA_MAP_H
#define PMEMARENA_MAP_H

#include <stdint.h>

struct pma;
struct pma_map;

/* The connection ends: its maps go on without it. */
void map_orphan_all(struct pma *pma);

/* Where it begins on the device, for one extent. */
uint64_t map_offset(const struct pma_map *map);

#endif
