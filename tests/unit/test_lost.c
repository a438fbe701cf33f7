/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lost: what the library knows of an allocation when a connection, a session or an answer was lost
 * just then. Each promise must last as long as what it is about: a mapping, a lease's mapping, a
 * session's mark on a descriptor.
 *
 * Links with --wrap=pthread_mutex_lock.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <pmemarena.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/memory/lease.h"
#include "lib/session/batch.h"
#include "lib/session/client.h"
#include "lib/session/op.h"
#include "tests/standin/fake_daemon.h"
#include "tests/unit/unit.h"

#define UNIT_SHIFT 12

/* ---- another thread's work between two steps of a call ---- */

static struct pma *pma;
static pthread_t tester;
static bool is_armed;           /* before its next lock of the client it does something else */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	struct pma_info stat;

	/* With no call under way: the reply is there, and not looked at yet. */
	if (pma && mutex == &pma->link.lock && pthread_equal(pthread_self(), tester) &&
	    !pma->link.is_led && TAILQ_EMPTY(&pma->link.calls) &&
	    __atomic_exchange_n(&is_armed, false, __ATOMIC_ACQ_REL))
		pma_stat(&stat, pma, (struct pma_handle){ .id = 1, .slot = 1 });
	return __real_pthread_mutex_lock(mutex);
}

/* ---- a connection ---- */

static struct fake_daemon *fake;

/* What the script is to do when it meets this opcode, and what it has seen. */
struct plan {
	uint16_t at;                    /* the opcode at which the connection is lost */
	bool answers;                   /* it is answered before that */
	int nr_losses;                  /* so many times more when it is asked again */
	bool is_resumed;                /* by the same session; else a new one begins */
	uint64_t next_session;
	int refusal;                    /* of what is opened again; 0: it is opened */
	bool arms;                      /* is_armed, when it is lost */
	unsigned nr_attached, nr_words; /* since then: ATTACH, and CLOSE of what is closed */
	/* of the last FREE, of the last of those CLOSEs, of the last OPEN */
	uint32_t flags, word, opened;
};

static void serve_to_the_end(struct fake_daemon *daemon, struct plan *plan, struct fake_ask *ask)
{
	while (fake_receive(daemon, ask)) {
		plan->nr_attached += ask->opcode == WIRE_ATTACH;
		if (ask->opcode == WIRE_CLOSE && (ask->items[0].flags & WIRE_IF_CLOSED)) {
			plan->nr_words++;
			plan->word = ask->items[0].flags;
		}
		if (ask->opcode == WIRE_FREE)
			plan->flags = ask->items[0].flags;
		if (ask->opcode == WIRE_OPEN)
			plan->opened = ask->items[0].flags;
		if (plan->refusal && (ask->opcode == WIRE_OPEN || ask->opcode == WIRE_EXTENTS))
			fake_refuse(daemon, ask, plan->refusal, "not here");
		else
			fake_answer(daemon, ask);
	}
}

static void follow(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct plan *plan = daemon->arg;
	bool is_there;

	fake_welcome(daemon, NULL, false);
	while ((is_there = fake_receive(daemon, ask)) && ask->opcode != plan->at)
		fake_answer(daemon, ask);
	__atomic_store_n(&is_armed, plan->arms, __ATOMIC_RELEASE);
	if (is_there && plan->answers)
		fake_answer(daemon, ask);
	daemon->session = plan->next_session ? plan->next_session : daemon->session;
	for (int lost = 0; is_there && lost < plan->nr_losses; lost++) {
		fake_hang_up(daemon);
		fake_welcome(daemon, NULL, plan->is_resumed);
		fake_expect(daemon, ask, plan->at);
	}
	if (is_there) {
		fake_hang_up(daemon);
		fake_welcome(daemon, NULL, plan->is_resumed);
		serve_to_the_end(daemon, plan, ask);
	}
	free(ask);
}

static void begin(struct plan *plan)
{
	tester = pthread_self();
	fake = fake_new(follow, plan);
	fake->features = WIRE_LENDS | WIRE_CARVES;
	fake->arenas[0].granularity = PMA_CACHE_LINE;
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_msg(pma_connect(&pma, NULL) == 0, "%s", pma_message());
}

static void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static struct pma_handle create(void)
{
	struct pma_handle handle;

	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
	return handle;
}

/* ---- mapping ---- */

START_TEST(test_lost_session_while_it_is_mapped_leaves_no_mapping_of_what_is_not_open)
{
	struct plan plan = { .at = WIRE_ATTACH, .refusal = -EACCES };
	struct pma_mapping *map;

	begin(&plan);
	ck_assert_int_eq(pma_map(&map, pma, create(), PMA_MAP_WRITE), -EBADF);
	end();
}
END_TEST

/* Also of what the new session could not open: later it may, and is not told that it is mapped. */
START_TEST(test_lost_session_leaves_its_mapping_counted_until_it_goes)
{
	struct plan plan = { .at = WIRE_STAT, .refusal = -EACCES };
	struct pma_handle handle;
	struct pma_mapping *map;
	struct pma_info stat;

	begin(&plan);
	handle = create();
	ck_assert_int_eq(pma_map(&map, pma, handle, PMA_MAP_WRITE), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert_int_eq(pma_close(pma, handle), -EBUSY);
	pma_unmap(map);
	plan.refusal = 0;
	ck_assert_int_eq(pma_open(&handle, pma, NULL, 0), 0);
	ck_assert_int_eq(pma_free(pma, handle), 0);
	ck_assert_uint_eq(plan.flags, WIRE_UNMAPPED);
	end();
}
END_TEST

/* The daemon sees who has what mapped by a mark, which is of one session. */
START_TEST(test_lost_session_takes_its_descriptors_with_it)
{
	struct plan plan = {
		.at = WIRE_ATTACH, .answers = true, .next_session = FAKE_SESSION + 1, .arms = true
	};
	struct pma_mapping *map;

	begin(&plan);
	ck_assert_msg(pma_map(&map, pma, create(), PMA_MAP_WRITE) == 0, "%s", pma_message());
	ck_assert_uint_eq(plan.nr_attached, 1);
	pma_unmap(map);
	end();
}
END_TEST

/* Who was told where it lies may map it through the new session's descriptors. */
START_TEST(test_lost_session_leaves_what_was_lent_lent_in_the_next)
{
	struct plan plan = { .at = WIRE_STAT };
	struct pma_handle handle;
	struct pma_extent extent;
	struct pma_info stat;
	size_t nr = 1;

	begin(&plan);
	handle = create();
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, handle, 0), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	ck_assert_uint_eq(plan.opened, WIRE_LENT);
	end();
}
END_TEST

START_TEST(test_lost_answer_of_a_close_leaves_it_closed)
{
	struct plan plan = { .at = WIRE_CLOSE, .is_resumed = true, .nr_losses = 2 };
	struct pma_handle handle;
	struct pma_mapping *map;

	begin(&plan);
	handle = create();
	ck_assert_int_lt(pma_close(pma, handle), 0);
	ck_assert_int_eq(pma_map(&map, pma, handle, PMA_MAP_WRITE), -EBADF);
	end();
}
END_TEST

/* ---- leases ---- */

static struct lease *take_lease(void)
{
	struct lease *lease;

	ck_assert_msg(lease_new(&lease, pma, 0, FAKE_PAGE, UNIT_SHIFT, true) == 0, "%s",
		      pma_message());
	return lease;
}

static int carve(struct pma_handle *part, struct lease *lease)
{
	struct pma_op op = { .opcode = OP_CARVE,
			     .handle = lease->handle,
			     .len = FAKE_PAGE / 2,
			     .name = "part",
			     .token = lease->off };
	uint32_t first;
	int r;

	ck_assert_int_eq(lease_make_room(lease, 1), 0);
	ck_assert(lease_claim(&first, lease, FAKE_PAGE / 2 >> UNIT_SHIFT));
	lease_set_piece(lease, first, FAKE_PAGE / 2 >> UNIT_SHIFT, PIECE_BUSY);
	r = op_run(pma, &op);
	if (r < 0)
		return r;
	lease_published(lease, first, op.handle);
	*part = op.handle;
	return 0;
}

START_TEST(test_lost_session_of_a_lease_that_is_being_taken_is_stale)
{
	struct plan plan = { .at = WIRE_RESERVE, .answers = true, .refusal = -EBADF };
	struct lease *lease;

	begin(&plan);
	ck_assert_int_eq(lease_new(&lease, pma, 0, FAKE_PAGE, UNIT_SHIFT, true), -ESTALE);
	lease_end(lease);
	end();
}
END_TEST

/* Perhaps the part is an allocation, and the lease shows it: what is opened may be that. */
START_TEST(test_lost_answer_of_a_carve_makes_all_that_is_opened_lent)
{
	struct plan plan = { .at = WIRE_CARVE, .is_resumed = true, .nr_losses = 2 };
	struct pma_handle part = { .arena = 0 };
	struct lease *lease;

	begin(&plan);
	lease = take_lease();
	ck_assert_int_lt(carve(&part, lease), 0);
	ck_assert_int_eq(pma_open(&part, pma, "part", 0), 0);
	ck_assert_int_eq(pma_free(pma, part), 0);
	ck_assert_uint_eq(plan.flags, WIRE_LENT);
	lease_end(lease);
	end();
}
END_TEST

START_TEST(test_lost_lease_leaves_its_parts_as_lent_as_it_was)
{
	/* nothing is lost but the lease */
	struct plan plan = { .at = WIRE_STAT, .answers = true, .is_resumed = true };
	struct pma_handle part;
	struct pma_extent extent;
	struct pma_info stat;
	struct lease *lease;
	size_t nr = 1;

	begin(&plan);
	lease = take_lease();
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, lease->handle, 0), 0);
	ck_assert_int_eq(carve(&part, lease), 0);
	lease_end(lease);
	ck_assert_int_eq(pma_stat(&stat, pma, part), 0);
	ck_assert_int_eq(pma_free(pma, part), 0);
	ck_assert_uint_eq(plan.flags, WIRE_LENT);
	end();
}
END_TEST

/* Closed while its lease showed it, and opened again: it is no word of the lease's any more. */
START_TEST(test_lost_lease_says_nothing_of_a_part_that_is_open_again)
{
	struct plan plan = { .at = WIRE_STAT, .answers = true, .is_resumed = true };
	struct pma_handle part;
	struct pma_info stat;
	struct lease *lease;

	for (int opens = 0; opens < 2; opens++) {
		plan.nr_words = 0;
		begin(&plan);
		lease = take_lease();
		ck_assert_int_eq(carve(&part, lease), 0);
		ck_assert_int_eq(pma_stat(&stat, pma, part), 0);
		ck_assert_int_eq(pma_close(pma, part), 0);
		if (opens)
			ck_assert_int_eq(pma_open(&part, pma, NULL, 0), 0);
		lease_end(lease);
		ck_assert_uint_eq(plan.nr_words, !opens);
		end();
	}
}
END_TEST

/* Freed while its lease shows it: what is said when that goes is still that others may have it. */
START_TEST(test_lost_lease_says_of_a_part_that_was_freed_that_it_was_lent)
{
	struct plan plan = { .at = WIRE_STAT, .answers = true, .is_resumed = true };
	struct pma_handle part;
	struct pma_extent extent;
	struct pma_info stat;
	struct lease *lease;
	size_t nr = 1;

	begin(&plan);
	lease = take_lease();
	ck_assert_int_eq(carve(&part, lease), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, part), 0);
	ck_assert_int_eq(pma_extents(&extent, &nr, pma, part, 0), 0);
	ck_assert_int_eq(pma_free(pma, part), 0);
	lease_end(lease);
	ck_assert_uint_eq(plan.nr_words, 1);
	ck_assert_uint_eq(plan.word, WIRE_LENT | WIRE_IF_CLOSED);
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(
		t, test_lost_session_while_it_is_mapped_leaves_no_mapping_of_what_is_not_open);
	tcase_add_test(t, test_lost_session_leaves_its_mapping_counted_until_it_goes);
	tcase_add_test(t, test_lost_session_takes_its_descriptors_with_it);
	tcase_add_test(t, test_lost_session_leaves_what_was_lent_lent_in_the_next);
	tcase_add_test(t, test_lost_answer_of_a_close_leaves_it_closed);
	tcase_add_test(t, test_lost_session_of_a_lease_that_is_being_taken_is_stale);
	tcase_add_test(t, test_lost_answer_of_a_carve_makes_all_that_is_opened_lent);
	tcase_add_test(t, test_lost_lease_leaves_its_parts_as_lent_as_it_was);
	tcase_add_test(t, test_lost_lease_says_of_a_part_that_was_freed_that_it_was_lent);
	tcase_add_test(t, test_lost_lease_says_nothing_of_a_part_that_is_open_again);
}

UNIT("lost", { .add = add_tests, .timeout_s = 30 });
