/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: calls over one connection, from one thread or many.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/client_fixture.h"

/* ---- connecting ---- */

static void serve_a_hidden_arena(struct fake_daemon *daemon)
{
	daemon->arenas[0] = (struct wire_arena){ .index = 0, .state = 2 };
	serve(daemon);
}

/* Its place is counted, so that the others have the numbers that they have for everybody. */
START_TEST(test_client_arena_that_is_hidden_is_an_empty_place)
{
	struct pma_arena arena;
	uint32_t index = 7;
	char hidden[128];

	begin(serve_a_hidden_arena);
	ck_assert_uint_eq(pma_arena_count(pma), 2);
	ck_assert_int_eq(pma_arena_get(&arena, pma, 0), -ENOENT);
	snprintf(hidden, sizeof(hidden), "%s", pma_message());
	ck_assert_int_eq(pma_arena_get(&arena, pma, 9), -ENOENT);
	*strchr(hidden, '0') = '9';
	ck_assert_str_eq(hidden, pma_message());
	ck_assert_int_eq(pma_arena_find(&index, pma, ""), -ENOENT);
	ck_assert_int_eq(pma_arena_find(&index, pma, "00000000-0000-0000-0000-000000000000"),
			 -ENOENT);
	ck_assert_uint_eq(index, 7);
	ck_assert_int_eq(pma_arena_find(&index, pma, "arena1"), 0);
	ck_assert_uint_eq(index, 1);
	end();
}
END_TEST

static void take_an_arena_away(struct fake_daemon *daemon)
{
	struct fake_ask ask;

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, &ask, WIRE_STAT);
	fake_hang_up(daemon);
	daemon->arenas[1] = (struct wire_arena){ .index = 1, .state = 2 };
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
}

/* It is another right, not another arena: the connection goes on. */
START_TEST(test_client_arena_that_is_taken_away_is_gone_after_a_reconnection)
{
	struct pma_arena arena;
	struct pma_info stat;

	begin(take_an_arena_away);
	ck_assert_int_eq(pma_arena_get(&arena, pma, 1), 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), 0);
	ck_assert_int_eq(pma_arena_get(&arena, pma, 1), -ENOENT);
	ck_assert_int_eq(pma_arena_get(&arena, pma, 0), 0);
	end();
}
END_TEST

static bool has_no_memory;

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);

int __wrap_madvise(void *at, size_t len, int advice)
{
	if (!has_no_memory)
		return __real_madvise(at, len, advice);
	errno = ENOMEM;
	return -1;
}

/*
 * What is made once a process was not made: that is over when there is memory again. The first
 * test: nothing is made yet.
 */
START_TEST(test_client_shortage_at_the_first_connect_is_not_for_ever)
{
	has_no_memory = true;
	ck_assert_int_eq(pma_connect(&pma, NULL), -ENOMEM);
	has_no_memory = false;
	begin(serve);
	end();
}
END_TEST

START_TEST(test_client_connect_learns_the_arenas)
{
	struct pma_arena arena;
	uint32_t index;

	begin(serve);
	ck_assert_uint_eq(pma_arena_count(pma), 2);
	ck_assert_int_eq(pma_arena_get(&arena, pma, 1), 0);
	ck_assert_str_eq(arena.name, "arena1");
	ck_assert_str_eq(arena.device, "/dev/dax1.0");
	ck_assert_uint_eq(arena.page_size, FAKE_PAGE);
	ck_assert_int_eq(arena.granularity, PMA_CACHE_LINE);
	ck_assert_int_eq(pma_arena_get(&arena, pma, 2), -ENOENT);
	ck_assert_int_eq(pma_arena_find(&index, pma, "arena1"), 0);
	ck_assert_uint_eq(index, 1);
	ck_assert_int_eq(pma_arena_find(&index, pma, "01010101-0101-0101-0101-010101010101"), 0);
	ck_assert_uint_eq(index, 0);
	ck_assert_int_eq(pma_arena_find(&index, pma, "nosuch"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(pma_message(), "nosuch"));
	end();
}
END_TEST

START_TEST(test_client_without_a_daemon_says_so)
{
	struct pma_options *options;

	ck_assert_int_eq(pma_options_new(&options), 0);
	ck_assert_int_eq(pma_options_set_socket(options, "/nonexistent/sock"), 0);
	ck_assert_int_eq(pma_connect(&pma, options), -ENOENT);
	ck_assert_ptr_nonnull(strstr(pma_message(), "/nonexistent/sock"));
	ck_assert_ptr_nonnull(strstr(pma_message(), "running"));
	pma_options_free(options);
	pma_disconnect(NULL);
}
END_TEST

START_TEST(test_client_socket_comes_from_the_environment)
{
	fake = fake_new(serve, NULL);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), 0);
	end();
}
END_TEST

static int refusals[] = { -EDQUOT, -EPROTONOSUPPORT, -EBUSY };

static void refuse_to_welcome(struct fake_daemon *daemon)
{
	struct wire_welcome welcome = { .result = *(int *)daemon->arg, .version = WIRE_VERSION };
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_writer writer;

	fake_accept(daemon);
	fake_expect(daemon, ask, WIRE_HELLO);
	wire_begin(&writer, daemon->buf, WIRE_WELCOME, 0);
	wire_add_raw(&writer, &welcome, sizeof(welcome));
	fake_send(daemon, wire_end(&writer));
	free(ask);
}

START_TEST(test_client_refused_welcome_is_the_error_of_connect)
{
	fake = fake_new(refuse_to_welcome, &refusals[_i]);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), refusals[_i]);
	ck_assert_str_ne(pma_message(), "");
	fake_free(fake);
}
END_TEST

/* ---- what is asked ---- */

static void expect_create(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_RESERVE);
	ck_assert_uint_eq(ask->tag, 1);
	ck_assert_uint_eq(ask->count, 1);
	ck_assert_str_eq(ask->names[0], "greeting");
	ck_assert_uint_eq(ask->items[0].len, 8192);
	ck_assert_uint_eq(ask->items[0].flags, WIRE_AND_PUBLISH | WIRE_KEEP_OPEN | WIRE_CONTIGUOUS);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_SETATTR);
	ck_assert_uint_eq(ask->tag, 2);
	ck_assert_uint_eq(ask->items[0].flags, WIRE_SET_GID);
	ck_assert_uint_eq(ask->items[0].gid, 100);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_OPEN);
	ck_assert_uint_eq(ask->items[0].flags, WIRE_READ_ONLY | WIRE_WANT_UID);
	ck_assert_uint_eq(ask->items[0].uid, 1000);
	fake_refuse(daemon, ask, -EPERM, "it belongs to somebody else");
	free(ask);
}

START_TEST(test_client_requests_say_what_was_asked)
{
	struct pma_handle handle;

	begin(expect_create);
	ck_assert_int_eq(pma_create(&handle, pma, "greeting", 8192, PMA_CONTIGUOUS), 0);
	ck_assert_uint_eq(handle.id, 1);
	ck_assert_int_eq(pma_set_owner(pma, handle, UINT32_MAX, 100), 0);
	ck_assert_int_eq(pma_open_owned(&handle, pma, "other", PMA_READ_ONLY, 1000), -EPERM);
	ck_assert_str_eq(pma_message(), "it belongs to somebody else");
	ck_assert_uint_eq(handle.id, 1);
	end();
}
END_TEST

static void serve_contents(struct fake_daemon *daemon)
{
	daemon->features = WIRE_CONTENTS;
	serve(daemon);
}

/* A daemon that does not know the flag zeroes: that will do. */
START_TEST(test_client_any_contents_are_asked_for_where_they_are_known)
{
	struct pma_op ops[2] = { { .opcode = PMA_OP_RESERVE, .len = 4096 },
				 { .opcode = PMA_OP_RESERVE,
				   .len = 4096,
				   .flags = PMA_ANY_CONTENTS } };
	struct pma_handle handle;

	begin(_i ? serve_contents : serve);
	ck_assert_int_eq(pma_reserve(&handle, pma, "x", 4096, PMA_ANY_CONTENTS), 0);
	ck_assert_uint_eq(fake->last_flags, _i ? WIRE_ANY_CONTENTS : 0);
	ck_assert_int_eq(pma_run(pma, ops, 2), 0);
	ck_assert_int_eq(ops[1].result, 0);
	ck_assert_uint_eq(fake->last_flags, _i ? WIRE_ANY_CONTENTS : 0);
	ck_assert_int_eq(pma_publish_flags(pma, handle, PMA_ANY_CONTENTS), -EINVAL);
	end();
}
END_TEST

START_TEST(test_client_senseless_arguments_are_refused_here)
{
	char endless[PMA_MAX_NAME + 2];
	struct pma_handle handle;
	struct pma_info stats[1];
	uint64_t cursor = 0;
	size_t nr = 0;

	memset(endless, 'x', sizeof(endless));
	endless[sizeof(endless) - 1] = '\0';
	begin(serve);
	ck_assert_int_eq(pma_create(&handle, pma, endless, 4096, 0), -EINVAL);
	ck_assert_ptr_nonnull(strstr(pma_message(), "256 bytes"));
	ck_assert_int_eq(pma_create(&handle, pma, "", 4096, 0), -EINVAL);
	ck_assert_int_eq(pma_create(&handle, pma, "x", 4096, PMA_READ_ONLY), -EINVAL);
	ck_assert_int_eq(pma_open(&handle, pma, "x", PMA_CONTIGUOUS), -EINVAL);
	ck_assert_int_eq(pma_set_mode(pma, handle_of(1), 0777), -EINVAL);
	ck_assert_int_eq(pma_list(stats, &nr, &cursor, pma, 0, NULL), -EINVAL);
	ck_assert_int_eq(pma_subscribe(pma, 9, NULL, NULL, NULL), -ENOENT);
	ck_assert_int_eq(pma_stat(stats, NULL, handle_of(1)), -EINVAL);
	end();
}
END_TEST

START_TEST(test_client_stat_tells_everything)
{
	struct pma_info stat;

	begin(serve);
	ck_assert_int_eq(pma_stat_name(&stat, pma, 1, "some name"), 0);
	ck_assert_str_eq(stat.name, "some name");
	ck_assert_uint_eq(stat.handle.arena, 1);
	ck_assert_uint_eq(stat.handle.id, 1);
	ck_assert_uint_eq(stat.len, FAKE_PAGE);
	ck_assert_uint_eq(stat.mode, 0600);
	ck_assert(!stat.is_reserved && !stat.is_poisoned);
	end();
}
END_TEST

/* ---- many at once ---- */

static void count_messages(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	int *nr = daemon->arg;

	fake_welcome(daemon, NULL, false);
	while (fake_receive(daemon, ask)) {
		++*nr;
		fake_answer(daemon, ask);
	}
	free(ask);
}

START_TEST(test_client_run_groups_neighbours)
{
	struct pma_op ops[600] = { 0 };
	int nr_messages = 0;

	for (int i = 0; i < 600; i++)
		ops[i] = (struct pma_op){ .opcode = PMA_OP_OPEN,
					  .handle = handle_of((uint64_t)i + 1) };
	ops[300].opcode = PMA_OP_CLOSE;
	fake = fake_new(count_messages, &nr_messages);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_run(pma, ops, 600), 0);
	pma_disconnect(pma);
	fake_free(fake);
	for (int i = 0; i < 600; i++) {
		ck_assert_int_eq(ops[i].result, 0);
		ck_assert_uint_eq(ops[i].handle.id, (unsigned)i + 1);
	}
	/* 256 + 44, the other one, 256 + 43. */
	ck_assert_int_eq(nr_messages, 5);
}
END_TEST

START_TEST(test_client_run_of_long_names_fits_into_messages)
{
	static char names[500][PMA_MAX_NAME + 1];
	static struct pma_info stats[500];
	struct pma_op ops[500] = { 0 };

	for (int i = 0; i < 500; i++) {
		memset(names[i], 'a' + i % 26, PMA_MAX_NAME);
		ops[i] = (struct pma_op){ .opcode = PMA_OP_STAT,
					  .name = names[i],
					  .stat = &stats[i] };
	}
	begin(serve);
	ck_assert_int_eq(pma_run(pma, ops, 500), 0);
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(ops[i].result, 0);
		ck_assert_str_eq(stats[i].name, names[i]);
	}
	end();
}
END_TEST

START_TEST(test_client_run_goes_on_after_senseless_ones)
{
	struct pma_op ops[] = {
		{ .opcode = PMA_OP_OPEN, .name = "a" }, { .opcode = PMA_OP_OPEN, .name = "" },
		{ .opcode = (enum pma_opcode)99 },	{ .opcode = PMA_OP_OPEN, .name = "b" },
		{ .opcode = PMA_OP_FREE, .name = "a" },
	};

	begin(serve);
	ck_assert_int_eq(pma_run(pma, ops, 5), 0);
	ck_assert_int_eq(ops[0].result, 0);
	ck_assert_int_eq(ops[1].result, -EINVAL);
	ck_assert_int_eq(ops[2].result, -EINVAL);
	ck_assert_int_eq(ops[3].result, 0);
	/* The daemon here is an older one: it frees by handles only. */
	ck_assert_int_eq(ops[4].result, -EOPNOTSUPP);
	ck_assert_int_eq(pma_run(pma, ops, 0), 0);
	end();
}
END_TEST

/* Reserves may be overtaken: what may depend on one is not sent before it is answered. */
static void expect_no_overtaking(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct pollfd poller = { .events = POLLIN };

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_RESERVE);
	poller.fd = daemon->sock;
	ck_assert_int_eq(poll(&poller, 1, 20), 0);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_OPEN);
	/* And what depends on nothing is not held up. */
	ck_assert_int_eq(poll(&poller, 1, 10000), 1);
	fake_answer(daemon, ask);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_answer(daemon, ask);
	free(ask);
}

START_TEST(test_client_run_waits_where_order_matters)
{
	struct pma_op ops[] = {
		{ .opcode = PMA_OP_CREATE, .name = "a", .len = 1 },
		{ .opcode = PMA_OP_OPEN, .name = "a" },
		{ .opcode = PMA_OP_STAT, .name = "a" },
	};

	begin(expect_no_overtaking);
	ck_assert_int_eq(pma_run(pma, ops, 3), 0);
	end();
}
END_TEST

/* Reads nothing while its own replies do not fit, as the daemon does. */
START_TEST(test_client_run_of_very_many_never_deadlocks)
{
	const size_t nr = 20000;
	struct pma_op *ops = calloc(nr, sizeof(*ops));

	for (size_t i = 0; i < nr; i++)
		ops[i] = (struct pma_op){ .opcode = i % 2 ? PMA_OP_STAT : PMA_OP_OPEN,
					  .handle = handle_of(i + 1) };
	begin(serve);
	ck_assert_int_eq(pma_run(pma, ops, nr), 0);
	for (size_t i = 0; i < nr; i++)
		ck_assert_int_eq(ops[i].result, 0);
	end();
	free(ops);
}
END_TEST

/* ---- many threads ---- */

#define NR_THREADS 8

static void answer_backwards(struct fake_daemon *daemon)
{
	struct fake_ask *asks = calloc(NR_THREADS, sizeof(*asks));

	fake_welcome(daemon, NULL, false);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < NR_THREADS; i++)
			fake_expect(daemon, &asks[i], WIRE_STAT);
		for (int i = NR_THREADS - 1; i >= 0; i--)
			fake_answer(daemon, &asks[i]);
	}
	free(asks);
}

static void *stat_often(void *arg)
{
	uint64_t id = (uintptr_t)arg;
	struct pma_info stat;

	for (int round = 0; round < 50; round++) {
		ck_assert_int_eq(pma_stat(&stat, pma, handle_of(id)), 0);
		ck_assert_uint_eq(stat.handle.id, id);
	}
	return NULL;
}

static void run_threads(void *(*body)(void *), int nr)
{
	pthread_t threads[NR_THREADS];

	for (int i = 0; i < nr; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)(i + 1)), 0);
	for (int i = 0; i < nr; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(test_client_replies_out_of_order_find_their_threads)
{
	fake = fake_new(answer_backwards, NULL);
	connect_with(5000, _i ? 50 : 0);
	run_threads(stat_often, NR_THREADS);
	end();
}
END_TEST

/* ---- fork ---- */

START_TEST(test_client_child_is_told_and_the_parent_goes_on)
{
	struct pma_info stat;
	int status;
	pid_t child;

	begin(serve);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), 0);
	child = fork();
	if (child == 0) {
		int r = pma_stat(&stat, pma, handle_of(1));

		if (r != -EPERM || !strstr(pma_message(), "fork") || pma_get_fd(pma) != -EPERM ||
		    pma_dispatch(pma) != -EPERM)
			_exit(1);
		pma_disconnect(pma);
		_exit(pma_connect(&pma, NULL) < 0 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), 0);
	end();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_client_shortage_at_the_first_connect_is_not_for_ever);
	tcase_add_test(t, test_client_connect_learns_the_arenas);
	tcase_add_test(t, test_client_arena_that_is_hidden_is_an_empty_place);
	tcase_add_test(t, test_client_arena_that_is_taken_away_is_gone_after_a_reconnection);
	tcase_add_test(t, test_client_without_a_daemon_says_so);
	tcase_add_test(t, test_client_socket_comes_from_the_environment);
	tcase_add_loop_test(t, test_client_refused_welcome_is_the_error_of_connect, 0,
			    NR(refusals));
	tcase_add_test(t, test_client_requests_say_what_was_asked);
	tcase_add_loop_test(t, test_client_any_contents_are_asked_for_where_they_are_known, 0, 2);
	tcase_add_test(t, test_client_senseless_arguments_are_refused_here);
	tcase_add_test(t, test_client_stat_tells_everything);
	tcase_add_test(t, test_client_run_groups_neighbours);
	tcase_add_test(t, test_client_run_of_long_names_fits_into_messages);
	tcase_add_test(t, test_client_run_goes_on_after_senseless_ones);
	tcase_add_test(t, test_client_run_waits_where_order_matters);
	tcase_add_test(t, test_client_run_of_very_many_never_deadlocks);
	tcase_add_loop_test(t, test_client_replies_out_of_order_find_their_threads, 0, 2);
	tcase_add_test(t, test_client_child_is_told_and_the_parent_goes_on);
}

UNIT("client", { .add = add_tests, .timeout_s = 30 });
