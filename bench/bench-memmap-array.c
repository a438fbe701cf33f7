/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-memmap-array: the four layouts. The three that are built here are as quick as they can be
 * made; none of them has a rollback.
 */
#include <config.h>

#include "bench/bench-memmap-array.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* of an array of one piece: the head and the first 63 tails */
#define HEAD_LEN UINT64_C(4096)

static const struct desc plain[64] = { [0 ... 63] = { .kind = DESC_TAIL } };

static void fill_tails(char *at, uint64_t len)
{
	for (uint64_t done = 0; done < len; done += sizeof(plain))
		memcpy(at + done, plain, sizeof(plain));
}

static char *page_at(const struct array *array, uint64_t page)
{
	return array->base + page * array_page_len(array);
}

static void write_head(struct array *array, uint64_t page)
{
	*(struct desc *)(void *)page_at(array, page) =
		(struct desc){ .kind = DESC_HEAD, .order = (uint8_t)array->order };
}

static int open_base(struct array *array)
{
	array->len = array->nr_pages * array_page_len(array);
	array->base = mmap(NULL, array->len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (array->base != MAP_FAILED)
		return 0;
	array->base = NULL;
	return -errno;
}

static void close_base(struct array *array)
{
	if (array->base)
		munmap(array->base, array->len);
	if (array->fd >= 0)
		close(array->fd);
}

/* ---- none ---- */

static int populate_none(struct array *array, uint64_t page)
{
	fill_tails(page_at(array, page), array_page_len(array));
	write_head(array, page);
	return 0;
}

/* ---- literal and run ---- */

static int open_shared(struct array *array, uint64_t len)
{
	int r = open_base(array);

	if (r < 0)
		return r;
	array->fd = memfd_create("tails", MFD_CLOEXEC);
	if (array->fd < 0)
		return -errno;
	for (uint64_t at = 0; at < len; at += sizeof(plain))
		if (pwrite(array->fd, plain, sizeof(plain), (off_t)at) != (ssize_t)sizeof(plain))
			return -ENOMEM;
	return 0;
}

static int open_literal(struct array *array)
{
	return open_shared(array, HEAD_LEN);
}

static int open_run(struct array *array)
{
	return open_shared(array, array_page_len(array) - HEAD_LEN);
}

static int map_tails(struct array *array, char *at, uint64_t len)
{
	return mmap(at, len, PROT_READ, MAP_SHARED | MAP_FIXED, array->fd, 0) == MAP_FAILED ? -errno
											    : 0;
}

static int share_literal(struct array *array, uint64_t page)
{
	int r = 0;

	for (uint64_t at = HEAD_LEN; at < array_page_len(array) && r == 0; at += HEAD_LEN)
		r = map_tails(array, page_at(array, page) + at, HEAD_LEN);
	return r;
}

static int share_run(struct array *array, uint64_t page)
{
	return map_tails(array, page_at(array, page) + HEAD_LEN, array_page_len(array) - HEAD_LEN);
}

static int populate_literal(struct array *array, uint64_t page)
{
	fill_tails(page_at(array, page), HEAD_LEN);
	write_head(array, page);
	return share_literal(array, page);
}

static int populate_run(struct array *array, uint64_t page)
{
	fill_tails(page_at(array, page), HEAD_LEN);
	write_head(array, page);
	return share_run(array, page);
}

static int dedup_literal(struct array *array, uint64_t page, uint64_t nr)
{
	int r = 0;

	for (uint64_t i = 0; i < nr && r == 0; i++)
		r = share_literal(array, page + i);
	return r;
}

static int dedup_run(struct array *array, uint64_t page, uint64_t nr)
{
	int r = 0;

	for (uint64_t i = 0; i < nr && r == 0; i++)
		r = share_run(array, page + i);
	return r;
}

/* As quick as it gets with private memory; a reader would see zeroes for a moment. */
static int restore_base(struct array *array, uint64_t page)
{
	char *at = page_at(array, page) + HEAD_LEN;
	uint64_t len = array_page_len(array) - HEAD_LEN;

	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		return -errno;
	madvise(at, len, MADV_POPULATE_WRITE);
	fill_tails(at, len);
	return 0;
}

/* ---- two planes ---- */

static int open_planes(struct array *array)
{
	struct memmap_params params = { .nr_pfns = array->nr_pages << array->order,
					.order = (uint8_t)array->order,
					.numa_node = -1 };

	return memmap_new(&array->mm, &params, NULL);
}

static int populate_planes(struct array *array, uint64_t page)
{
	(void)page;                             /* one call for all of it */
	int r = memmap_activate(array->mm, 0, array->nr_pages);

	if (r == 0)
		array->populated = array->nr_pages;
	return r;
}

static int restore_planes(struct array *array, uint64_t page)
{
	return memmap_restore(array->mm, page);
}

static int dedup_planes(struct array *array, uint64_t page, uint64_t nr)
{
	memmap_dedup(array->mm, page, nr);
	return 0;
}

static void close_planes(struct array *array)
{
	memmap_free(array->mm);
}

/* ---- the face ---- */

const struct layout layouts[NR_LAYOUTS] = {
	{ "none", false, open_base, populate_none, NULL, NULL, close_base },
	{ "literal", true, open_literal, populate_literal, restore_base, dedup_literal,
	  close_base },
	{ "run", true, open_run, populate_run, restore_base, dedup_run, close_base },
	{ "two-plane", true, open_planes, populate_planes, restore_planes, dedup_planes,
	  close_planes },
};

int array_open(struct array *array, const struct layout *layout, uint64_t region, unsigned order)
{
	*array = (struct array){
		.layout = layout, .nr_pages = region >> (12 + order), .order = order, .fd = -1
	};
	return layout->open(array);
}

int array_populate(struct array *array)
{
	int r = 0;

	while (array->populated < array->nr_pages && r == 0) {
		r = array->layout->populate(array, array->populated);
		array->populated += r == 0 && !array->mm;
	}
	return r;
}

void array_idle(struct array *array)
{
	while (array->mm && memmap_maintain(array->mm))
		;
}

void array_close(struct array *array)
{
	array->layout->close(array);
}
