/* SPDX-License-Identifier: BSD-3-Clause */
/* poison: what the platform knows to be bad, in base pages of a data area. */
#ifndef PMEMARENA_POISON_H
#define PMEMARENA_POISON_H

#include <stdint.h>

#include "daemon/device/device.h"

/*
 * Calls @each with the number of every base page of [data_off, data_off + len) that a bad block
 * touches, in no order and perhaps twice. Stops when @each returns < 0, and returns that. A
 * platform that keeps no list has no bad pages.
 */
int poison_each(const struct device *device, uint64_t data_off, uint64_t len,
		int (*each)(void *arg, uint64_t pfn), void *arg);

#endif
