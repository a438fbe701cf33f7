/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extent: free space as a set of ranges, in two red-black trees with the same nodes. It knows
 * neither what the units are, nor who had a range before or will get it.
 *
 * Nodes come from slabs: 80 bytes a range, without the overhead of malloc(). A slab lives as long
 * as the map. A map that was fragmented once is likely to be so again, and without the spare nodes
 * a later release could fail for lack of memory.
 */
#include <config.h>

#include "daemon/space/extent.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

struct node {
	union {
		RB_ENTRY(node) by_off;          /* in map.by_off, while it is a range */
		SLIST_ENTRY(node) spare;        /* on map.spares, while it is none */
	};
	RB_ENTRY(node) by_len;                  /* in map.by_len */
	struct extent range;
};
RB_HEAD(off_tree, node);
RB_HEAD(len_tree, node);
SLIST_HEAD(node_list, node);

/* a slab and what malloc() adds to it are just below 4 KiB */
#define SLAB_NODES 51

struct slab {
	SLIST_ENTRY(slab) link;                 /* on map.slabs */
	struct node nodes[SLAB_NODES];
};
SLIST_HEAD(slab_list, slab);

struct extent_map {
	/* ranges never overlap; they touch only on a boundary */
	struct off_tree by_off;
	struct len_tree by_len;                 /* the same ranges, by length and then by offset */
	struct node_list spares;
	struct slab_list slabs;                 /* owned */
	uint64_t nr_spares;
	uint64_t boundary;
	uint64_t total;
	uint64_t count;
};

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_off(const struct node *a, const struct node *b)
{
	return compare(a->range.off, b->range.off);
}

static int compare_len(const struct node *a, const struct node *b)
{
	int c = compare(a->range.len, b->range.len);

	return c ? c : compare_off(a, b);
}

/*
 * RB_GENERATE_STATIC() needs a macro __unused, which <bsd/sys/cdefs.h> defines only in the overlay
 * of libbsd.
 */
RB_GENERATE_INTERNAL(off_tree, node, by_off, compare_off, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(len_tree, node, by_len, compare_len, __attribute__((unused)) static)

int extent_map_new(struct extent_map **out, uint64_t boundary)
{
	struct extent_map *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	RB_INIT(&map->by_off);
	RB_INIT(&map->by_len);
	SLIST_INIT(&map->spares);
	SLIST_INIT(&map->slabs);
	map->boundary = boundary;
	*out = map;
	return 0;
}

void extent_map_free(struct extent_map *map)
{
	struct slab *slab;

	if (!map)
		return;
	while ((slab = SLIST_FIRST(&map->slabs))) {
		SLIST_REMOVE_HEAD(&map->slabs, link);
		free(slab);
	}
	free(map);
}

uint64_t extent_total(const struct extent_map *map)
{
	return map->total;
}

uint64_t extent_largest(const struct extent_map *map)
{
	/* RB_MAX() does not take a const tree, though it only reads. */
	struct node *last = RB_MAX(len_tree, (struct len_tree *)&map->by_len);

	return last ? last->range.len : 0;
}

uint64_t extent_count(const struct extent_map *map)
{
	return map->count;
}

static uint64_t end_of(const struct node *node)
{
	return node->range.off + node->range.len;
}

static bool is_boundary(const struct extent_map *map, uint64_t off)
{
	return map->boundary && off % map->boundary == 0;
}

/* ---- nodes ---- */

int extent_map_reserve(struct extent_map *map, uint64_t nr)
{
	while (map->nr_spares < nr) {
		struct slab *slab = malloc(sizeof(*slab));

		if (!slab)
			return -ENOMEM;
		SLIST_INSERT_HEAD(&map->slabs, slab, link);
		for (int i = SLAB_NODES - 1; i >= 0; i--)
			SLIST_INSERT_HEAD(&map->spares, &slab->nodes[i], spare);
		map->nr_spares += SLAB_NODES;
	}
	return 0;
}

static struct node *take_spare(struct extent_map *map)
{
	struct node *node = SLIST_FIRST(&map->spares);

	assert(node);           /* the caller has called extent_map_reserve() */
	SLIST_REMOVE_HEAD(&map->spares, spare);
	map->nr_spares--;
	return node;
}

static void insert(struct extent_map *map, struct extent range)
{
	struct node *node = take_spare(map);

	node->range = range;
	RB_INSERT(off_tree, &map->by_off, node);
	RB_INSERT(len_tree, &map->by_len, node);
	map->total += range.len;
	map->count++;
}

static void remove_node(struct extent_map *map, struct node *node)
{
	RB_REMOVE(off_tree, &map->by_off, node);
	RB_REMOVE(len_tree, &map->by_len, node);
	map->total -= node->range.len;
	map->count--;
	SLIST_INSERT_HEAD(&map->spares, node, spare);
	map->nr_spares++;
}

/*
 * The node keeps its place in the order by offset, since the new range overlaps no other: only the
 * tree by length must be told.
 */
static void resize_node(struct extent_map *map, struct node *node, uint64_t off, uint64_t end)
{
	RB_REMOVE(len_tree, &map->by_len, node);
	map->total += (end - off) - node->range.len;
	node->range.off = off;
	node->range.len = end - off;
	RB_INSERT(len_tree, &map->by_len, node);
}

/* ---- looking ---- */

/* Returns the first range that begins at or after @off. */
static struct node *node_from(const struct extent_map *map, uint64_t off)
{
	struct node key = { .range.off = off };

	return RB_NFIND(off_tree, (struct off_tree *)&map->by_off, &key);
}

/* Returns the last range before @next, which may be NULL for the end. */
static struct node *node_before(const struct extent_map *map, struct node *next)
{
	return next ? RB_PREV(off_tree, &map->by_off, next)
		    : RB_MAX(off_tree, (struct off_tree *)&map->by_off);
}

/* Returns the range that holds @off, or else the first behind it. */
static struct node *node_at(const struct extent_map *map, uint64_t off)
{
	struct node *next = node_from(map, off), *prev;

	if (next && next->range.off == off)
		return next;
	prev = node_before(map, next);
	return prev && end_of(prev) > off ? prev : next;
}

/* Returns the shortest range of at least @len, the lowest of several. */
static struct node *node_fitting(const struct extent_map *map, uint64_t len)
{
	struct node key = { .range.len = len };

	return RB_NFIND(len_tree, (struct len_tree *)&map->by_len, &key);
}

bool extent_find(struct extent *out, const struct extent_map *map, uint64_t off)
{
	const struct node *node = node_at(map, off);

	if (!node)
		return false;
	*out = node->range;
	return true;
}

/* ---- claiming ---- */

/* Takes the first @len of the range of @node. */
static struct extent take_front(struct extent_map *map, struct node *node, uint64_t len)
{
	struct extent taken = { node->range.off, len };

	if (node->range.len == len)
		remove_node(map, node);
	else
		resize_node(map, node, node->range.off + len, end_of(node));
	return taken;
}

int extent_claim(struct extent *out, struct extent_map *map, uint64_t len)
{
	struct node *node;

	if (len == 0)
		return -EINVAL;
	node = node_fitting(map, len);
	if (!node)
		return -ENOSPC;
	*out = take_front(map, node, len);
	return 0;
}

int extent_claim_largest(struct extent *out, struct extent_map *map, uint64_t max)
{
	struct node *node;

	if (max == 0)
		return -EINVAL;
	if (RB_EMPTY(&map->by_len))
		return -ENOSPC;
	node = node_fitting(map, extent_largest(map));
	*out = take_front(map, node, node->range.len < max ? node->range.len : max);
	return 0;
}

/*
 * Is all of [off, end) in the map, from @node on? It may be several ranges that touch on
 * boundaries.
 */
static bool is_covered(struct extent_map *map, struct node *node, uint64_t off, uint64_t end)
{
	while (node && node->range.off <= off) {
		off = end_of(node);
		if (off >= end)
			return true;
		node = RB_NEXT(off_tree, &map->by_off, node);
	}
	return false;
}

/* The range of @node goes on before @off and behind @end: it becomes two ranges. */
static void take_middle(struct extent_map *map, struct node *node, uint64_t off, uint64_t end)
{
	struct extent rest = { end, end_of(node) - end };

	resize_node(map, node, node->range.off, off);
	insert(map, rest);
}

/* Takes [off, end) out of the range of @node, as far as the two overlap. */
static void take_overlap(struct extent_map *map, struct node *node, uint64_t off, uint64_t end)
{
	if (node->range.off < off && end_of(node) > end)
		take_middle(map, node, off, end);
	else if (node->range.off < off)
		resize_node(map, node, node->range.off, off);
	else if (end_of(node) > end)
		resize_node(map, node, end, end_of(node));
	else
		remove_node(map, node);
}

int extent_claim_at(struct extent_map *map, uint64_t off, uint64_t len)
{
	uint64_t end;
	struct node *node;
	int r;

	if (len == 0 || __builtin_add_overflow(off, len, &end))
		return -EINVAL;
	node = node_at(map, off);
	if (!is_covered(map, node, off, end))
		return -ENOENT;
	r = extent_map_reserve(map, 1);
	if (r < 0 && node->range.off < off && end_of(node) > end)
		return r;
	while (node && node->range.off < end) {
		struct node *next = RB_NEXT(off_tree, &map->by_off, node);

		take_overlap(map, node, off, end);
		node = next;
	}
	return 0;
}

/* ---- releasing ---- */

/*
 * Checks a range that is to be released. -EINVAL: it is empty, ends beyond 2^64, or has a boundary
 * inside, so that it cannot have come from this map.
 */
static int check_range(const struct extent_map *map, struct extent range)
{
	uint64_t end;

	if (range.len == 0 || __builtin_add_overflow(range.off, range.len, &end))
		return -EINVAL;
	if (map->boundary && range.off / map->boundary != (end - 1) / map->boundary)
		return -EINVAL;
	return 0;
}

/*
 * Adds @range to the map as one range with the neighbours @prev and @next (NULL: none), and returns
 * that range.
 */
static struct extent merge(struct extent_map *map, struct extent range, struct node *prev,
			   struct node *next)
{
	uint64_t off = prev ? prev->range.off : range.off;
	uint64_t end = next ? end_of(next) : range.off + range.len;

	if (prev && next)
		remove_node(map, next);
	if (prev || next)
		resize_node(map, prev ? prev : next, off, end);
	else
		insert(map, range);
	return (struct extent){ off, end - off };
}

int extent_release(struct extent_map *map, struct extent range, struct extent *merged)
{
	uint64_t end = range.off + range.len;
	struct node *prev, *next;
	struct extent whole;
	int r;

	r = check_range(map, range);
	if (r < 0)
		return r;
	next = node_from(map, range.off);
	prev = node_before(map, next);
	if ((next && next->range.off < end) || (prev && end_of(prev) > range.off))
		return -EEXIST;
	if (prev && (end_of(prev) < range.off || is_boundary(map, range.off)))
		prev = NULL;
	if (next && (next->range.off > end || is_boundary(map, end)))
		next = NULL;
	if (!prev && !next) {
		r = extent_map_reserve(map, 1);
		if (r < 0)
			return r;
	}
	whole = merge(map, range, prev, next);
	if (merged)
		*merged = whole;
	return 0;
}
