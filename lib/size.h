/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * size: numbers of bytes as people write and read them. A unit is a power of 1024: 4K, 2M, 1.5G, 1T. Printing never
 * rounds to something that is not true: what is no short fraction of a unit is printed in a smaller one.
 */
#ifndef PMEMARENA_SIZE_H
#define PMEMARENA_SIZE_H

#include <stdint.h>

#define SIZE_TEXT_MAX 32

/*
 * "64G", "2 MiB", "1.5T", "4096", "0x1000" (any case; K M G T P E, with or without iB or B; spaces before the unit).
 * -EINVAL not a size, or no whole number of bytes; -ERANGE more than 2^64 - 1. *out is written on success only.
 */
int size_parse(uint64_t *out, const char *text);

/* Writes and returns @buf: 0, 512, 4K, 3M, 1.5G, 1025K: at most three decimals, else the next smaller unit. Exact. */
const char *size_text(char buf[SIZE_TEXT_MAX], uint64_t size);

#endif
