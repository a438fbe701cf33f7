/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: allocations as memory, over a memfd that stands in for the device. Stores and validity are
 * in test_map_stores.c.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/map_fixture.h"
#include "tests/unit/unit.h"

/* The user may not use the arena, or its device is not there, when it connects. */
static void serve_hidden(struct fake_daemon *daemon)
{
	struct wire_arena shown = daemon->arenas[0];

	daemon->arenas[0] = (struct wire_arena){ .index = shown.index };
	fake_welcome(daemon, NULL, false);
	daemon->arenas[0] = shown;
	fake_serve(daemon);
}

/* ---- memory ---- */

START_TEST(test_map_in_an_arena_that_was_hidden_at_first)
{
	fake = fake_new(serve_hidden, NULL);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), 0);
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	pma_unmap(map_it(PMA_MAP_WRITE));
	end();
}
END_TEST

START_TEST(test_map_shows_the_allocation)
{
	struct pma_mapping *map;

	begin();
	map = map_it(PMA_MAP_WRITE);
	ck_assert_uint_eq(pma_map_length(map), FAKE_PAGE);
	ck_assert_uint_eq((uintptr_t)pma_map_address(map) % MiB(2), 0);
	ck_assert_uint_eq(pma_map_handle(map).id, handle.id);
	memset(pma_map_address(map), 0x5a, FAKE_PAGE);
	ck_assert_uint_eq(device_byte(handle.id * FAKE_PAGE), 0x5a);
	ck_assert_uint_eq(device_byte((handle.id + 1) * FAKE_PAGE - 1), 0x5a);
	ck_assert_uint_eq(device_byte((handle.id + 1) * FAKE_PAGE), 0);
	pma_unmap(map);
	end();
}
END_TEST

/* Out of order, some neighbours, in one or several replies. */
START_TEST(test_map_joins_extents_in_their_order)
{
	static const struct wire_extent extents[] = { { MiB(8), MiB(2) },
						      { MiB(10), MiB(2) },
						      { MiB(4), MiB(2) },
						      { MiB(20), MiB(4) },
						      { MiB(2), MiB(2) } };
	static const uint64_t offs[] = { MiB(8), MiB(10), MiB(4), MiB(20), MiB(22), MiB(2) };
	struct pma_mapping *map;
	uint8_t *memory;

	begin();
	memcpy(fake->extents, extents, sizeof(extents));
	fake->nr_extents = 5;
	fake->nr_a_reply = (uint32_t)_i;
	map = map_it(PMA_MAP_WRITE);
	ck_assert_uint_eq(pma_map_length(map), MiB(12));
	memory = pma_map_address(map);
	for (int i = 0; i < 6; i++)
		memory[MiB(2) * (uint64_t)i] = (uint8_t)(i + 1);
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(device_byte(offs[i]), (unsigned)i + 1);
	pma_unmap(map);
	end();
}
END_TEST

START_TEST(test_map_of_a_run_maps_its_unit)
{
	struct pma_mapping *map;

	begin_with(MiB(2), PMA_CACHE_LINE);
	fake->extents[0] = (struct wire_extent){ MiB(4) + KiB(12), KiB(8) };
	fake->nr_extents = 1;
	map = map_it(PMA_MAP_WRITE);
	ck_assert_uint_eq(pma_map_length(map), KiB(8));
	ck_assert_uint_eq((uintptr_t)pma_map_address(map) % MiB(2), KiB(12));
	memset(pma_map_address(map), 1, KiB(8));
	ck_assert_uint_eq(device_byte(MiB(4) + KiB(12) - 1), 0);
	ck_assert_uint_eq(device_byte(MiB(4) + KiB(12)), 1);
	ck_assert_uint_eq(device_byte(MiB(4) + KiB(20) - 1), 1);
	ck_assert_uint_eq(device_byte(MiB(4) + KiB(20)), 0);
	pma_unmap(map);
	end();
}
END_TEST

START_TEST(test_map_of_impossible_extents_is_refused)
{
	struct pma_mapping *map;

	begin();
	fake->extents[0] = (struct wire_extent){ FAKE_SIZE, KiB(8) };
	fake->nr_extents = 1;
	ck_assert_int_eq(pma_map(&map, pma, handle, 0), -EPROTO);
	ck_assert_ptr_nonnull(strstr(pma_message(), "does not lie on the device"));
	/* And nothing is left over. */
	ck_assert_int_eq(pma_free(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_UNMAPPED);
	end();
}
END_TEST

START_TEST(test_map_twice_is_fine)
{
	struct pma_mapping *one, *two;

	begin();
	one = map_it(PMA_MAP_WRITE);
	two = map_it(PMA_MAP_READ);
	ck_assert_ptr_ne(pma_map_address(one), pma_map_address(two));
	*(char *)pma_map_address(one) = 'x';
	ck_assert_int_eq(*(char *)pma_map_address(two), 'x');
	pma_unmap(one);
	ck_assert_int_eq(*(char *)pma_map_address(two), 'x');
	pma_unmap(two);
	pma_unmap(NULL);
	end();
}
END_TEST

/* ---- rights ---- */

START_TEST(test_map_for_reading_cannot_be_made_writable)
{
	struct pma_mapping *map;

	begin();
	map = map_it(PMA_MAP_READ);
	ck_assert_int_eq(mprotect(pma_map_address(map), FAKE_PAGE, PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(pma_memcpy(map, pma_map_address(map), "x", 1), -EACCES);
	ck_assert_int_eq(pma_memset(map, pma_map_address(map), 0, 1), -EACCES);
	ck_assert_int_eq(pma_persist(map, pma_map_address(map), 1), 0);
	pma_unmap(map);
	end();
}
END_TEST

START_TEST(test_map_for_writing_needs_an_open_for_writing)
{
	struct pma_mapping *map;
	struct pma_handle other;

	begin();
	ck_assert_int_eq(pma_open(&other, pma, "y", PMA_READ_ONLY), 0);
	ck_assert_int_eq(pma_map(&map, pma, other, PMA_MAP_WRITE), -EACCES);
	ck_assert_int_eq(pma_map(&map, pma, other, PMA_MAP_READ), 0);
	pma_unmap(map);
	/* Opened both ways it is open for writing. */
	ck_assert_int_eq(pma_open(&other, pma, NULL, 0), 0);
	ck_assert_int_eq(pma_open(&other, pma, NULL, PMA_READ_ONLY), 0);
	ck_assert_int_eq(pma_map(&map, pma, other, PMA_MAP_WRITE), 0);
	pma_unmap(map);
	end();
}
END_TEST

START_TEST(test_map_of_what_is_not_open_is_refused)
{
	struct pma_handle stranger = { 0, 9, 9 };
	struct pma_mapping *map;

	begin();
	ck_assert_int_eq(pma_map(&map, pma, stranger, 0), -EBADF);
	ck_assert_int_eq(pma_map(&map, pma, PMA_HANDLE_NONE, 0), -EBADF);
	ck_assert_int_eq(pma_map(&map, pma, handle, 8), -EINVAL);
	ck_assert_int_eq(pma_close(pma, handle), 0);
	ck_assert_int_eq(pma_map(&map, pma, handle, 0), -EBADF);
	end();
}
END_TEST

START_TEST(test_map_of_what_was_freed_meanwhile_is_refused)
{
	struct pma_mapping *map;

	begin();
	fake->ids[handle.slot] = 0;
	ck_assert_int_eq(pma_map(&map, pma, handle, 0), -ENOENT);
	ck_assert_int_eq(pma_close(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_UNMAPPED);
	end();
}
END_TEST

/* ---- what the daemon is told when it ends ---- */

START_TEST(test_map_keeps_from_closing_and_freeing)
{
	struct pma_op ops[3];
	struct pma_mapping *map;

	begin();
	map = map_it(PMA_MAP_READ);
	ck_assert_int_eq(pma_free(pma, handle), -EBUSY);
	ck_assert_ptr_nonnull(strstr(pma_message(), "pma_unmap"));
	ck_assert_int_eq(pma_close(pma, handle), -EBUSY);
	ck_assert_int_eq(pma_abort(pma, handle), -EBUSY);
	for (int i = 0; i < 3; i++)
		ops[i] = (struct pma_op){ .opcode = i == 1 ? PMA_OP_FREE : PMA_OP_STAT,
					  .handle = handle };
	ck_assert_int_eq(pma_run(pma, ops, 3), 0);
	ck_assert_int_eq(ops[1].result, -EBUSY);
	ck_assert_int_eq(ops[2].result, 0);
	pma_unmap(map);
	ck_assert_int_eq(pma_free(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, WIRE_UNMAPPED);
	end();
}
END_TEST

START_TEST(test_map_by_other_means_may_live_on_elsewhere)
{
	struct pma_extent extents[4];
	size_t nr = 4;
	void *memory;
	int fd;

	begin();
	ck_assert_int_eq(pma_extents(extents, &nr, pma, handle, 0), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_uint_eq(extents[0].off, handle.id * FAKE_PAGE);
	fd = pma_device_fd(pma, 0, false);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pma_device_fd(pma, 0, false), fd);
	ck_assert_int_ne(pma_device_fd(pma, 0, true), fd);
	ck_assert_int_eq(pma_device_fd(pma, 7, true), -ENOENT);
	memory = mmap(NULL, extents[0].len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      (off_t)extents[0].off);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(pma_free(pma, handle), 0);
	ck_assert_uint_eq(fake->last_flags, 0);
	munmap(memory, extents[0].len);
	end();
}
END_TEST

START_TEST(test_map_outlives_the_connection)
{
	struct pma_mapping *map;

	begin();
	map = map_it(PMA_MAP_WRITE);
	end();
	ck_assert_int_eq(pma_memset(map, pma_map_address(map), 7, FAKE_PAGE), 0);
	pma_unmap(map);
}
END_TEST

static void die_once(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	do {
		ck_assert(fake_receive(daemon, ask));
		if (ask->opcode != WIRE_STAT)
			fake_answer(daemon, ask);
	} while (ask->opcode != WIRE_STAT);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, daemon->arg != NULL);
	fake_serve(daemon);
	free(ask);
}

/*
 * In the same session or in a new one: what is mapped stays, and what is mapped afterwards is
 * mapped anew.
 */
START_TEST(test_map_outlives_the_daemon)
{
	struct pma_mapping *before, *after;
	struct pma_info stat;

	fake = fake_new(die_once, (void *)(uintptr_t)_i);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), 0);
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	before = map_it(PMA_MAP_WRITE);
	strcpy(pma_map_address(before), "hello");
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert_str_eq(pma_map_address(before), "hello");
	after = map_it(PMA_MAP_READ);
	ck_assert_str_eq(pma_map_address(after), "hello");
	ck_assert(pma_is_valid(pma, handle));
	pma_unmap(before);
	pma_unmap(after);
	ck_assert_int_eq(pma_free(pma, handle), 0);
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_map_in_an_arena_that_was_hidden_at_first);
	tcase_add_test(t, test_map_shows_the_allocation);
	tcase_add_loop_test(t, test_map_joins_extents_in_their_order, 0, 4);
	tcase_add_test(t, test_map_of_a_run_maps_its_unit);
	tcase_add_test(t, test_map_of_impossible_extents_is_refused);
	tcase_add_test(t, test_map_twice_is_fine);
	tcase_add_test(t, test_map_for_reading_cannot_be_made_writable);
	tcase_add_test(t, test_map_for_writing_needs_an_open_for_writing);
	tcase_add_test(t, test_map_of_what_is_not_open_is_refused);
	tcase_add_test(t, test_map_of_what_was_freed_meanwhile_is_refused);
	tcase_add_test(t, test_map_keeps_from_closing_and_freeing);
	tcase_add_test(t, test_map_by_other_means_may_live_on_elsewhere);
	tcase_add_test(t, test_map_outlives_the_connection);
	tcase_add_loop_test(t, test_map_outlives_the_daemon, 0, 2);
}

UNIT("map", { .add = add_tests, .timeout_s = 30 });
