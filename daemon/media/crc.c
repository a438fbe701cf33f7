/* SPDX-License-Identifier: BSD-3-Clause */
/* crc: the one door to isa-l. */
#include <config.h>

#include <isa-l/crc.h>

#include "daemon/media/crc.h"

uint32_t crc32c(uint32_t seed, const void *data, size_t len)
{
	/* isa-l's prototype is not const, and its length an int; nobody here hashes more than a page at a time. */
	return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, ~seed);
}
