/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pieces: which parts of an allocation are not zero. There may be as many as it has pages; to keep
 * their number bounded, small holes become data again, the smallest first.
 */
#include <config.h>

#include <string.h>

#include "ctl/archive.h"

void ctl_pieces_begin(struct ctl_pieces *pieces)
{
	pieces->nr = 0;
	pieces->grain = 1;
}

/* Joins neighbours until there is room: each turn doubles the size below which a hole is none. */
static void make_room(struct ctl_pieces *pieces)
{
	while (pieces->nr == CTL_PIECES_MAX) {
		size_t to = 0;

		pieces->grain = pieces->grain < 4096 ? 8192 : pieces->grain * 2;
		for (size_t i = 1; i < pieces->nr; i++) {
			struct ctl_piece *last = &pieces->list[to], *next = &pieces->list[i];

			if (next->off - (last->off + last->len) < pieces->grain)
				last->len = next->off + next->len - last->off;
			else
				pieces->list[++to] = *next;
		}
		pieces->nr = to + 1;
	}
}

void ctl_pieces_add(struct ctl_pieces *pieces, uint64_t off, uint64_t len)
{
	struct ctl_piece *last = pieces->nr ? &pieces->list[pieces->nr - 1] : NULL;

	if (last && off - (last->off + last->len) < pieces->grain) {
		last->len = off + len - last->off;
		return;
	}
	make_room(pieces);
	pieces->list[pieces->nr++] = (struct ctl_piece){ off, len };
}

bool ctl_is_zero(const void *data, size_t len)
{
	static const uint8_t zeroes[4096];
	const uint8_t *at = data;

	for (; len > sizeof(zeroes); at += sizeof(zeroes), len -= sizeof(zeroes)) {
		if (memcmp(at, zeroes, sizeof(zeroes)) != 0)
			return false;
	}
	return memcmp(at, zeroes, len) == 0;
}
