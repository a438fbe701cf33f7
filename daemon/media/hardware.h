/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hardware: how stores become durable, for each granularity, and which of them a device has. The daemon's libpmem2 door.
 */
#ifndef PMEMARENA_HARDWARE_H
#define PMEMARENA_HARDWARE_H

#include <stddef.h>

#include "daemon/media/media.h"

/* One for each granularity; static. The functions may be left by a guard at any point: they hold no lock. */
struct hardware {
	enum media_granularity granularity;
	/* Not for MEDIA_PAGE: libpmem2 ignores it when an msync fails. */
	void (*persist)(const void *addr, size_t len);
	void (*flush)(const void *addr, size_t len);
	void (*drain)(void);
};

/*
 * What @device wants. PMEM2_FORCE_GRANULARITY in the environment (BYTE, CACHE_LINE, PAGE) overrides it, as it does for
 * libpmem2: for tests and benchmarks on a tmpfs.
 */
int hardware_find(const struct hardware **out, const struct device *device, bool writable, struct why *why);

/* Non-temporal where that can be, then durable after drain(); MEDIA_PAGE: plain stores. */
void hardware_zero(const struct hardware *hw, void *addr, size_t len);

#endif
