/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: allocations in this process's memory.
 */
#ifndef PMEMARENA_MAP_H
#define PMEMARENA_MAP_H

struct pma;

/* The connection ends: its maps go on without it. */
void map_orphan_all(struct pma *pma);

#endif
