/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backed: two bits for each compound page. It allocates and frees no blocks itself; it notes what
 * the caller did.
 */
#include <config.h>

#include "daemon/space/backed.h"

#include <errno.h>
#include <stdlib.h>

struct backed {
	/* owned; a bit in `free`: the page has its blocks and nobody uses it */
	uint64_t *has, *free;
	uint64_t nr_free, max_free;
};

int backed_new(struct backed **out, uint64_t nr_pages, uint64_t max_free)
{
	struct backed *backed = calloc(1, sizeof(*backed));

	if (!backed)
		return -ENOMEM;
	backed->has = calloc(nr_pages / 64 + 1, sizeof(uint64_t));
	backed->free = calloc(nr_pages / 64 + 1, sizeof(uint64_t));
	backed->max_free = max_free;
	if (!backed->has || !backed->free) {
		backed_free(backed);
		return -ENOMEM;
	}
	*out = backed;
	return 0;
}

void backed_free(struct backed *backed)
{
	if (!backed)
		return;
	free(backed->has);
	free(backed->free);
	free(backed);
}

static bool get(const uint64_t *bits, uint64_t page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

static void set(uint64_t *bits, uint64_t page, bool on)
{
	uint64_t bit = UINT64_C(1) << (page % 64);

	bits[page / 64] = on ? bits[page / 64] | bit : bits[page / 64] & ~bit;
}

bool backed_has(const struct backed *backed, uint64_t page, uint64_t nr)
{
	if (!backed)
		return false;
	for (uint64_t i = 0; i < nr; i++)
		if (!get(backed->has, page + i))
			return false;
	return true;
}

uint64_t backed_nr_free(const struct backed *backed)
{
	return backed ? backed->nr_free : 0;
}

static void change(struct backed *backed, uint64_t page, uint64_t nr, bool has, bool is_free)
{
	for (uint64_t i = page; i < page + nr; i++) {
		backed->nr_free += (uint64_t)is_free - get(backed->free, i);
		set(backed->has, i, has);
		set(backed->free, i, is_free);
	}
}

void backed_use(struct backed *backed, uint64_t page, uint64_t nr)
{
	if (backed)
		change(backed, page, nr, true, false);
}

/* All @nr pages keep their blocks, or none of them does. */
bool backed_keep(struct backed *backed, uint64_t page, uint64_t nr)
{
	bool fits =
		backed && nr <= backed->max_free - backed->nr_free && backed_has(backed, page, nr);

	if (backed)
		change(backed, page, nr, fits, fits);
	return fits;
}

void backed_forget(struct backed *backed, uint64_t page, uint64_t nr)
{
	if (backed)
		change(backed, page, nr, false, false);
}
