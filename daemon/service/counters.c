/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters: histograms whose buckets are powers of two. It knows numbers, and not what they count.
 */
#include <config.h>

#include "daemon/service/counters.h"

uint64_t histogram_bound(unsigned bucket)
{
	return bucket >= HISTOGRAM_BUCKETS - 1 ? UINT64_MAX : UINT64_C(1000) << bucket;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned bucket = us ? 64 - (unsigned)__builtin_clzll(us) : 0;

	if (bucket >= HISTOGRAM_BUCKETS)
		bucket = HISTOGRAM_BUCKETS - 1;
	histogram->buckets[bucket]++;
	histogram->count++;
	histogram->sum_ns += ns;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned percent)
{
	uint64_t wanted = (histogram->count * percent + 99) / 100, seen = 0;

	if (histogram->count == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted)
			return histogram_bound(i);
	}
	return UINT64_MAX;
}
