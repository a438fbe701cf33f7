/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vma_budget: how many mappings this process may have (vm.max_map_count) and how many it has. When
 * they run short the memmap spends memory instead of mappings; a client is never refused for that.
 */
#ifndef PMEMARENA_VMA_BUDGET_H
#define PMEMARENA_VMA_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct vma_budget {
	/* vm.max_map_count when it was read, or less by configuration */
	uint64_t limit;
	uint64_t others;                /* mappings of all others, when they were last counted */
	/* mappings of the tail planes, which count their own exactly */
	uint64_t own;
	uint64_t own_then;              /* the value of `own` when the others were counted */
	/*
	 * The units of all memmaps with this budget. With everything shared, each takes one
	 * mapping.
	 */
	uint64_t planned;
	bool     counted;
};

/* @limit: the most mappings; 0: vm.max_map_count. Counts nothing yet. */
void vma_budget_init(struct vma_budget *budget, uint64_t limit);
/* Counts the mappings of others. It reads /proc/self/maps once, some 0.2 us for each mapping. */
void vma_budget_recount(struct vma_budget *budget);
/* Has so much changed since the last count that it should be done again? */
bool vma_budget_is_stale(const struct vma_budget *budget);
static inline uint64_t vma_budget_used(const struct vma_budget *budget)
{
	return budget->others + budget->own;
}
/*
 * May @nr more mappings be made? A margin is left for what must always work: mapping media, a
 * client's message, malloc().
 */
bool vma_budget_has(const struct vma_budget *budget, uint64_t nr);

#endif
