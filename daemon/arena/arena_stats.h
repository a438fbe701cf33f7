/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_stats: what an arena counts: how its start went, how full it is, and who has how much of
 * it.
 */
#ifndef PMEMARENA_ARENA_STATS_H
#define PMEMARENA_ARENA_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/quota.h"
#include "daemon/memmap/memmap.h"

/* What this daemon found wrong when it opened the arena, and what it did about it. */
struct arena_start {
	uint64_t when_ns;               /* CLOCK_REALTIME */
	/* records and words of the zero map of which one copy was bad: made from the other */
	uint64_t mended;
	/* records of which both copies are bad, or that contradict others: the arena is damaged */
	uint64_t damaged;
	/* records of which a cut had left a part: dropped, since nobody was told of them */
	uint64_t unfinished;
	/*
	 * items of the ledger that were incomplete or contradicted others: dropped. It is 0 unless
	 * something else wrote to the file.
	 */
	uint64_t ledger_broken;
	/* items of the ledger that the table has made needless: dropped */
	uint64_t ledger_outdated;
};

struct arena_stats {
	struct arena_start start;
	/* when something was mended last (CLOCK_REALTIME); 0: never */
	uint64_t mended_ns;
	/* bytes */
	uint64_t size, used, leased, reserved, quarantined, free, known_zero, largest_free,
		poisoned;
	/* bytes of `free` that lie in split pages: for small allocations of one user each */
	uint64_t free_split;
	/* bytes of `free` that are kept as they are for the users who had them last */
	uint64_t remains;
	/* bytes that are free and may be mapped on another host: they wait for that host */
	uint64_t withheld;
	uint64_t free_extents;
	uint64_t nr_published, nr_reserved, nr_freeing;
	uint64_t slots_total, slots_used;
	/* requests that found no room, and for which leases were asked back */
	uint64_t recalls;
	/* allocations that were freed to make room, and their bytes */
	uint64_t evictions, evicted_bytes;
	/* allocations that are evictable, and their bytes */
	uint64_t nr_evictable, evictable;
	uint64_t settles, records_written, records_mended, scrubbed_bytes;
	uint64_t holders, holds;
	/* those of `holders` whose session is over while something may be mapped */
	uint64_t ended;
	/* pins: pin words that were in use when the pins were read last */
	uint64_t windows, pins;
	/* allocations that the catalog has, so that clients find them without a message */
	uint64_t cataloged;
	double   fragmentation;         /* 1 - largest_free / free; 0 when nothing is free */
	struct memmap_stats memmap;
};
void arena_stats(const struct arena *arena, struct arena_stats *stats);

/*
 * How full an arena is, and what @uid has of it: for the user itself. What has to be counted is
 * counted at most ten times a second.
 */
struct arena_usage {
	uint64_t size, free, largest_free, leased, reserved, quarantined;       /* bytes */
	/* as the quota counts, in this arena; a limit of 0: there is none */
	uint64_t used[QUOTA_KINDS], limit[QUOTA_KINDS];
};
void arena_usage(struct arena_usage *usage, struct arena *arena, uint32_t uid);

/* What a user has of an arena, in bytes. */
struct arena_user {
	uint32_t uid;
	uint64_t reserved, leased;
	/* published, and open in a session of the user */
	uint64_t open;
	/*
	 * freed space that a session of the user still holds, or that was the user's own and
	 * somebody holds
	 */
	uint64_t quarantined;
};
/*
 * Writes those users to @top that have the most, most first. *nr is how many it has room for, and
 * becomes how many there are; *rest is the sum of all others. Returns 0 or -ENOMEM.
 */
int arena_users(struct arena_user *top, uint32_t *nr, struct arena_user *rest,
		const struct arena *arena);

/* Counts one section (128 MiB) for the drawing of `pmemarenactl map`. -ENOENT: past the end. */
struct arena_section {
	bool active;
	uint32_t nr_pages, nr_used, nr_split, nr_poisoned, nr_scrubbing;
};
int arena_section(const struct arena *arena, uint64_t section, struct arena_section *out);
/*
 * Counts @nr_looks pages, evenly apart, of the @nr_pages compound pages from @first on: for a
 * drawing whose cost must not grow with the arena. -ENOENT: past the end.
 */
int arena_sample(const struct arena *arena, uint64_t first, uint64_t nr_pages, uint32_t nr_looks,
		 struct arena_section *out);

#endif
