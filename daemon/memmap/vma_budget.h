/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vma_budget: how many mappings this process may have (vm.max_map_count), and how many it has. When the end is near the memmap spends memory
 * instead of mappings; it never tells a client.
 */
#ifndef PMEMARENA_VMA_BUDGET_H
#define PMEMARENA_VMA_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct vma_budget {
	uint64_t limit;                 /* vm.max_map_count when it was read */
	uint64_t others;                /* mappings that are not a memmap's, when they were counted */
	uint64_t own;                   /* those of the tail planes, by their own account: exact */
	uint64_t own_then;              /* when the others were counted */
	uint64_t planned;               /* units of the memmaps that share it: one mapping each when all is shared */
	bool     counted;
};

/* @limit 0: read vm.max_map_count. Counts nothing yet. */
void vma_budget_init(struct vma_budget *budget, uint64_t limit);
/* Count what is there that is not our own. One read of /proc/self/maps: some 0.2 us a mapping. */
void vma_budget_recount(struct vma_budget *budget);
/* So much has changed since the last time that the count should be taken again. */
bool vma_budget_is_stale(const struct vma_budget *budget);
static inline uint64_t vma_budget_used(const struct vma_budget *budget) { return budget->others + budget->own; }
/* @nr more may be spent, with a margin left for what must always work: mapping media, a client's message, malloc. */
bool vma_budget_has(const struct vma_budget *budget, uint64_t nr);

#endif
