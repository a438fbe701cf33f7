/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device is an array of leaves, a leaf an array of pages; both are counted, shared between
 * copies, and copied by the first write to a shared one. A missing leaf or page is zeroes.
 */
#include <config.h>

#include "tests/standin/image.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE      UINT64_C(4096)
#define FANOUT    UINT64_C(512)
#define LEAF_SPAN (PAGE * FANOUT)

struct page {
	unsigned refs;
	unsigned char bytes[PAGE];
};

struct leaf {
	unsigned refs;
	struct page *pages[FANOUT];
};

struct store {
	char          path[PATH_MAX];
	uint64_t      size;
	struct leaf **leaves;           /* owned; one for every LEAF_SPAN bytes */
};

struct image {
	unsigned     nr;
	struct store stores[IMAGE_MAX_DEVICES];
};

static const unsigned char zeroes[PAGE];

static void *must(void *p)
{
	if (!p)
		errx(2, "out of memory");
	return p;
}

static uint64_t nr_leaves(uint64_t size)
{
	return (size + LEAF_SPAN - 1) / LEAF_SPAN;
}

struct image *image_new(void)
{
	return must(calloc(1, sizeof(struct image)));
}

struct image *image_copy(const struct image *image)
{
	struct image *copy = image_new();

	*copy = *image;
	for (unsigned d = 0; d < image->nr; d++) {
		uint64_t n = nr_leaves(image->stores[d].size);

		copy->stores[d].leaves = must(calloc(n + 1, sizeof(struct leaf *)));
		for (uint64_t i = 0; i < n; i++) {
			copy->stores[d].leaves[i] = image->stores[d].leaves[i];
			if (copy->stores[d].leaves[i])
				copy->stores[d].leaves[i]->refs++;
		}
	}
	return copy;
}

static void put_page(struct page *page)
{
	if (page && --page->refs == 0)
		free(page);
}

static void put_leaf(struct leaf *leaf)
{
	if (!leaf || --leaf->refs > 0)
		return;
	for (unsigned i = 0; i < FANOUT; i++)
		put_page(leaf->pages[i]);
	free(leaf);
}

void image_free(struct image *image)
{
	if (!image)
		return;
	for (unsigned d = 0; d < image->nr; d++) {
		for (uint64_t i = 0; i < nr_leaves(image->stores[d].size); i++)
			put_leaf(image->stores[d].leaves[i]);
		free(image->stores[d].leaves);
	}
	free(image);
}

int image_find(const struct image *image, const char *path)
{
	for (unsigned d = 0; d < image->nr; d++)
		if (strcmp(image->stores[d].path, path) == 0)
			return (int)d;
	return -1;
}

unsigned image_device(struct image *image, const char *path, uint64_t size)
{
	int found = image_find(image, path);
	struct store *store;

	if (found >= 0)
		return (unsigned)found;
	if (image->nr == IMAGE_MAX_DEVICES)
		errx(2, "an image has at most %d devices", IMAGE_MAX_DEVICES);
	store = &image->stores[image->nr];
	snprintf(store->path, sizeof(store->path), "%s", path);
	store->size = size;
	store->leaves = must(calloc(nr_leaves(size) + 1, sizeof(struct leaf *)));
	return image->nr++;
}

unsigned image_nr_devices(const struct image *image)
{
	return image->nr;
}

const char *image_path(const struct image *image, unsigned device)
{
	return image->stores[device].path;
}

uint64_t image_size(const struct image *image, unsigned device)
{
	return image->stores[device].size;
}

/* The bytes of the page at @off, to be read; NULL: zeroes. */
static const unsigned char *look(const struct store *store, uint64_t off)
{
	const struct leaf *leaf = store->leaves[off / LEAF_SPAN];
	const struct page *page = leaf ? leaf->pages[off / PAGE % FANOUT] : NULL;

	return page ? page->bytes : NULL;
}

static struct leaf *own_leaf(struct leaf **at)
{
	struct leaf *old = *at, *leaf;

	if (old && old->refs == 1)
		return old;
	leaf = must(calloc(1, sizeof(*leaf)));
	if (old) {
		*leaf = *old;
		for (unsigned i = 0; i < FANOUT; i++)
			if (leaf->pages[i])
				leaf->pages[i]->refs++;
		old->refs--;
	}
	leaf->refs = 1;
	return *at = leaf;
}

/* The bytes of the page at @off, to be written by this image alone. */
static unsigned char *own(struct store *store, uint64_t off)
{
	struct leaf *leaf = own_leaf(&store->leaves[off / LEAF_SPAN]);
	struct page **at = &leaf->pages[off / PAGE % FANOUT], *old = *at;

	if (old && old->refs == 1)
		return old->bytes;
	*at = must(malloc(sizeof(**at)));
	(*at)->refs = 1;
	memcpy((*at)->bytes, old ? old->bytes : zeroes, PAGE);
	if (old)
		old->refs--;
	return (*at)->bytes;
}

static uint64_t piece(uint64_t off, uint64_t len)
{
	uint64_t rest = PAGE - off % PAGE;

	return len < rest ? len : rest;
}

void image_read(const struct image *image, unsigned device, uint64_t off, void *dst, uint64_t len)
{
	unsigned char *to = dst;

	for (uint64_t n; len; off += n, to += n, len -= n) {
		const unsigned char *page = look(&image->stores[device], off);

		n = piece(off, len);
		memcpy(to, page ? page + off % PAGE : zeroes, n);
	}
}

void image_write(struct image *image, unsigned device, uint64_t off, const void *src, uint64_t len)
{
	const unsigned char *from = src;

	for (uint64_t n; len; off += n, from += n, len -= n) {
		n = piece(off, len);
		memcpy(own(&image->stores[device], off) + off % PAGE, from, n);
	}
}

void image_zero(struct image *image, unsigned device, uint64_t off, uint64_t len)
{
	struct store *store = &image->stores[device];

	for (uint64_t n; len; off += n, len -= n) {
		n = piece(off, len);
		if (!look(store, off))
			continue;
		if (n == PAGE) {
			struct page **at = &own_leaf(&store->leaves[off / LEAF_SPAN])
						    ->pages[off / PAGE % FANOUT];

			put_page(*at);
			*at = NULL;
		} else {
			memset(own(store, off) + off % PAGE, 0, n);
		}
	}
}

void image_scribble(struct image *image, unsigned device, uint64_t off, uint64_t len, uint64_t seed)
{
	uint64_t x = seed * 2 + 1;

	for (uint64_t n; len; off += n, len -= n) {
		unsigned char *bytes = own(&image->stores[device], off) + off % PAGE;

		n = piece(off, len);
		for (uint64_t i = 0; i < n; i++) {
			x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			bytes[i] = (unsigned char)(x >> 56);
		}
	}
}

uint64_t image_find_nonzero(const struct image *image, unsigned device, uint64_t off, uint64_t len)
{
	const struct store *store = &image->stores[device];
	uint64_t end = off + len;

	while (off < end) {
		uint64_t n = piece(off, end - off);
		const unsigned char *page;

		if (!store->leaves[off / LEAF_SPAN]) {
			off += LEAF_SPAN - off % LEAF_SPAN;
			continue;
		}
		page = look(store, off);
		if (page && memcmp(page + off % PAGE, zeroes, n) != 0) {
			while (!page[off % PAGE])
				off++;
			return off;
		}
		off += n;
	}
	return end;
}

static bool page_equal(const unsigned char *a, const unsigned char *b)
{
	return a == b || memcmp(a ? a : zeroes, b ? b : zeroes, PAGE) == 0;
}

static bool store_equal(const struct store *a, const struct store *b)
{
	if (strcmp(a->path, b->path) != 0 || a->size != b->size)
		return false;
	for (uint64_t i = 0; i < nr_leaves(a->size); i++) {
		if (a->leaves[i] == b->leaves[i])
			continue;
		for (uint64_t off = i * LEAF_SPAN; off < (i + 1) * LEAF_SPAN; off += PAGE)
			if (!page_equal(look(a, off), look(b, off)))
				return false;
	}
	return true;
}

bool image_equal(const struct image *a, const struct image *b)
{
	if (a->nr != b->nr)
		return false;
	for (unsigned d = 0; d < a->nr; d++)
		if (!store_equal(&a->stores[d], &b->stores[d]))
			return false;
	return true;
}

static int save_pages(const struct store *store, int fd)
{
	if (ftruncate(fd, (off_t)store->size) < 0)
		return -errno;
	for (uint64_t off = 0; off < store->size; off += PAGE) {
		const unsigned char *page = look(store, off);
		uint64_t n = piece(off, store->size - off);

		if (page && pwrite(fd, page, n, (off_t)off) != (ssize_t)n)
			return errno ? -errno : -EIO;
	}
	return 0;
}

int image_save(const struct image *image, unsigned device, const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = save_pages(&image->stores[device], fd);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int image_load(struct image *image, unsigned device, const char *file)
{
	unsigned char bytes[PAGE];
	uint64_t off = 0;
	ssize_t n;
	int fd;

	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	image_zero(image, device, 0, image->stores[device].size);
	while (off < image->stores[device].size && (n = pread(fd, bytes, PAGE, (off_t)off)) > 0) {
		if (memcmp(bytes, zeroes, (size_t)n) != 0)
			image_write(image, device, off, bytes, (uint64_t)n);
		off += (uint64_t)n;
	}
	close(fd);
	return 0;
}
