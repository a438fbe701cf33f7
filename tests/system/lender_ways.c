/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lender_ways: the ways by which something outside of the library comes to have an allocation
 * mapped.
 */
#include <config.h>

#include "tests/system/lender.h"

#include <sys/mman.h>

void create_and_map(void)
{
	OK(pma_create(&handle, pma, "lent", LEN, 0));
	OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
	view = pma_map_address(map);
	stamp(view, 'A');
}

void unmap(void)
{
	pma_unmap(map);
	map = NULL;
}

static void lend_by_fork(void)
{
	create_and_map();
	fork_child();
	unmap();
}

static void lend_by_clone(void)
{
	create_and_map();
	clone_child();
	unmap();
}

static void lend_to_grandchild(void)
{
	create_and_map();
	fork_grandchild();
	unmap();
}

/* Mapped twice; the child has the first one. */
static void lend_first_of_two_maps(void)
{
	struct pma_mapping *second;

	create_and_map();
	clone_child();
	OK(pma_map(&second, pma, handle, PMA_MAP_WRITE));
	unmap();
	pma_unmap(second);
}

static void map_extents(struct pma_handle of, uint64_t skip)
{
	struct pma_extent extent;
	size_t nr = 1;

	OK(pma_extents(&extent, &nr, pma, of, 0));
	CHECK(nr == 1 && extent.len >= skip + LEN);
	view = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, pma_device_fd(pma, 0, false),
		    (off_t)(extent.off + skip));
	CHECK(view != MAP_FAILED);
	stamp(view, 'A');
}

static void lend_by_extents(void)
{
	OK(pma_create(&handle, pma, "lent", LEN, 0));
	map_extents(handle, 0);
}

static void lend_reserved_by_extents(void)
{
	OK(pma_reserve(&handle, pma, "lent", LEN, 0));
	map_extents(handle, 0);
	OK(pma_publish(pma, handle));
}

static void lend_reserved_by_fork(void)
{
	OK(pma_reserve(&handle, pma, "lent", LEN, 0));
	OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
	view = pma_map_address(map);
	stamp(view, 'A');
	fork_child();
	unmap();
	OK(pma_publish(pma, handle));
}

/* What is cut off is an allocation of its own by then. */
static void lend_what_is_cut_off(bool by_extents)
{
	OK(pma_create(&handle, pma, "lent", 2 * LEN, 0));
	if (by_extents) {
		map_extents(handle, LEN);
	} else {
		OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
		view = (char *)pma_map_address(map) + LEN;
		stamp(view, 'A');
		fork_child();
		unmap();
	}
	OK(pma_resize(pma, handle, LEN));
}

static void lend_tail_by_fork(void)
{
	lend_what_is_cut_off(false);
}

static void lend_tail_by_extents(void)
{
	lend_what_is_cut_off(true);
}

/* The cut is made while it is mapped, and the fork comes later. */
static void lend_cut_by_clone(void)
{
	OK(pma_create(&handle, pma, "lent", 2 * LEN, 0));
	OK(pma_map(&map, pma, handle, PMA_MAP_WRITE));
	view = (char *)pma_map_address(map) + LEN;
	stamp(view, 'A');
	OK(pma_resize(pma, handle, LEN));
	clone_child();
	unmap();
}

static struct pma_piece piece;

void reserve_piece(void)
{
	OK(pma_cache_open(&cache, pma, 0, 2 * LEN));
	OK(pma_cache_reserve(&piece, cache, LEN, 0));
	view = piece.address;
	stamp(view, 'A');
}

void publish_piece(void)
{
	struct pma_publication what = { .piece = &piece, .name = "lent" };

	OK(pma_persist(piece.map, piece.address, piece.len));
	OK(pma_cache_publish(cache, &what, 1));
	OK(what.result);
	handle = what.handle;
}

void end_cache(void)
{
	OK(pma_cache_release(cache, &piece));
	pma_cache_close(cache);
	cache = NULL;
}

static void lend_piece_by_fork(void)
{
	reserve_piece();
	publish_piece();
	fork_child();
	end_cache();
}

static void lend_piece_by_clone(void)
{
	reserve_piece();
	clone_child();
	publish_piece();
	end_cache();
}

/* The session has closed it before its lease's mapping goes. */
static void lend_closed_piece(void)
{
	reserve_piece();
	publish_piece();
	clone_child();
	OK(pma_close(pma, handle));
	end_cache();
	OK(pma_open(&handle, pma, NULL, 0));
}

/* Of the lease: what is published of it afterwards was lent as well. */
static void lend_lease_by_extents(void)
{
	struct pma_extent extent;
	size_t nr = 1;

	reserve_piece();
	OK(pma_extents(&extent, &nr, pma, pma_map_handle(piece.map), 0));
	view = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, pma_device_fd(pma, 0, false),
		    (off_t)(extent.off + (uint64_t)((char *)piece.address -
						    (char *)pma_map_address(piece.map))));
	CHECK(view != MAP_FAILED && has_stamp(view));
	publish_piece();
	end_cache();
}

/* The cache's own mapping shows it until the piece is released. */
static void keep_piece_in_use(void)
{
	reserve_piece();
	publish_piece();
}

const struct how hows[] = {
	{ "fork", lend_by_fork },
	{ "clone", lend_by_clone },
	{ "grandchild", lend_to_grandchild },
	{ "two-maps", lend_first_of_two_maps },
	{ "extents", lend_by_extents },
	{ "reserved-extents", lend_reserved_by_extents },
	{ "reserved-fork", lend_reserved_by_fork },
	{ "tail-fork", lend_tail_by_fork },
	{ "tail-extents", lend_tail_by_extents },
	{ "cut-clone", lend_cut_by_clone },
	{ "piece-fork", lend_piece_by_fork },
	{ "piece-clone", lend_piece_by_clone },
	{ "closed-piece", lend_closed_piece },
	{ "lease-extents", lend_lease_by_extents },
	{ "piece-in-use", keep_piece_in_use },
};
const size_t nr_hows = NR(hows);
