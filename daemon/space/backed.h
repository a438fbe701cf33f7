/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backed: which compound pages of a file have all their blocks, and how many of those are free. A
 * free page that keeps its blocks saves the next one who gets it the time to ask the file system
 * for some. The number of such pages is bounded, since their blocks are missing elsewhere. It does
 * no input or output; every call takes NULL, for a device that has no blocks.
 */
#ifndef PMEMARENA_BACKED_H
#define PMEMARENA_BACKED_H

#include <stdbool.h>
#include <stdint.h>

struct backed;

/*
 * Makes the bits; at first no page is known to have its blocks. At most @max_free free pages may
 * keep theirs. -ENOMEM.
 */
int backed_new(struct backed **out, uint64_t nr_pages, uint64_t max_free);
void backed_free(struct backed *backed);                /* Frees @backed, which may be NULL. */

/* Do all @nr pages from @page on have their blocks? */
bool backed_has(const struct backed *backed, uint64_t page, uint64_t nr);
/* Returns how many free pages keep their blocks. */
uint64_t backed_nr_free(const struct backed *backed);
/*
 * Notes that somebody uses the pages, so that the file system has given them blocks. They do not
 * count as free pages any more.
 */
void backed_use(struct backed *backed, uint64_t page, uint64_t nr);
/*
 * The pages become free. Returns true if they keep their blocks. False: some had none, or there
 * would be too many; none of them counts as having blocks any more.
 */
bool backed_keep(struct backed *backed, uint64_t page, uint64_t nr);
/* Nobody knows any more whether the pages have their blocks. */
void backed_forget(struct backed *backed, uint64_t page, uint64_t nr);

#endif
