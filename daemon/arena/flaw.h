/* SPDX-License-Identifier: BSD-3-Clause */
/* flaw: what is wrong with a record that no version of this program can have written. */
#ifndef PMEMARENA_FLAW_H
#define PMEMARENA_FLAW_H

#include "daemon/arena/arena_internal.h"

/*
 * Says what is wrong with @record, which takes @nr_slots table slots: half a sentence that begins
 * with "its" or "it". NULL: nothing.
 */
const char *flaw_of_record(const struct arena *arena, const struct record *record,
			   uint32_t nr_slots);

#endif
