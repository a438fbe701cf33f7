/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: lists of allocations and lists of extents. The daemon sends either in pages, since one
 * message may be too small.
 */
#include <config.h>

#include "lib/session/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/session/batch.h"
#include "lib/session/client.h"
#include "lib/error.h"

/*
 * No allocation has more extents than this. A reply that claims more is wrong, and is refused
 * before memory is allocated for it.
 */
#define MAX_EXTENTS (1u << 20)

/* One page of a list: the request and where its reply goes. */
struct page {
	struct call call;
	/*
	 * for extents: what the daemon said about the allocation; for a list of allocations: its
	 * refusal
	 */
	struct wire_result result;
	char text[WIRE_MAX_TEXT];
	size_t max, nr;                 /* how many entries are wanted, and how many came */
	struct pma_info *stats;         /* borrowed; the reply's entries are written there */
	struct pma_extent *extents;     /* borrowed; the reply's entries are written there */
	/* after the reply: where the next page begins; 0: this was the last */
	uint64_t cursor;
};

static int ask(struct pma *pma, struct page *page, uint16_t opcode,
	       const struct wire_request *request, const char *name)
{
	uint8_t buf[BATCH_ONE] __attribute__((aligned(8)));
	struct wire_writer writer;
	int r;

	wire_begin(&writer, buf, opcode, 0);
	r = wire_add_request(&writer, request, name, name ? strlen(name) : 0);
	if (r < 0)
		return error_set(-EINVAL, "the prefix has more than %d bytes", PMA_MAX_NAME);
	page->call.opcode = opcode;
	page->call.message = buf;
	page->call.length = (uint32_t)wire_end(&writer);
	r = client_call(pma, &page->call);
	if (r < 0)
		return r;
	return page->result.result < 0
		       ? error_copy(page->result.result, page->text, page->result.text_len)
		       : 0;
}

/* ---- allocations ---- */

static int absorb_listed(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct page *page = (struct page *)call;
	const struct wire_extent *extents;
	struct wire_result result;
	const char *text;
	int r;

	page->cursor = 0;
	while ((r = wire_next_result(reader, &result, &extents, &text)) == 1) {
		if (result.result < 0) {
			page->result = result;
			memcpy(page->text, text, result.text_len);
			continue;
		}
		if (page->nr == page->max)
			return -EPROTO;
		batch_fill_stat(&page->stats[page->nr++], &result, text);
		page->cursor = result.cursor;
	}
	return r;
}

int pma_list(struct pma_info *out, size_t *nr, uint64_t *cursor, struct pma *pma, uint32_t arena,
	     const char *prefix)
{
	struct page page = { .call = { .absorb = absorb_listed }, .stats = out, .max = *nr };
	struct wire_request request = { .arena = arena, .arg = *cursor, .len = *nr };
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (*nr == 0)
		return error_set(-EINVAL, "a list of no entries");
	if (client_knows_attributes(pma))
		request.flags = WIRE_WITH_ATTRIBUTES;
	r = ask(pma, &page, WIRE_LIST, &request, prefix);
	if (r < 0)
		return r;
	*nr = page.nr;
	*cursor = page.cursor;
	return 0;
}

/* ---- extents ---- */

static int absorb_extents(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct page *page = (struct page *)call;
	const struct wire_extent *extents;
	const char *text;

	if (wire_next_result(reader, &page->result, &extents, &text) != 1)
		return -EPROTO;
	if (page->result.result < 0) {
		memcpy(page->text, text, page->result.text_len);
		return 0;
	}
	page->nr = page->result.nr_inline < page->max ? page->result.nr_inline : page->max;
	for (uint32_t i = 0; i < page->nr; i++) {
		struct wire_extent extent = wire_extent_at(extents, i);

		page->extents[i] = (struct pma_extent){ extent.off, extent.len };
	}
	return 0;
}

/* Asks for at most page->max extents, beginning with number @first. */
static int ask_extents(struct page *page, struct pma *pma, struct pma_handle handle, size_t first,
		       uint32_t flags)
{
	struct wire_request request = { .arena = handle.arena,
					.slot = handle.slot,
					.id = handle.id,
					.arg = first,
					.flags = flags };

	page->call = (struct call){ .absorb = absorb_extents };
	page->nr = 0;
	return ask(pma, page, WIRE_EXTENTS, &request, NULL);
}

/*
 * Fetches all extents. -EAGAIN: the allocation changed between two pages, so they do not belong
 * together; the caller begins again.
 */
static int fetch(struct pma_extent *extents, size_t *nr, struct pma *pma, struct pma_handle handle,
		 const struct wire_result *head)
{
	while (*nr < head->nr_extents) {
		struct page page = { .extents = extents + *nr, .max = head->nr_extents - *nr };
		int r = ask_extents(&page, pma, handle, *nr, 0);

		if (r < 0)
			return r;
		if (page.result.version != head->version ||
		    page.result.nr_extents != head->nr_extents)
			return -EAGAIN;
		if (page.nr == 0)
			return error_set(-EPROTO, "the daemon keeps %zu of %u extents to itself",
					 head->nr_extents - *nr, head->nr_extents);
		*nr += page.nr;
	}
	return 0;
}

static int fetch_all(struct pma_extent **out, size_t *nr, uint64_t *version, struct pma *pma,
		     struct pma_handle handle)
{
	struct pma_extent first[WIRE_MAX_INLINE_EXTENTS], *all;
	struct page page = { .extents = first, .max = WIRE_MAX_INLINE_EXTENTS };
	int r = ask_extents(&page, pma, handle, 0, 0);

	if (r < 0)
		return r;
	if (page.nr == 0 || page.result.nr_extents > MAX_EXTENTS)
		return error_set(-EPROTO, "the daemon says that there are %u extents",
				 page.result.nr_extents);
	all = malloc(page.result.nr_extents * sizeof(*all));
	if (!all)
		return error_memory();
	memcpy(all, first, page.nr * sizeof(*all));
	*nr = page.nr;
	r = fetch(all, nr, pma, handle, &page.result);
	if (r < 0) {
		free(all);
		return r;
	}
	if (version)
		*version = page.result.version;
	*out = all;
	return 0;
}

int listing_extents(struct pma_extent **out, size_t *nr, uint64_t *version, struct pma *pma,
		    struct pma_handle handle)
{
	int r;

	do {
		r = fetch_all(out, nr, version, pma, handle);
	} while (r == -EAGAIN);
	return r;
}

/*
 * Marks the allocation as lent: a program that knows its extents may map them by other means, so
 * this library can no longer say that nobody has it mapped. *flags gets the flag that tells the
 * daemon so. -EBADF: it is not open in this session, or just being closed.
 */
static int lend(uint32_t *flags, struct pma *pma, struct pma_handle handle)
{
	struct holding *holding;
	int r = 0;

	client_lock(pma);
	holding = holding_find(&pma->holdings, handle);
	if (holding && holding->nr_closing == 0)
		holding->is_lent = true;
	else
		r = -EBADF;
	*flags = pma->link.lends ? WIRE_LENT : 0;
	client_unlock(pma);
	return r < 0 ? error_set(r, "not open in this session: pma_open() it first") : 0;
}

int pma_extents(struct pma_extent *out, size_t *nr, struct pma *pma, struct pma_handle handle,
		size_t first)
{
	uint32_t wire_flags = 0;
	size_t got = 0;
	int r = client_check(pma);

	if (r == 0)
		r = lend(&wire_flags, pma, handle);
	if (r < 0)
		return r;
	while (got < *nr) {
		struct page page = { .extents = out + got, .max = *nr - got };

		r = ask_extents(&page, pma, handle, first + got, wire_flags);
		if (r < 0)
			return r;
		got += page.nr;
		if (page.nr == 0 || first + got >= page.result.nr_extents)
			break;
	}
	*nr = got;
	return 0;
}
