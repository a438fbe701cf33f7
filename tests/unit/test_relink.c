/* SPDX-License-Identifier: BSD-3-Clause */
/* relink: daemons that go away, and what becomes of the calls that were under way. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client_fixture.h"

/* ---- the daemon goes away ---- */

/*
 * How one request fares: what it is, what the next daemon says about the session, and what becomes
 * of it.
 */
static const struct fare {
	uint16_t opcode;
	bool resumed;
	int last_tag;
	bool comes_again;
	int result;
	bool remembers, remembered;
} fares[] = {
	{ WIRE_RESERVE, true, 0, true, 0, false, false },
	{ WIRE_RESERVE, true, 1, false, -ESTALE, false, false },
	{ WIRE_RESERVE, false, 0, false, -ESTALE, false, false },
	{ WIRE_FREE, true, 0, true, 0, false, false },
	{ WIRE_FREE, true, 1, false, -ESTALE, false, false },
	{ WIRE_STAT, true, 0, true, 0, false, false },
	{ WIRE_STAT, true, 1, true, 0, false, false },
	{ WIRE_STAT, false, 0, true, 0, false, false },
	{ WIRE_OPEN, true, 1, true, 0, false, false },
	{ WIRE_OPEN, false, 0, true, 0, false, false },
	{ WIRE_CLOSE, true, 1, true, 0, false, false },
	/*
	 * Daemons that remember what they did; the last of them does not know what the one before
	 * it did.
	 */
	{ WIRE_RESERVE, true, 0, true, 0, true, true },
	{ WIRE_RESERVE, true, 1, true, 0, true, true },
	{ WIRE_FREE, true, 1, true, 0, true, true },
	{ WIRE_CLOSE, true, 1, true, 0, true, true },
	{ WIRE_FREE, false, 0, false, -ESTALE, true, true },
	{ WIRE_FREE, true, 1, false, -ESTALE, true, false },
	{ WIRE_FREE, true, 1, false, -ESTALE, false, true },
};

static void die_with_a_request(struct fake_daemon *daemon)
{
	const struct fare *fare = daemon->arg;
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_hello hello;

	daemon->features = fare->remembered ? WIRE_REPEATS : 0;
	fake_welcome(daemon, &hello, false);
	ck_assert_uint_eq(hello.session, 0);
	ck_assert_uint_eq(hello.features,
			  WIRE_REPEATS | WIRE_CARVES | WIRE_LENDS | WIRE_WINDOWS | WIRE_USAGES |
				  WIRE_REPLACES | WIRE_EVICTS | WIRE_ATTRIBUTES | WIRE_WAITS |
				  WIRE_CONTENTS | WIRE_BUNDLES | WIRE_SURVEYS);
	fake_expect(daemon, ask, fare->opcode);
	ck_assert_uint_eq(ask->repeats, 0);
	fake_hang_up(daemon);
	daemon->features = fare->remembers ? WIRE_REPEATS : 0;
	daemon->last_tag = (uint64_t)fare->last_tag;
	fake_welcome(daemon, &hello, fare->resumed);
	ck_assert_uint_eq(hello.session, FAKE_SESSION);
	ck_assert_str_eq((const char *)hello.secret, "secret");
	if (fare->comes_again) {
		fake_expect(daemon, ask, fare->opcode);
		ck_assert_uint_gt(ask->tag, 1);
		/* What changes nothing twice is simply asked anew. */
		ck_assert_uint_eq(ask->repeats, fare->remembers && fare->last_tag > 0 &&
							fare->opcode != WIRE_CLOSE);
		fake_answer(daemon, ask);
	}
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_request_under_way_follows_the_rule)
{
	const struct fare *fare = &fares[_i];
	struct pma_info stat;

	fake = fake_new(die_with_a_request, (void *)(uintptr_t)fare);
	connect_with(5000, 0);
	ck_assert_int_eq(call(fare->opcode), fare->result);
	if (fare->result < 0)
		ck_assert_ptr_nonnull(strstr(pma_message(), "nobody can tell"));
	/* And life goes on. */
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/*
 * A repeat that is lost once more is still one, whether the daemon in between began it or not; and
 * an answer that came before the end is an answer.
 */
static void die_with_repeats(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	daemon->features = WIRE_REPEATS;
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_FREE);
	fake_hang_up(daemon);
	for (int i = 0; i < 2; i++) {
		daemon->last_tag = 1;
		fake_welcome(daemon, NULL, true);
		fake_expect(daemon, ask, WIRE_FREE);
		ck_assert_uint_gt(ask->tag, 1);
		ck_assert_uint_eq(ask->repeats, 1);
		if (i == 0)
			fake_hang_up(daemon);
	}
	fake_answer(daemon, ask);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_repeat_stays_one)
{
	struct pma_info stat;

	fake = fake_new(die_with_repeats, NULL);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_free(pma, handle_of(5)), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/*
 * A daemon that is killed with something unread: the kernel says so first, but what it had said is
 * still there.
 */
static void die_with_an_answer_said(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	uint64_t id;

	daemon->features = WIRE_REPEATS;
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_FREE);
	id = ask->items[0].id;
	fake_await(daemon);
	fake_answer(daemon, ask);
	fake_hang_up(daemon);
	daemon->last_tag = 2;
	fake_welcome(daemon, NULL, true);
	/* The second one only: the first was answered. */
	fake_expect(daemon, ask, WIRE_FREE);
	ck_assert_uint_eq(ask->items[0].id, 11 - id);
	ck_assert_uint_eq(ask->repeats, 0);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

static void *free_another(void *arg)
{
	ck_assert_int_eq(pma_free(pma, handle_of(6)), 0);
	return NULL;
}

START_TEST(test_relink_answer_before_the_end_counts)
{
	struct pma_info stat;
	pthread_t thread;

	fake = fake_new(die_with_an_answer_said, NULL);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_another, NULL), 0);
	ck_assert_int_eq(pma_free(pma, handle_of(5)), 0);
	pthread_join(thread, NULL);
	end();
}
END_TEST

/*
 * What a program's own token makes known again is asked again in a new session too; what only some
 * of a message have is not.
 */
static void forget_what_was_made(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	daemon->features = WIRE_REPEATS;
	for (int i = 0; i < 2; i++) {
		fake_welcome(daemon, NULL, false);
		fake_expect(daemon, ask, WIRE_RESERVE);
		ck_assert_uint_eq(ask->repeats, 0);
		ck_assert_uint_eq(ask->items[0].arg, 77);
		if (i == 0)
			fake_hang_up(daemon);
	}
	daemon->result_flags = WIRE_WAS_DONE;
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_RESERVE);
	ck_assert_uint_eq(ask->count, 2);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_asks_again_under_a_token)
{
	struct pma_op op = { .opcode = PMA_OP_CREATE, .name = "x", .len = 4096, .token = 77 };
	struct pma_op two[2] = { op, { .opcode = PMA_OP_CREATE, .name = "y", .len = 4096 } };

	fake = fake_new(forget_what_was_made, NULL);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_run(pma, &op, 1), 0);
	ck_assert_int_eq(op.result, 0);
	ck_assert(op.was_done);
	ck_assert_int_eq(pma_run(pma, two, 2), -ESTALE);
	ck_assert_int_eq(two[0].result, -ESTALE);
	end();
}
END_TEST

START_TEST(test_relink_token_of_no_use_is_refused)
{
	static const struct pma_op bad[] = {
		{ .opcode = PMA_OP_CREATE, .len = 4096, .token = 1 },
		{ .opcode = PMA_OP_RESERVE, .len = 4096, .token = 1 },
		{ .opcode = PMA_OP_CREATE, .name = "x", .len = 4096, .token = PMA_MAX_TOKEN + 1 },
		{ .opcode = PMA_OP_FREE, .token = 1 },
		{ .opcode = PMA_OP_OPEN, .name = "x", .token = 1 },
	};

	begin(serve);
	for (int i = 0; i < NR(bad); i++) {
		struct pma_op op = bad[i];

		ck_assert_int_eq(pma_run(pma, &op, 1), 0);
		ck_assert_int_eq(op.result, -EINVAL);
		ck_assert_ptr_nonnull(strstr(pma_message(), "token"));
	}
	end();
}
END_TEST

/*
 * All that is open is opened again in a new session, before anything else; reservations are gone.
 */
static void forget_the_session(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	for (int i = 0; i < 5; i++) {
		ck_assert(fake_receive(daemon, ask));
		fake_answer(daemon, ask);
	}
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->count, 2);
	ck_assert_uint_eq(ask->items[0].id, 1);
	ck_assert_uint_eq(ask->items[0].flags, 0);
	ck_assert_uint_eq(ask->items[1].id, 3);
	ck_assert_uint_eq(ask->items[1].flags, WIRE_READ_ONLY);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_opens_what_was_open)
{
	struct pma_handle created, reserved, opened, closed;
	struct pma_extent extents[1];
	struct pma_info stat;
	size_t nr = 1;

	begin(forget_the_session);
	ck_assert_int_eq(pma_create(&created, pma, "a", 4096, 0), 0);
	ck_assert_int_eq(pma_reserve(&reserved, pma, "b", 4096, 0), 0);
	ck_assert_int_eq(pma_open(&opened, pma, "c", PMA_READ_ONLY), 0);
	ck_assert_int_eq(pma_open(&closed, pma, "d", 0), 0);
	ck_assert_int_eq(pma_close(pma, closed), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, created), 0);
	ck_assert_int_eq(pma_extents(extents, &nr, pma, reserved, 0), -EBADF);
	ck_assert_int_eq(pma_extents(extents, &nr, pma, closed, 0), -EBADF);
	ck_assert_int_eq(pma_extents(extents, &nr, pma, opened, 0), 0);
	end();
}
END_TEST

/* A reservation that was published is not one any more. */
static void forget_after_publish(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	for (int i = 0; i < 2; i++) {
		ck_assert(fake_receive(daemon, ask));
		fake_answer(daemon, ask);
	}
	fake_hang_up(daemon);
	/* And one that dies before it answered is asked again, once. */
	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->count, 1);
	fake_hang_up(daemon);
	fake_welcome(daemon, NULL, true);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->items[0].id, 1);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_answer(daemon, ask);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_relink_new_session_opens_what_was_published)
{
	struct pma_handle handle;
	struct pma_info stat;

	begin(forget_after_publish);
	ck_assert_int_eq(pma_reserve(&handle, pma, "a", 4096, 0), 0);
	ck_assert_int_eq(pma_publish(pma, handle), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle), 0);
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_relink_request_under_way_follows_the_rule, 0, NR(fares));
	tcase_add_test(t, test_relink_repeat_stays_one);
	tcase_add_test(t, test_relink_answer_before_the_end_counts);
	tcase_add_test(t, test_relink_new_session_asks_again_under_a_token);
	tcase_add_test(t, test_relink_token_of_no_use_is_refused);
	tcase_add_test(t, test_relink_new_session_opens_what_was_open);
	tcase_add_test(t, test_relink_new_session_opens_what_was_published);
}

UNIT("relink", { .add = add_tests, .timeout_s = 30 });
