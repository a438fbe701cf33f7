/* SPDX-License-Identifier: BSD-3-Clause */
/* poison: what the platform knows to be bad, in the base pages of a data area. */
#ifndef PMEMARENA_POISON_H
#define PMEMARENA_POISON_H

#include <stdint.h>

#include "daemon/device/device.h"

/*
 * Call @each with the pfn of every base page of [data_off, data_off + len) that a bad block touches, in no order, perhaps twice. Stops at
 * what it returns < 0. A platform that keeps no list has no bad pages: 0.
 */
int poison_each(const struct device *device, uint64_t data_off, uint64_t len, int (*each)(void *arg, uint64_t pfn), void *arg);

#endif
