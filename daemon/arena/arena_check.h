/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_check: is an arena as it should be, and how is it mended?
 */
#ifndef PMEMARENA_ARENA_CHECK_H
#define PMEMARENA_ARENA_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/arena.h"
#include "lib/wire/why.h"

/*
 * Each check calls @complain (unless NULL) with a sentence for each difference, and returns the
 * number of differences, or -errno.
 */
typedef void arena_complain_fn(void *arg, const char *what);
/*
 * Compares every descriptor of the memmap with the allocations and the bad pages. It takes some 20
 * us a section of 128 MiB.
 */
int64_t arena_check_memmap(struct arena *arena, arena_complain_fn *complain, void *arg);
/*
 * The slow verifier: looks at the next @nr_sections sections of descriptors. It does not go from
 * the allocations to their descriptors, as arena_check_memmap() does. It repairs nothing: no client
 * can write to descriptors, so that a wrong one is a fault of the daemon.
 */
uint64_t arena_verify_memmap(struct arena *arena, uint64_t nr_sections, arena_complain_fn *complain,
			     void *arg);
/*
 * Compares table, superblocks and zero map on media with what is in memory, while the arena serves.
 */
int64_t arena_check(struct arena *arena, arena_complain_fn *complain, void *arg);
/*
 * Checks a device that nobody serves, without storing anything; with @repair it also repairs it,
 * and *nr_mended (unless NULL) is how much was written anew.
 */
int64_t arena_check_device(const struct arena_params *params, bool repair, uint64_t *nr_mended,
			   arena_complain_fn *complain, void *arg, struct why *why);
/*
 * Makes a damaged arena whole: records that cannot be read are given up, and their space is
 * scrubbed before anybody gets it. With @dry_run it only says what it would do.
 */
int64_t arena_repair(struct arena *arena, bool dry_run, arena_complain_fn *complain, void *arg);

/*
 * Bytes @offset to @offset + @len - 1 of the device have gone bad: marks their base pages, records
 * them, tells those who watch, and never hands them out again. -EINVAL: not in the data area;
 * -ENOMEM; -EIO.
 */
int arena_poison(struct arena *arena, uint64_t offset, uint64_t len, struct why *why);

#endif
