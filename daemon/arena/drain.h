/* SPDX-License-Identifier: BSD-3-Clause */
/* drain: what a request for new space must ask first. */
#ifndef PMEMARENA_DRAIN_H
#define PMEMARENA_DRAIN_H

#include "daemon/arena/arena.h"

/* Refuses new space while the arena is drained. -ENOSPC with a sentence. */
int drain_check(const struct arena *arena, struct why *why);

#endif
