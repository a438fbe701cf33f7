/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hardware: how stores become durable, for each granularity, and which granularity a device has.
 * The only file of the daemon that calls libpmem2.
 */
#ifndef PMEMARENA_HARDWARE_H
#define PMEMARENA_HARDWARE_H

#include <stddef.h>

#include "daemon/media/media.h"

/*
 * The functions for one granularity. There is one such structure for each, and it is static. A
 * guard may leave the functions at any point: they hold no lock.
 */
struct hardware {
	enum media_granularity granularity;
	/* Not for MEDIA_PAGE: libpmem2 ignores a failure of msync(). */
	void (*persist)(const void *addr, size_t len);
	void (*flush)(const void *addr, size_t len);
	void (*drain)(void);
};

/*
 * Finds what @device needs. PMEM2_FORCE_GRANULARITY in the environment (BYTE, CACHE_LINE or PAGE)
 * overrides it, as it does in libpmem2: for tests and benchmarks on a tmpfs.
 */
int hardware_find(const struct hardware **out, const struct device *device, bool writable,
		  struct why *why);

/*
 * Writes zeroes, past the cache where that is possible; they are durable after drain(). With
 * MEDIA_PAGE they are plain stores.
 */
void hardware_zero(const struct hardware *hw, void *addr, size_t len);

#endif
