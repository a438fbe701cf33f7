/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_page: what superblock.c must know of the bytes of a page in order to store parts of
 * it: the magic, which is stored last, and the words, which are stored alone. superblock_encode()
 * and superblock_decode() are in superblock.h.
 */
#ifndef PMEMARENA_SUPERBLOCK_PAGE_H
#define PMEMARENA_SUPERBLOCK_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/media/superblock.h"

#define SUPERBLOCK_MAGIC     UINT64_C(0x31414e4552414d50)       /* "PMARENA1" as bytes in memory */
#define SUPERBLOCK_WORDS_OFF 320u
#define SUPERBLOCK_NR_WORDS  3
/* the largest number that a word can hold */
#define SUPERBLOCK_WORD_MAX  ((UINT64_C(1) << 24) - 1)

/* Makes the words of both copies: how much has changed since the last rewrite. */
void superblock_make_words(uint64_t words[SUPERBLOCK_NR_WORDS], const struct superblock *sb);
/* Is the checksum of the page right, whatever its magic is? */
bool superblock_has_checksum(const uint8_t page[SUPERBLOCK_SIZE]);

#endif
