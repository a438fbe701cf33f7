/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify: is every descriptor what the state of its page says? It reads all of them, and knows
 * nothing of owners.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "daemon/memmap/memmap_internal.h"

struct verify {
	const struct memmap *mm;
	struct why *why;
	uint64_t page;                          /* the page that was looked at last */
};

static int wrong(const struct verify *verify, uint64_t pfn, const char *what)
{
	return why_set(verify->why, -EUCLEAN, "pfn %llu, page %llu: %s", (unsigned long long)pfn,
		       (unsigned long long)verify->page, what);
}

static int verify_head(const struct verify *verify, const struct desc *head, uint64_t pfn)
{
	if (head->kind != DESC_HEAD || head->order != verify->mm->p.order)
		return wrong(verify, pfn, "the head is no head of this order");
	return 0;
}

static int verify_plain(const struct verify *verify, uint64_t pfn, uint64_t nr)
{
	while (nr > 0) {
		uint64_t n = nr < PLAIN_TAILS ? nr : PLAIN_TAILS;

		if (memcmp(memmap_desc(verify->mm, pfn), plain_tails, n * DESC_SIZE) != 0)
			return wrong(
				verify, pfn,
				"at or behind it a tail is not plain, and the page is not split");
		pfn += n;
		nr -= n;
	}
	return 0;
}

static int verify_split(const struct verify *verify, const struct desc *head, uint64_t pfn,
			uint64_t nr)
{
	uint32_t nr_poisoned = head->flags & DESC_POISON ? 1 : 0;

	for (uint64_t i = 1; i < nr; i++) {
		const struct desc *tail = memmap_desc(verify->mm, pfn + i);

		if (tail->kind != DESC_TAIL)
			return wrong(verify, pfn + i, "the tail is no tail");
		nr_poisoned += (tail->flags & DESC_POISON) != 0;
	}
	if (nr_poisoned != head->nr_poisoned)
		return wrong(verify, pfn, "the head counts other bad base pages than there are");
	return 0;
}

static int verify_page(const struct verify *verify)
{
	const struct memmap *mm = verify->mm;
	uint64_t pfn = verify->page << mm->p.order, nr = UINT64_C(1) << mm->p.order;
	const struct desc *head = memmap_desc(mm, pfn);
	const struct split *split = has_tails(mm) ? split_of(mm, verify->page) : NULL;
	int r = verify_head(verify, head, pfn);

	if (r < 0)
		return r;
	if (!has_tails(mm) || (split && split->state == PAGE_SPLIT))
		return verify_split(verify, head, pfn, nr);
	return verify_plain(verify, pfn + 1, nr - 1);
}

static int verify_piece(void *arg, uint64_t page, uint64_t nr)
{
	struct verify *verify = arg;
	int r = 0;

	if (!memmap_is_active(verify->mm, page))
		return 0;
	for (verify->page = page; verify->page < page + nr && r == 0; verify->page++)
		r = verify_page(verify);
	verify->page -= r < 0;
	return r;
}

int memmap_verify(uint64_t *wrong_page, const struct memmap *mm, uint64_t page, uint64_t nr,
		  struct why *why)
{
	struct verify verify = { .mm = mm, .why = why };
	struct walk walk = { .page = page, .nr = nr };
	int r = walk_pieces(&walk, mm, verify_piece, &verify);

	if (r < 0)
		*wrong_page = verify.page;
	return r;
}
