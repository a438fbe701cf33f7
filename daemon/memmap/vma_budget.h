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
	uint64_t others;                /* mappings that are not the memmap's, when they were counted */
	uint64_t own;                   /* the memmap's, by its own account */
};

/* @limit 0: read vm.max_map_count. Counts what the process has now as others. */
void vma_budget_init(struct vma_budget *budget, uint64_t limit);
/* Count again; the memmap's own are taken from its account. One read of /proc/self/maps. */
void vma_budget_recount(struct vma_budget *budget);
static inline uint64_t vma_budget_used(const struct vma_budget *budget) { return budget->others + budget->own; }
/* @nr more may be spent, with a margin left for what must always work: mapping media, a client's message, malloc. */
bool vma_budget_has(const struct vma_budget *budget, uint64_t nr);

#endif
