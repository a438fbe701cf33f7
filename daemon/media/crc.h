/* SPDX-License-Identifier: BSD-3-Clause */
/* crc: CRC32C (Castagnoli, as iSCSI and ext4 use it), by isa-l, which picks the processor's instruction. */
#ifndef PMEMARENA_CRC_H
#define PMEMARENA_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from @seed, which is 0 at first. */
uint32_t crc32c(uint32_t seed, const void *data, size_t len);

#endif
