/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table_renew: gives the table to the same arena under another UUID: the same records stay in the
 * same slots. Only words and checksums are made of the UUID, and are written anew. It does one copy
 * after the other: while it writes one, the other is whole, so that after a cut anywhere it can be
 * done again.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "daemon/books/table_slot.h"

/*
 * Finds out what a slot holds, under either UUID, and copies the body to @body. 1: a piece of a
 * record; 0: nothing; -EUCLEAN: no copy tells. The first copy that is whole decides: the table was
 * settled before, so all whole copies say the same.
 */
static int find_value(uint8_t body[TABLE_SLOT_SIZE], const struct table *to,
		      const struct table *from, uint32_t number)
{
	const struct table *const tables[2] = { to, from };

	for (int i = 0; i < 4; i++) {
		const struct table *table = tables[i / 2];
		int r = media_read(table->media, body, slot_off(table, i % 2, number),
				   TABLE_SLOT_SIZE);

		if (r < 0 && r != -EIO)
			return r;
		if (r == 0 && slot_judge(table, number, body) != COPY_BAD)
			return slot_judge(table, number, body) == COPY_GOOD;
	}
	return -EUCLEAN;
}

/*
 * Writes one copy of a slot for the new UUID. It writes the body too, since this copy may have been
 * bad, or cut in the middle of an earlier attempt.
 */
static int store_slot(const struct table *to, int copy, uint32_t number,
		      uint8_t body[TABLE_SLOT_SIZE], bool live)
{
	uint64_t word = slot_live_word(to, number), off = slot_off(to, copy, number),
		 le = htole64(live ? word : ~word);
	uint32_t crc = htole32(slot_crc(to, number, body));
	int r;

	memcpy(body, &le, sizeof(le));
	memcpy(body + sizeof(le), &crc, sizeof(crc));
	r = media_store(to->media, off, body, live ? TABLE_SLOT_SIZE : sizeof(le));
	return r < 0 ? r : media_flush(to->media, off, TABLE_SLOT_SIZE);
}

/*
 * Renews one copy of all slots. One of which no copy tells what it holds stays as it is: it is
 * damaged under the new UUID as under the old one, and a repair gives it up.
 */
static int renew_copy(const struct table *to, const struct table *from, int copy)
{
	uint8_t body[TABLE_SLOT_SIZE];
	uint32_t nr = table_nr_ready(to);
	int r = 0;

	for (uint32_t n = 0; n < nr && r >= 0; n++) {
		int value = find_value(body, to, from, n);

		r = value == -EUCLEAN ? 0
		    : value < 0	      ? value
				      : store_slot(to, copy, n, body, value == 1);
		/*
		 * A copy that cannot be written is one good copy less; the next start mends it if
		 * it can.
		 */
		if (r == -EIO)
			r = 0;
	}
	return r < 0 ? r : media_fence(to->media);
}

int table_renew(const struct table *to, const struct table *from)
{
	int r = renew_copy(to, from, 0);

	return r < 0 ? r : renew_copy(to, from, 1);
}
