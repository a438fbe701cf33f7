/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch: compares, and remembers what it saw. It writes nothing to what it looks at, and calls no
 * library.
 */
#include <config.h>

#include "tests/storm/watch.h"

#include <inttypes.h>
#include <string.h>

#include "tests/storm/stamp.h"

static bool was_seen(const struct watch *watch, uint64_t nr)
{
	return nr < WATCH_BLOCKS && watch->seen[nr / 8] & 1u << nr % 8;
}

static void see(struct watch *watch, uint64_t nr)
{
	if (nr < WATCH_BLOCKS)
		watch->seen[nr / 8] |= (uint8_t)(1u << nr % 8);
}

void watch_init(struct watch *watch, const void *base, uint64_t len, uint64_t origin,
		uint64_t filled, uint32_t stride)
{
	memset(watch, 0, sizeof(*watch));
	watch->base = base;
	watch->len = len;
	watch->origin = origin;
	watch->stride = stride;
	watch->who = "a map";
	for (uint64_t nr = 0; nr * stride * BLOCK < filled; nr++)
		see(watch, nr);
}

static bool is_mine(const struct watch *watch, const struct stamp *stamp, uint64_t at)
{
	if (watch->by_maker)
		return ORIGIN_MAKER(stamp->origin) == ORIGIN_MAKER(watch->origin);
	return stamp->origin == watch->origin && stamp->off == watch->off + at &&
	       (!stamp->id || !watch->id || stamp->id == watch->id);
}

/* The first word of a block decides: who writes its first stamp writes that word last. */
static bool check_block(struct watch *watch, uint64_t nr)
{
	uint64_t at = nr * watch->stride * BLOCK, word;
	const char *block = watch->base + at;
	struct stamp stamp;

	if (stamp_read(&stamp, block)) {
		see(watch, nr);
		if (is_mine(watch, &stamp, at))
			return true;
		evidence(block,
			 "%s of origin %" PRIx64 ", arena %u, id %" PRIu64
			 ", shows at offset %#" PRIx64 " what is another's",
			 watch->who, watch->origin, watch->arena, watch->id, watch->off + at);
		return false;
	}
	word = __atomic_load_n((const uint64_t *)(const void *)block, __ATOMIC_ACQUIRE);
	/*
	 * It may have got its stamp since: then it is looked at the next time. A cache zeroes what
	 * it had before.
	 */
	if ((word == 0 && (watch->by_maker || !was_seen(watch, nr))) ||
	    (word != 0 && stamp_read(&stamp, block)))
		return true;
	evidence(block,
		 "%s of origin %" PRIx64 ", arena %u, id %" PRIu64 ", shows at offset %#" PRIx64
		 " %s",
		 watch->who, watch->origin, watch->arena, watch->id, watch->off + at,
		 was_seen(watch, nr) ? "no stamp any more" : "neither zeroes nor a stamp");
	return false;
}

bool watch_check(struct watch *watch)
{
	for (uint64_t nr = 0; nr * watch->stride * BLOCK < watch->len; nr++)
		if (!check_block(watch, nr))
			return false;
	return true;
}
