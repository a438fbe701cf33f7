/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poison: turns the platform's bad ranges (blocks of 512 bytes, anywhere on the device) into base
 * pages of a data area.
 */
#include <config.h>

#include <stdlib.h>

#include "daemon/media/poison.h"

#define BASE_PAGE UINT64_C(4096)

static int each_page(struct device_range bad, uint64_t data_off, uint64_t len,
		     int (*each)(void *arg, uint64_t pfn), void *arg)
{
	uint64_t from = bad.off > data_off ? bad.off - data_off : 0;
	uint64_t to = bad.off + bad.len > data_off ? bad.off + bad.len - data_off : 0;
	int r = 0;

	if (to > len)
		to = len;
	for (uint64_t pfn = from / BASE_PAGE; pfn * BASE_PAGE < to && r >= 0; pfn++)
		r = each(arg, pfn);
	return r;
}

int poison_each(const struct device *device, uint64_t data_off, uint64_t len,
		int (*each)(void *arg, uint64_t pfn), void *arg)
{
	struct device_range *bad;
	size_t nr;
	int r = device_badblocks(device, &bad, &nr);

	if (r < 0)
		return 0;
	for (size_t i = 0; i < nr && r >= 0; i++)
		r = each_page(bad[i], data_off, len, each, arg);
	free(bad);
	return r < 0 ? r : 0;
}
