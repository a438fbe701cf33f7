/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota: how much of each kind each user may have, and how much it has. It does no input or output,
 * reads no clock and logs nothing. An object that is charged for returns the charge when it is
 * freed; its owner calls quota_return().
 */
#ifndef PMEMARENA_QUOTA_H
#define PMEMARENA_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"

enum quota_kind { QUOTA_BYTES, QUOTA_ALLOCATIONS, QUOTA_SESSIONS, QUOTA_LEASED_BYTES, QUOTA_KINDS };

struct quota;

int quota_new(struct quota **out);
/*
 * Makes a quota for one arena. What is charged here is also charged to @whole, and both must have
 * room. A refusal calls the limits of this one "share of arena @name". @whole and @name outlive it.
 * -ENOMEM.
 */
int quota_new_share(struct quota **out, struct quota *whole, const char *name);
/* Frees @quota, which may be NULL. What is still charged to a share is returned to the whole. */
void quota_free(struct quota *quota);

/*
 * Limits what @uid may have of @kind; 0: no limit. @uid UINT32_MAX sets the default for all users
 * who have no limit of their own; it does not apply to uid 0. -ENOMEM.
 */
int quota_set_limit(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t limit);
/* Removes all limits, before a reload sets them anew; charges stay. */
void quota_clear_limits(struct quota *quota);

/*
 * Would quota_charge() refuse @amount? -EDQUOT with the same sentence. @amount 0 refuses only a
 * user who has more than a limit allows already.
 */
int quota_check(const struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount,
		struct why *why);
/*
 * Charges @amount to @uid. -EDQUOT with a sentence that names use and limit, or -ENOMEM; then
 * nothing is charged.
 */
int quota_charge(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount,
		 struct why *why);
/*
 * Charges @amount whatever the limit is: what recovery finds is there, allowed or not. -ENOMEM,
 * -EOVERFLOW.
 */
int quota_charge_anyway(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount);
/* Returns a charge. The user must have been charged at least @amount. */
void quota_return(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount);

/*
 * Charges @amount, whatever the limit is, for something that the user gave up and still holds. A
 * refusal names such charges apart: to free more would not help against them. quota_regain()
 * returns the charge.
 */
int quota_withhold(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount);
void quota_regain(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount);

/* Includes what is withheld. */
uint64_t quota_used(const struct quota *quota, uint32_t uid, enum quota_kind kind);
uint64_t quota_withheld(const struct quota *quota, uint32_t uid, enum quota_kind kind);
/*
 * Puts into *uid the first user from *uid on who is charged for something or has a limit of its
 * own; false: there is none.
 */
bool quota_next_user(const struct quota *quota, uint32_t *uid);
uint64_t quota_limit(const struct quota *quota, uint32_t uid, enum quota_kind kind);
/*
 * The most that the user may come to have here: by the limit here, and in a share by what the limit
 * of the whole leaves of what it has in other arenas. 0: no limit.
 */
uint64_t quota_may_reach(const struct quota *quota, uint32_t uid, enum quota_kind kind);

#endif
