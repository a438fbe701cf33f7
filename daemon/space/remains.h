/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remains: free compound pages that still have what their last user stored there, kept for that
 * user, who does not mind (PMA_ANY_CONTENTS). Nothing is kept for a user who has not asked for such
 * pages lately. It is bookkeeping alone: it does no input or output, and what is kept nowhere else
 * is forgotten with the process.
 */
#ifndef PMEMARENA_REMAINS_H
#define PMEMARENA_REMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/space/extent.h"

struct remains;

/* At most @max pages are kept, of all users together. -ENOMEM. */
int remains_new(struct remains **out, uint64_t max);
void remains_free(struct remains *remains);             /* Frees @remains, which may be NULL. */

/*
 * The user @uid asks for pages as it left them, and from now on its pages are kept. Without memory
 * for that nothing changes: it is given other pages.
 */
void remains_ask(struct remains *remains, uint32_t uid);
/*
 * Keeps @pages, which @uid had last. Returns false if they are not kept: the user has not asked
 * lately, there would be too many, or there is no memory.
 */
bool remains_keep(struct remains *remains, uint32_t uid, struct extent pages);
/* Would remains_keep() keep @nr pages of @uid, if it has the memory? */
bool remains_would_keep(const struct remains *remains, uint32_t uid, uint64_t nr);

/*
 * Takes @len pages that @uid had last, from the shortest range that is long enough. -ENOSPC: no
 * range is long enough.
 */
int remains_claim(struct extent *out, struct remains *remains, uint32_t uid, uint64_t len);
/* Takes the largest range that @uid had last, or its first @max pages. -ENOSPC: there is none. */
int remains_claim_largest(struct extent *out, struct remains *remains, uint32_t uid, uint64_t max);
/* Takes @page, whoever had it last. -ENOENT: it is not kept; -ENOMEM. */
int remains_claim_page(struct remains *remains, uint64_t page);
/* Takes some range, of at most @max pages, of any user. -ENOSPC: nothing is kept. */
int remains_claim_any(struct extent *out, struct remains *remains, uint64_t max);
/*
 * As remains_claim_any(), but only pages of users who have not asked for a while (remains_age()).
 */
int remains_claim_idle(struct extent *out, struct remains *remains, uint64_t max);
/* Regular work: a user who has not asked during the last rounds is one who does not ask. */
void remains_age(struct remains *remains);

uint64_t remains_total(const struct remains *remains);          /* pages of all users */
uint64_t remains_total_of(const struct remains *remains, uint32_t uid);
/* The length of the largest range, and the number of ranges, of all users. */
uint64_t remains_largest(const struct remains *remains);
uint64_t remains_count(const struct remains *remains);

#endif
