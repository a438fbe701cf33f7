/* SPDX-License-Identifier: BSD-3-Clause */
/* crc: the only file that calls isa-l. */
#include <config.h>

#include <isa-l/crc.h>

#include "daemon/media/crc.h"

/*
 * For 256 bytes and more isa-l leaves the upper halves of the vector registers in use. They stay in
 * use, and each instruction that uses a lower half is slower until some function cleans up: 0.2 us
 * a request.
 */
#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx"))) static void clean_upper_halves(void)
{
	_mm256_zeroupper();
}

static void clean_up(size_t len)
{
	if (len >= 256 && __builtin_cpu_supports("avx"))
		clean_upper_halves();
}
#else
static void clean_up(size_t len)
{
}
#endif

uint32_t crc32c(uint32_t seed, const void *data, size_t len)
{
	/*
	 * isa-l's prototype takes data that is not const, and the length as an int. Nobody here
	 * hashes more than a page at a time.
	 */
	uint32_t crc = ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, ~seed);

	clean_up(len);
	return crc;
}
