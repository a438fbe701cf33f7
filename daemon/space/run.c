/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run: hands out base pages. A compound page is split for one user, whose runs of base pages lie in
 * it; and what is good of a page with a bad base page is used for runs too. The nr_used of a head
 * counts every base page of its compound page that is not free for its owner: in use, quarantined,
 * being scrubbed, or bad.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "daemon/space/space_internal.h"

int run_compare(const struct owner *a, const struct owner *b)
{
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

RB_GENERATE(owner_tree, owner, link, run_compare)

/* Returns what the user @uid has left in split pages; NULL: the user has no split page. */
static struct owner *find_owner(const struct space *space, uint32_t uid)
{
	struct owner key = { .uid = uid };

	return RB_FIND(owner_tree, (struct owner_tree *)(uintptr_t)&space->owners, &key);
}

/* As find_owner(), and makes an entry for a user who has none. -ENOMEM. */
static int get_owner(struct owner **out, struct space *space, uint32_t uid)
{
	struct owner *owner = find_owner(space, uid);

	if (!owner) {
		owner = calloc(1, sizeof(*owner));
		if (!owner)
			return -ENOMEM;
		owner->uid = uid;
		owner->spare = NO_PAGE;
		if (extent_map_new(&owner->runs, space->pfns_per_page) < 0) {
			free(owner);
			return -ENOMEM;
		}
		RB_INSERT(owner_tree, &space->owners, owner);
	}
	*out = owner;
	return 0;
}

void run_free_owners(struct space *space)
{
	struct owner *owner;

	while ((owner = RB_MIN(owner_tree, &space->owners))) {
		RB_REMOVE(owner_tree, &space->owners, owner);
		extent_map_free(owner->runs);
		free(owner);
	}
}

static struct desc *head_of(const struct space *space, uint64_t pfn)
{
	return memmap_head(space->p.mm, page_of(space, pfn));
}

/* ---- pages become split ---- */

int run_split(struct space *space, uint64_t page, uint32_t uid)
{
	struct desc *head;
	int r = memmap_activate(space->p.mm, page, 1);

	if (r == 0)
		r = memmap_restore(space->p.mm, page);
	if (r < 0)
		return r;
	head = memmap_head(space->p.mm, page);
	head->flags |= DESC_SPLIT;
	head->object = 0;
	head->uid = uid;
	head->nr_used = (uint32_t)space->pfns_per_page;
	return 0;
}

/* Adds a run to what @owner has free, and takes it off the head's count. */
static void put_run(struct space *space, struct owner *owner, struct extent run)
{
	if (extent_release(owner->runs, run, NULL) < 0)
		return;
	head_of(space, run.off)->nr_used -= (uint32_t)run.len;
	space->free_run_pfns += run.len;
}

/*
 * Gives @owner every good base page of @range, of which no allocation has any. Base pages for which
 * there is no memory to note them count as used until a restart.
 */
static void put_runs(struct space *space, struct owner *owner, struct extent range)
{
	struct desc *head = head_of(space, range.off);
	struct extent run = { range.off, 0 };

	if (head->nr_poisoned == 0) {
		put_run(space, owner, range);
		return;
	}
	for (uint64_t pfn = range.off; pfn <= range.off + range.len; pfn++) {
		bool bad = pfn < range.off + range.len &&
			   memmap_desc(space->p.mm, pfn)->flags & DESC_POISON;

		if (pfn < range.off + range.len && !bad) {
			run.len++;
			continue;
		}
		if (run.len)
			put_run(space, owner, run);
		run = (struct extent){ pfn + 1, 0 };
	}
}

int run_adopt_poisoned(struct space *space, uint64_t page)
{
	struct owner *nobody;
	int r = space->p.order ? get_owner(&nobody, space, NOBODY) : -ENOENT;

	if (r == 0)
		r = run_split(space, page, NOBODY);
	if (r < 0)
		return r;
	put_runs(space, nobody, (struct extent){ pfn_of(space, page), space->pfns_per_page });
	return 0;
}

/* Moves all free runs of @page from one owner to another; its head gets the new owner. */
static void move_runs(struct space *space, struct owner *to, struct owner *from, uint64_t page)
{
	uint64_t at = pfn_of(space, page), end = at + space->pfns_per_page;
	struct extent run;

	while (extent_find(&run, from->runs, at) && run.off < end) {
		if (extent_claim_at(from->runs, run.off, run.len) < 0 ||
		    extent_release(to->runs, run, NULL) < 0)
			break;
		at = run.off + run.len;
	}
	memmap_head(space->p.mm, page)->uid = to->uid;
}

/*
 * A page with a bad base page that no user has serves as well as a new page, and costs no good one.
 * Returns false if there is none that fits.
 */
static bool take_from_nobody(struct space *space, struct owner *owner, uint64_t nr_pfns)
{
	struct owner *nobody = find_owner(space, NOBODY);
	struct extent run;

	if (!nobody || extent_claim(&run, nobody->runs, nr_pfns) < 0)
		return false;
	if (extent_release(nobody->runs, run, NULL) < 0)
		return false;
	move_runs(space, owner, nobody, page_of(space, run.off));
	return true;
}

/* Splits a clean page for @owner, all of whose base pages are free then. */
static int take_new_page(struct space *space, struct owner *owner)
{
	uint64_t page;
	int r = pages_take(space, &page);

	if (r < 0)
		return r;
	r = run_split(space, page, owner->uid);
	if (r < 0) {
		pages_give(space, page);
		return r;
	}
	put_runs(space, owner, (struct extent){ pfn_of(space, page), space->pfns_per_page });
	return 0;
}

int run_claim(struct extent *out, struct space *space, uint64_t nr_pfns, uint32_t uid)
{
	struct owner *owner;
	int r = get_owner(&owner, space, uid);

	if (r < 0)
		return r;
	r = extent_claim(out, owner->runs, nr_pfns);
	if (r == -ENOSPC) {
		r = take_from_nobody(space, owner, nr_pfns) ? 0 : take_new_page(space, owner);
		if (r == 0)
			r = extent_claim(out, owner->runs, nr_pfns);
	}
	/* No run fits, but something is being scrubbed, and may be of this user. */
	if (r == -ENOSPC && space->scrubbing_pfns > 0)
		r = -EAGAIN;
	if (r < 0)
		return r;
	head_of(space, out->off)->nr_used += (uint32_t)nr_pfns;
	space->free_run_pfns -= nr_pfns;
	return 0;
}

int space_claim_behind(struct space *space, struct extent run, uint64_t nr_pfns)
{
	uint64_t off = run.off + run.len;
	struct owner *owner;
	int r;

	if (off % space->pfns_per_page == 0 ||
	    nr_pfns > space->pfns_per_page - off % space->pfns_per_page)
		return -ENOSPC;
	owner = find_owner(space, head_of(space, run.off)->uid);
	if (!owner || extent_claim_at(owner->runs, off, nr_pfns) < 0)
		return -ENOSPC;
	head_of(space, run.off)->nr_used += (uint32_t)nr_pfns;
	space->free_run_pfns -= nr_pfns;
	r = pages_allocate_run(space, (struct extent){ off, nr_pfns });
	if (r < 0)
		run_release_clean(space, (struct extent){ off, nr_pfns });
	return r;
}

/* ---- runs come back ---- */

/* All base pages of @page are free again: it becomes a whole page, and its tails can be shared. */
static void make_whole(struct space *space, struct owner *owner, uint64_t page)
{
	struct desc *head = memmap_head(space->p.mm, page);

	/*
	 * The zeroes of the runs must be durable before the page's zero bit is: a power cut between
	 * the two would leave a page that counts as zero and is not.
	 */
	if (space_fence_data(space) < 0 ||
	    extent_claim_at(owner->runs, pfn_of(space, page), space->pfns_per_page) < 0)
		return;
	space->free_run_pfns -= space->pfns_per_page;
	head->flags &= (uint16_t)~DESC_SPLIT;
	head->uid = 0;
	memmap_dedup(space->p.mm, page, 1);
	pages_give(space, page);
}

/* Makes the owner's spare page whole, if nobody has used it since. Returns whether it did. */
static bool drop_spare(struct space *space, struct owner *owner)
{
	const struct desc *head =
		owner->spare == NO_PAGE ? NULL : memmap_head(space->p.mm, owner->spare);
	bool is_free =
		head && head->flags & DESC_SPLIT && head->uid == owner->uid && head->nr_used == 0;

	if (is_free)
		make_whole(space, owner, owner->spare);
	owner->spare = NO_PAGE;
	return is_free;
}

/*
 * Keeps @page as the owner's spare: for each user one split page stays split when it becomes free,
 * until upkeep or until space is short. A program that allocates and frees in turn would else split
 * the same page again and again. The memmap also waits before it shares the tails of such a page,
 * but that is the smaller part of the cost.
 */
static void keep_spare(struct space *space, struct owner *owner, uint64_t page)
{
	if (owner->spare != page)
		drop_spare(space, owner);
	owner->spare = page;
	owner->spare_is_old = false;
}

bool run_drop_spares(struct space *space, bool old_ones)
{
	struct owner *owner;
	bool dropped = false;

	RB_FOREACH(owner, owner_tree, &space->owners) {
		if (!old_ones || owner->spare_is_old)
			dropped |= drop_spare(space, owner);
		owner->spare_is_old = true;
	}
	return dropped;
}

/*
 * Leaves the free rest of @page to everybody, if the only base pages of it that are used are bad
 * ones: else it would stay reserved for its owner.
 */
static void leave_rest(struct space *space, struct owner *owner, uint64_t page)
{
	const struct desc *head = memmap_head(space->p.mm, page);
	struct owner *nobody;

	if (head->nr_used == head->nr_poisoned && get_owner(&nobody, space, NOBODY) == 0 &&
	    nobody != owner)
		move_runs(space, nobody, owner, page);
}

int run_release_clean(struct space *space, struct extent run)
{
	const struct desc *head = head_of(space, run.off);
	struct owner *owner;
	int r = get_owner(&owner, space, head->uid);

	if (r < 0)
		return r;
	put_runs(space, owner, run);
	if (head->nr_used == 0)
		keep_spare(space, owner, page_of(space, run.off));
	else
		leave_rest(space, owner, page_of(space, run.off));
	return 0;
}

/* ---- recovery ---- */

int run_mark_used(struct space *space, struct extent run, uint32_t uid, uint32_t object)
{
	uint64_t page = page_of(space, run.off);
	int r = memmap_activate(space->p.mm, page, 1);

	if (r < 0)
		return r;
	if (memmap_head(space->p.mm, page)->flags & DESC_SPLIT) {
		for (uint64_t i = 0; i < run.len; i++)
			if (memmap_desc(space->p.mm, run.off + i)->object)
				return -EEXIST;
	} else {
		r = memmap_head(space->p.mm, page)->object ? -EEXIST : run_split(space, page, uid);
		if (r < 0)
			return r;
	}
	space_set_object(space, run, true, object);
	return 0;
}

/*
 * At a start: the base pages of a split page that no record and no ledger item names go to the
 * scrubber, run by run. Where they are withheld they stay counted as used.
 */
int run_build(struct space *space, uint64_t page)
{
	struct extent gap = { pfn_of(space, page), 0 };
	int r = 0;

	for (uint64_t i = 0; i <= space->pfns_per_page && r == 0; i++) {
		uint64_t pfn = pfn_of(space, page) + i;
		const struct desc *desc =
			i < space->pfns_per_page ? memmap_desc(space->p.mm, pfn) : NULL;

		if (desc && desc->object == 0 && !(desc->flags & DESC_POISON)) {
			gap.len++;
			continue;
		}
		if (gap.len && space->is_withholding)
			space->withheld_pfns += gap.len;
		else if (gap.len)
			r = pages_submit(space, gap, true);
		gap = (struct extent){ pfn + 1, 0 };
	}
	return r;
}

/* ---- what changes about a run in use ---- */

/* Does anybody but the owner of @run have a part of its compound page? */
bool space_is_shared(const struct space *space, struct extent run)
{
	const struct desc *head = head_of(space, run.off);
	uint64_t first = pfn_of(space, page_of(space, run.off));

	for (uint64_t pfn = first; pfn < first + space->pfns_per_page; pfn++) {
		bool ours = pfn >= run.off && pfn < run.off + run.len;

		if (!ours && memmap_desc(space->p.mm, pfn)->object)
			return true;
	}
	/* some other part is being scrubbed */
	return head->nr_used != run.len + head->nr_poisoned;
}

void space_set_owner(struct space *space, struct extent run, uint32_t uid)
{
	struct owner *from = find_owner(space, head_of(space, run.off)->uid), *to;

	if (!from || get_owner(&to, space, uid) < 0 || from == to)
		return;
	move_runs(space, to, from, page_of(space, run.off));
}

/* The base page @pfn, which was free, has gone bad: it counts as used from now on. */
void run_take_bad(struct space *space, uint64_t pfn)
{
	struct desc *head = head_of(space, pfn);
	struct owner *owner = find_owner(space, head->uid);

	if (owner && extent_claim_at(owner->runs, pfn, 1) == 0) {
		head->nr_used++;
		space->free_run_pfns--;
		leave_rest(space, owner, page_of(space, pfn));
	}
}
