/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * first-fit: a segment tree over the units, so that first fit is fast enough to be a fair peer.
 */
#include <config.h>

#include "bench/bench-extent-first-fit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* In each node the free run at its start, at its end, and its longest. */
struct run { uint32_t first, last, longest; };

static struct run *tree;                /* 2 * nr_units, the root at 1 */
static uint64_t nr_units;

static void fill_node(uint64_t node, uint64_t len, bool free)
{
	uint32_t n = free ? (uint32_t)len : 0;

	tree[node] = (struct run){ n, n, n };
}

/* A node that is all free or all used speaks for its children. */
static void push_down(uint64_t node, uint64_t len)
{
	if (tree[node].longest == len || tree[node].longest == 0) {
		fill_node(2 * node, len / 2, tree[node].longest);
		fill_node(2 * node + 1, len / 2, tree[node].longest);
	}
}

static void pull_up(uint64_t node, uint64_t len)
{
	const struct run *a = &tree[2 * node], *b = &tree[2 * node + 1];
	uint32_t half = (uint32_t)(len / 2), middle = a->last + b->first;

	tree[node].first = a->first == half ? half + b->first : a->first;
	tree[node].last = b->last == half ? half + a->last : b->last;
	tree[node].longest = a->longest > b->longest ? a->longest : b->longest;
	if (middle > tree[node].longest)
		tree[node].longest = middle;
}

static void set_units(uint64_t node, uint64_t off, uint64_t len, struct extent range, bool free)
{
	if (range.off >= off + len || range.off + range.len <= off)
		return;
	if (range.off <= off && range.off + range.len >= off + len) {
		fill_node(node, len, free);
		return;
	}
	push_down(node, len);
	set_units(2 * node, off, len / 2, range, free);
	set_units(2 * node + 1, off + len / 2, len / 2, range, free);
	pull_up(node, len);
}

int first_fit_claim(struct extent *out, uint64_t want)
{
	uint64_t node = 1, off = 0, len = nr_units;

	if (tree[1].longest < want)
		return -ENOSPC;
	while (len > 1 && tree[node].longest < len) {
		len /= 2;
		if (tree[2 * node].longest >= want) {
			node = 2 * node;
		} else if (tree[2 * node].last + tree[2 * node + 1].first >= want) {
			off += len - tree[2 * node].last;
			break;
		} else {
			node = 2 * node + 1;
			off += len;
		}
	}
	*out = (struct extent){ off, want };
	set_units(1, 0, nr_units, *out, false);
	return 0;
}

void first_fit_release(struct extent range)
{
	set_units(1, 0, nr_units, range, true);
}

uint64_t first_fit_largest(void)
{
	return tree[1].longest;
}

void first_fit_reset(void)
{
	fill_node(1, nr_units, true);
}

int first_fit_begin(uint64_t units)
{
	nr_units = units;
	tree = calloc(2 * units, sizeof(*tree));
	if (!tree)
		return -ENOMEM;
	first_fit_reset();
	return 0;
}

void first_fit_end(void)
{
	free(tree);
	tree = NULL;
}
