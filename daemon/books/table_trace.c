/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_trace: recognises a table whose superblock is lost. The word of a slot is a mixed number,
 * and the number grows by the same step from slot to slot, whatever the UUID. So the words of two
 * neighbours, unmixed, differ by that step. By chance this happens once in 2^62.
 */
#include <config.h>

#include <endian.h>
#include <string.h>

#include "daemon/books/table_slot.h"

/* Undoes mix() of table.c: returns the number that was mixed. */
static uint64_t unmix(uint64_t x)
{
	x = (x ^ x >> 31 ^ x >> 62) * UINT64_C(0x319642b2d24d8ec3);
	x = (x ^ x >> 27 ^ x >> 54) * UINT64_C(0x96de1b173f119089);
	return x ^ x >> 30 ^ x >> 60;
}

bool table_has_trace(struct media *media, uint64_t off)
{
	/* for each slot: the number behind its word if that is LIVE, and if it is FREE */
	uint64_t word, seeds[2][2];

	for (uint64_t i = 0; i < 2; i++) {
		if (media_read(media, &word, off + i * TABLE_SLOT_SIZE, sizeof(word)) < 0)
			return false;
		seeds[i][0] = unmix(le64toh(word));
		seeds[i][1] = unmix(~le64toh(word));
	}
	for (unsigned i = 0; i < 4; i++)
		if (seeds[1][i / 2] - seeds[0][i % 2] == SLOT_WORD_STEP)
			return true;
	return false;
}
