/* SPDX-License-Identifier: BSD-3-Clause */
/* geometry: where the parts of a new arena lie: superblocks, table copies, zero map and data. */
#ifndef PMEMARENA_GEOMETRY_H
#define PMEMARENA_GEOMETRY_H

#include "daemon/arena/arena_internal.h"

/* The least multiple of @unit that is >= @value. */
static inline uint64_t geometry_round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static inline uint64_t geometry_larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * Fills the sizes and offsets (bytes) of @sb for a new arena as @params ask for, on the device that
 * @info describes; @apart: its metadata goes to a device of its own. Stores nothing. -EINVAL, and
 * -ENOSPC when the device is too small, each with a sentence that names what would be possible.
 */
int geometry_plan(struct superblock *sb, const struct arena_params *params,
		  const struct device_info *info, bool apart, struct why *why);

#endif
