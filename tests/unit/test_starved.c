/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * starved: the library with no memory to be had, at each place where it asks for some. Every call
 * fails cleanly or works, and what failed works when it is asked again. Linked with --wrap: what
 * fails is this thread's, the stand-in daemon's has enough.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <pmemarena.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/conn.h"
#include "tests/standin/fake_daemon.h"
#include "tests/unit/unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

/* The allocation that fails, counted down; 0: none. */
static _Thread_local int countdown;
static _Thread_local bool has_failed;
static _Thread_local bool is_inside;    /* of the library: Check asks for memory too */

static bool fails(void)
{
	if (!is_inside || countdown == 0 || --countdown > 0)
		return false;
	has_failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(align, size);
}

/*
 * A client that never gets as far as its HELLO is fine. Dies of the first resize, and forgets the
 * session. Goes on until it is told to stop and called once more.
 */
static void serve_with_a_death(struct fake_daemon *fake)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	atomic_bool *stop = fake->arg;
	bool has_died = false;

	while (!atomic_load(stop)) {
		fake_accept(fake);
		if (fake_receive(fake, ask)) {
			fake_send_welcome(fake, false);
			while (fake_receive(fake, ask) && (has_died || ask->opcode != WIRE_RESIZE))
				fake_answer(fake, ask);
			has_died = has_died || ask->opcode == WIRE_RESIZE;
		}
		fake_hang_up(fake);
	}
	free(ask);
}

static void note(const struct pma_event *event, void *arg)
{
}

#define INSIDE(call)                    \
	({                              \
		int inside_;            \
		is_inside = true;       \
		inside_ = (call);       \
		is_inside = false;      \
		inside_;                \
	})

/* Once more after -ENOMEM: the allocation that failed was the only one. */
#define TRY(call)                                                                               \
	({                                                                                      \
		int ret_ = INSIDE(call);                                                        \
		ck_assert_msg(ret_ == 0 || (ret_ == -ENOMEM && has_failed), "%s: %d %s", #call, \
			      ret_, pma_message());                                             \
		if (ret_ < 0) {                                                                 \
			ck_assert_str_ne(pma_message(), "");                                    \
			ret_ = (call);                                                          \
		}                                                                               \
		ret_;                                                                           \
	})

static void work(struct pma *pma)
{
	struct pma_op ops[3];
	struct pma_handle handle, other;
	struct pma_extent extents[2];
	struct pma_mapping *map;
	size_t nr = 2;

	ck_assert_int_eq(TRY(pma_create(&handle, pma, "x", 4096, 0)), 0);
	ck_assert_int_eq(TRY(pma_subscribe(pma, 0, "", note, NULL)), 0);
	ck_assert_int_eq(TRY(pma_open(&other, pma, "y", 0)), 0);
	ck_assert_int_eq(TRY(pma_map(&map, pma, handle, PMA_MAP_WRITE)), 0);
	ck_assert_int_eq(pma_memset(map, pma_map_address(map), 1, 4096), 0);
	ck_assert_int_eq(TRY(pma_extents(extents, &nr, pma, other, 0)), 0);
	/* Here the daemon dies; what was open is opened again. */
	ck_assert_int_eq(INSIDE(pma_resize(pma, handle, 8192)), -ESTALE);
	for (int i = 0; i < 3; i++)
		ops[i] = (struct pma_op){ .opcode = i == 1 ? PMA_OP_STAT : PMA_OP_OPEN,
					  .handle = handle };
	ck_assert_int_eq(TRY(pma_run(pma, ops, 3)), 0);
	pma_unmap(map);
	ck_assert_int_eq(TRY(pma_map(&map, pma, handle, PMA_MAP_READ)), 0);
	ck_assert(pma_is_valid(pma, handle));
	pma_unmap(map);
	ck_assert_int_eq(TRY(pma_free(pma, handle)), 0);
}

/* true: some allocation failed, there may be more of them. */
static bool starve(int nth)
{
	atomic_bool stop = false;
	struct fake_daemon *fake = fake_new(serve_with_a_death, &stop);
	struct pma *pma = NULL;
	int r;

	setenv("PMEMARENA_SOCKET", fake->path, 1);
	has_failed = false;
	countdown = nth;
	r = INSIDE(pma_connect(&pma, NULL));
	ck_assert(r == 0 || (r == -ENOMEM && has_failed && !pma));
	if (r == 0)
		work(pma);
	pma_disconnect(pma);
	countdown = 0;
	atomic_store(&stop, true);
	close(conn_connect(fake->path, SOCK_SEQPACKET));
	fake_free(fake);
	return has_failed;
}

START_TEST(test_starved_calls_fail_cleanly_wherever_it_happens)
{
	int nth = 1;

	while (starve(nth))
		nth++;
	/* The sweep saw the places that there are. */
	ck_assert_int_gt(nth, 12);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_starved_calls_fail_cleanly_wherever_it_happens);
}

UNIT("starved", { .add = add_tests, .timeout_s = 60 });
