/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backed: which compound pages of a file have all their blocks, and how many of those nobody uses. Blocks that a free page keeps save
 * the next one who gets it the time to find some; there is a bound to that. Pure; every call takes NULL for a device that
 * has no blocks to speak of.
 */
#ifndef PMEMARENA_BACKED_H
#define PMEMARENA_BACKED_H

#include <stdbool.h>
#include <stdint.h>

struct backed;

/* No page is known to have its blocks. @max_free: so many free pages may keep them. -ENOMEM. */
int backed_new(struct backed **out, uint64_t nr_pages, uint64_t max_free);
void backed_free(struct backed *backed);                /* NULL is fine */

bool backed_has(const struct backed *backed, uint64_t page, uint64_t nr);       /* all of them */
uint64_t backed_nr_free(const struct backed *backed);
/* They are in use, and have their blocks. */
void backed_use(struct backed *backed, uint64_t page, uint64_t nr);
/* They become free. true: they keep their blocks; false: they did not all have them or it would be too many, and none is known to. */
bool backed_keep(struct backed *backed, uint64_t page, uint64_t nr);
/* Their blocks are gone, or nobody knows. */
void backed_forget(struct backed *backed, uint64_t page, uint64_t nr);

#endif
