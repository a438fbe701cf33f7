/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * size: numbers of bytes as people write and read them. A unit is a power of 1024: 4K, 2M, 1.5G,
 * 1T. A printed size is exact: a number that would need more than three decimals in one unit is
 * printed in a smaller unit.
 */
#ifndef PMEMARENA_SIZE_H
#define PMEMARENA_SIZE_H

#include <stdint.h>

#define SIZE_TEXT_MAX 32

/*
 * Reads "64G", "2 MiB", "1.5T", "4096" or "0x1000". Units are K M G T P E in upper or lower case,
 * alone or with B or iB; blanks may stand before the unit. -EINVAL: the text is not a size, or not
 * a whole number of bytes. -ERANGE: more than 2^64 - 1 bytes. *out is written on success only.
 */
int size_parse(uint64_t *out, const char *text);

/*
 * Writes @size to @buf and returns @buf: "0", "512", "4K", "3M", "1.5G", "1025K". The text is
 * exact: it uses the largest unit in which at most three decimals are needed. size_parse() reads it
 * back.
 */
const char *size_text(char buf[SIZE_TEXT_MAX], uint64_t size);

#endif
