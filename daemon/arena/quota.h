/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota: what each user may have and has, pure: no I/O, no clock, no log. Charges are given back by whoever took them, when
 * the object that carries the charge is freed.
 */
#ifndef PMEMARENA_QUOTA_H
#define PMEMARENA_QUOTA_H

#include <stdint.h>

#include "lib/why.h"

enum quota_kind { QUOTA_BYTES, QUOTA_ALLOCATIONS, QUOTA_SESSIONS, QUOTA_LEASED_BYTES, QUOTA_KINDS };

struct quota;

int quota_new(struct quota **out);
void quota_free(struct quota *quota);

/* 0: no limit. @uid UINT32_MAX: the default of all users without their own. uid 0 has no limit unless set by name. -ENOMEM. */
int quota_set_limit(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t limit);
void quota_clear_limits(struct quota *quota);           /* before a reload sets them anew; charges stay */

/* -EDQUOT with used and limit in the message, and nothing charged; -ENOMEM. */
int quota_charge(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount, struct why *why);
/* Charge whatever the limit says (recovery). -ENOMEM, -EOVERFLOW. */
int quota_charge_anyway(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount);
void quota_return(struct quota *quota, uint32_t uid, enum quota_kind kind, uint64_t amount);

uint64_t quota_used(const struct quota *quota, uint32_t uid, enum quota_kind kind);
uint64_t quota_limit(const struct quota *quota, uint32_t uid, enum quota_kind kind);

#endif
