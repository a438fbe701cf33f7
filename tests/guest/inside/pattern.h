/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pattern: what the power-cut load fills allocations with. Each 8-byte word of page i of generation
 * g is (g << 32 | i): a page that is missing, swapped, torn or somebody else's shows, and the
 * reader needs no record of what was written.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_PAGE 4096
#define PATTERN_WORDS (PATTERN_PAGE / 8)

static inline uint64_t pattern_word(uint32_t generation, uint64_t page)
{
	return (uint64_t)generation << 32 | page;
}

static inline void pattern_fill_page(uint64_t *words, uint32_t generation, uint64_t page)
{
	for (size_t i = 0; i < PATTERN_WORDS; i++)
		words[i] = pattern_word(generation, page);
}

static inline bool pattern_is_page(const uint64_t *words, uint64_t word)
{
	for (size_t i = 0; i < PATTERN_WORDS; i++)
		if (words[i] != word)
			return false;
	return true;
}

#endif
