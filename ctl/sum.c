/* SPDX-License-Identifier: BSD-3-Clause */
/* sum: the checksum of contents as they pass, which `xxh128sum` shows of a file too. */
#include <config.h>

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ctl/archive.h"

struct ctl_summer {
	XXH3_state_t *state;            /* owned; it wants an alignment of its own */
};

struct ctl_summer *ctl_summer_new(void)
{
	struct ctl_summer *summer = calloc(1, sizeof(*summer));

	if (summer)
		summer->state = XXH3_createState();
	if (summer && summer->state)
		return summer;
	free(summer);
	return NULL;
}

void ctl_summer_free(struct ctl_summer *summer)
{
	if (summer)
		XXH3_freeState(summer->state);
	free(summer);
}

void ctl_summer_begin(struct ctl_summer *summer)
{
	XXH3_128bits_reset(summer->state);
}

void ctl_summer_add(struct ctl_summer *summer, const void *data, size_t len)
{
	XXH3_128bits_update(summer->state, data, len);
}

void ctl_summer_add_zeroes(struct ctl_summer *summer, uint64_t len)
{
	static const uint8_t zeroes[64 << 10];

	for (; len > sizeof(zeroes); len -= sizeof(zeroes))
		ctl_summer_add(summer, zeroes, sizeof(zeroes));
	ctl_summer_add(summer, zeroes, (size_t)len);
}

struct ctl_sum ctl_summer_end(const struct ctl_summer *summer)
{
	XXH128_hash_t hash = XXH3_128bits_digest(summer->state);
	struct ctl_sum sum;

	snprintf(sum.hex, sizeof(sum.hex), "%016llx%016llx", (unsigned long long)hash.high64,
		 (unsigned long long)hash.low64);
	return sum;
}
