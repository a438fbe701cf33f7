/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc: CRC32C (Castagnoli, as iSCSI and ext4 use it), computed by isa-l, which chooses the
 * instruction that the processor has.
 */
#ifndef PMEMARENA_CRC_H
#define PMEMARENA_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Returns the CRC of @data; @seed is 0, or the CRC of what came before it. */
uint32_t crc32c(uint32_t seed, const void *data, size_t len);

#endif
