/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * charge: what an allocation costs in the quota. Its owner pays while it is reserved or published;
 * once it is freed, each user who still holds it (has it open, or may have it mapped) pays.
 */
#ifndef PMEMARENA_CHARGE_H
#define PMEMARENA_CHARGE_H

#include "daemon/arena/arena_internal.h"

/* Which quota the bytes of @alloc count against: leased bytes for a lease, else plain bytes. */
enum quota_kind charge_kind(const struct alloc *alloc);
/*
 * Charges @uid one allocation and @bytes of @kind; when one is refused, neither is charged.
 * -EDQUOT with a sentence that names use and limit; -ENOMEM.
 */
int charge_take(struct arena *arena, uint32_t uid, enum quota_kind kind, uint64_t bytes,
		struct why *why);
/* Charges the same whatever the limits are. -ENOMEM, -EOVERFLOW; then neither is charged. */
int charge_take_anyway(struct arena *arena, uint32_t uid, enum quota_kind kind, uint64_t bytes);
/* Returns to the owner of @alloc what charge_take() charged for it. */
void charge_return(struct arena *arena, const struct alloc *alloc);
/*
 * @alloc has become FREEING: its owner is charged no more, and each user who still holds it is
 * charged once for all of it, even above a limit, because freeing must not be refused.
 */
void charge_pass_on(struct arena *arena, struct alloc *alloc);
/*
 * Charges the user of @hold for its allocation, which is FREEING, unless another hold of the same
 * user carries that charge. Without memory nothing is charged.
 */
void charge_hold(struct arena *arena, struct hold *hold);
/*
 * @hold is about to be freed: its charge passes to another hold of the same user on the same
 * allocation; when there is none it is returned.
 */
void charge_drop_hold(struct arena *arena, struct hold *hold);
/*
 * Charges @uid for @alloc, which is FREEING, held by nobody and pinned by a window of that user;
 * whoever was charged before is charged no more. Without memory nobody is charged. charge_unpin()
 * returns the charge. Both may be called again without effect.
 */
void charge_pin(struct arena *arena, struct alloc *alloc, uint32_t uid);
void charge_unpin(struct arena *arena, struct alloc *alloc);
/*
 * Charges the user one session for @holder, whose session is over while something of it is still
 * mapped; without memory nothing is charged. charge_return_over() returns that charge. Both may be
 * called again without effect.
 */
void charge_over(struct holder *holder);
void charge_return_over(struct holder *holder);

#endif
