/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: calls over one connection, and what they come to when daemons answer late, out of order, wrongly or not at all.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/standin/fake_daemon.h"

static struct pma *pma;
static struct fake_daemon *fake;

static void connect_with(uint32_t reconnect_ms, uint32_t busy_poll_us)
{
	struct pma_options *options;

	ck_assert_int_eq(pma_options_new(&options), 0);
	ck_assert_int_eq(pma_options_set_socket(options, fake->path), 0);
	ck_assert_int_eq(pma_options_set_reconnect_ms(options, reconnect_ms), 0);
	ck_assert_int_eq(pma_options_set_busy_poll_us(options, busy_poll_us), 0);
	ck_assert_msg(pma_connect(&pma, options) == 0, "%s", pma_message());
	pma_options_free(options);
}

static void begin(fake_script *script)
{
	fake = fake_new(script, NULL);
	connect_with(5000, 0);
}

static void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static void serve(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
}

static struct pma_handle handle_of(uint64_t id)
{
	return (struct pma_handle){ .arena = 0, .slot = (uint32_t)id, .id = id };
}

/* ---- connecting ---- */

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
	ck_assert_uint_eq(ask->items[0].flags, WIRE_PUBLISH | WIRE_KEEP_OPEN | WIRE_CONTIGUOUS);
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

START_TEST(test_client_senseless_arguments_are_refused_here)
{
	char endless[PMA_MAX_NAME + 2];
	struct pma_handle handle;
	struct pma_stat stats[1];
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
	struct pma_stat stat;

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
		ops[i] = (struct pma_op){ .opcode = PMA_OP_OPEN, .handle = handle_of((uint64_t)i + 1) };
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
	static struct pma_stat stats[500];
	struct pma_op ops[500] = { 0 };

	for (int i = 0; i < 500; i++) {
		memset(names[i], 'a' + i % 26, PMA_MAX_NAME);
		ops[i] = (struct pma_op){ .opcode = PMA_OP_STAT, .name = names[i], .stat = &stats[i] };
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
		{ .opcode = PMA_OP_OPEN, .name = "a" }, { .opcode = PMA_OP_OPEN, .name = "" }, { .opcode = (enum pma_opcode)99 },
		{ .opcode = PMA_OP_OPEN, .name = "b" }, { .opcode = PMA_OP_FREE, .name = "a" },
	};

	begin(serve);
	ck_assert_int_eq(pma_run(pma, ops, 5), 0);
	ck_assert_int_eq(ops[0].result, 0);
	ck_assert_int_eq(ops[1].result, -EINVAL);
	ck_assert_int_eq(ops[2].result, -EINVAL);
	ck_assert_int_eq(ops[3].result, 0);
	ck_assert_int_eq(ops[4].result, -EINVAL);
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
		{ .opcode = PMA_OP_CREATE, .name = "a", .len = 1 }, { .opcode = PMA_OP_OPEN, .name = "a" }, { .opcode = PMA_OP_STAT, .name = "a" },
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
		ops[i] = (struct pma_op){ .opcode = i % 2 ? PMA_OP_STAT : PMA_OP_OPEN, .handle = handle_of(i + 1) };
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
	struct pma_stat stat;

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
		ck_assert_int_eq(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)(i + 1)), 0);
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

/* ---- the daemon goes away ---- */

/* How one request fares: what it is, what the next daemon says about the session, and what becomes of it. */
static const struct fare { uint16_t opcode; bool resumed; int last_tag; bool comes_again; int result; } fares[] = {
	{ WIRE_RESERVE, true,  0, true,  0 },
	{ WIRE_RESERVE, true,  1, false, -ESTALE },
	{ WIRE_RESERVE, false, 0, false, -ESTALE },
	{ WIRE_FREE,    true,  0, true,  0 },
	{ WIRE_FREE,    true,  1, false, -ESTALE },
	{ WIRE_STAT,    true,  0, true,  0 },
	{ WIRE_STAT,    true,  1, true,  0 },
	{ WIRE_STAT,    false, 0, true,  0 },
	{ WIRE_OPEN,    true,  1, true,  0 },
	{ WIRE_OPEN,    false, 0, true,  0 },
	{ WIRE_CLOSE,   true,  1, true,  0 },
};

static void die_with_a_request(struct fake_daemon *daemon)
{
	const struct fare *fare = daemon->arg;
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_hello hello;

	fake_welcome(daemon, &hello, false);
	ck_assert_uint_eq(hello.session, 0);
	fake_expect(daemon, ask, fare->opcode);
	fake_hang_up(daemon);
	daemon->last_tag = (uint64_t)fare->last_tag;
	fake_welcome(daemon, &hello, fare->resumed);
	ck_assert_uint_eq(hello.session, FAKE_SESSION);
	ck_assert_str_eq((const char *)hello.token, "secret");
	if (fare->comes_again) {
		fake_expect(daemon, ask, fare->opcode);
		ck_assert_uint_gt(ask->tag, 1);
		fake_answer(daemon, ask);
	}
	fake_serve(daemon);
	free(ask);
}

static int call(uint16_t opcode)
{
	struct pma_handle handle;
	struct pma_stat stat;

	switch (opcode) {
	case WIRE_RESERVE:
		return pma_create(&handle, pma, "x", 4096, 0);
	case WIRE_FREE:
		return pma_free(pma, handle_of(5));
	case WIRE_OPEN:
		return pma_open(&handle, pma, "x", 0);
	case WIRE_CLOSE:
		return pma_close(pma, handle_of(5));
	default:
		return pma_stat(&stat, pma, handle_of(5));
	}
}

START_TEST(test_client_request_under_way_follows_the_rule)
{
	const struct fare *fare = &fares[_i];
	struct pma_stat stat;

	fake = fake_new(die_with_a_request, (void *)(uintptr_t)fare);
	connect_with(5000, 0);
	ck_assert_int_eq(call(fare->opcode), fare->result);
	if (fare->result < 0)
		ck_assert_ptr_nonnull(strstr(pma_message(), "replaced"));
	/* And life goes on. */
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

/* All that is open is opened again in a new session, before anything else; reservations are gone. */
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

START_TEST(test_client_new_session_opens_what_was_open)
{
	struct pma_handle created, reserved, opened, closed;
	struct pma_extent extents[1];
	struct pma_stat stat;
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

/* Several threads, each with a request under way, when it happens; several times. */
static void die_often(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	for (int death = 0; death < 20; death++) {
		for (int i = 0; i < 30; i++) {
			fake_expect(daemon, ask, WIRE_STAT);
			fake_answer(daemon, ask);
		}
		fake_hang_up(daemon);
		fake_welcome(daemon, NULL, death % 2);
	}
	fake_serve(daemon);
	free(ask);
}

static void *stat_always(void *arg)
{
	uint64_t id = (uintptr_t)arg;
	struct pma_stat stat;

	for (int round = 0; round < 300; round++) {
		ck_assert_msg(pma_stat(&stat, pma, handle_of(id)) == 0, "%s", pma_message());
		ck_assert_uint_eq(stat.handle.id, id);
	}
	return NULL;
}

START_TEST(test_client_threads_survive_many_deaths)
{
	begin(die_often);
	run_threads(stat_always, 4);
	end();
}
END_TEST

static void die_for_good(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_stop(daemon);
	free(ask);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(test_client_lost_daemon_is_waited_for_so_long_and_no_longer)
{
	uint32_t reconnect_ms = _i ? 100 : 0;
	struct pma_stat stat;
	int64_t before;

	fake = fake_new(die_for_good, NULL);
	connect_with(reconnect_ms, 0);
	before = now_ms();
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(pma_message(), "is lost"));
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_int_ge(now_ms() - before, 2 * reconnect_ms);
	ck_assert_int_lt(now_ms() - before, 2 * reconnect_ms + 1000);
	end();
}
END_TEST

static void sleep_for_a_while(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_stop(daemon);
	/* Some attempts find nobody. */
	poll(NULL, 0, 50);
	fake_listen(daemon);
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_client_daemon_that_comes_back_is_found)
{
	struct pma_stat stat;

	begin(sleep_for_a_while);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), 0);
	end();
}
END_TEST

/* One that dies of a request is not fed it for ever. */
static void die_of_stat(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));
	int *nr_deaths = daemon->arg;

	fake_welcome(daemon, NULL, false);
	while (fake_receive(daemon, ask) && ask->opcode == WIRE_STAT) {
		++*nr_deaths;
		fake_hang_up(daemon);
		fake_welcome(daemon, NULL, false);
	}
	fake_answer(daemon, ask);
	free(ask);
}

START_TEST(test_client_deadly_request_is_given_up)
{
	struct pma_stat stat;
	int nr_deaths = 0;

	fake = fake_new(die_of_stat, &nr_deaths);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_int_eq(pma_close(pma, handle_of(1)), 0);
	end();
	ck_assert_int_eq(nr_deaths, 3);
}
END_TEST

static void come_back_with_other_arenas(struct fake_daemon *daemon)
{
	struct wire_arena first = daemon->arenas[0];

	fake_welcome(daemon, NULL, false);
	fake_hang_up(daemon);
	if (daemon->arg) {
		daemon->nr_arenas = 1;
	} else {
		daemon->arenas[0] = daemon->arenas[1];
		daemon->arenas[0].index = 0;
		daemon->arenas[1] = first;
		daemon->arenas[1].index = 1;
	}
	fake_welcome(daemon, NULL, true);
}

/* Else a handle would name somebody else's data. */
START_TEST(test_client_other_arenas_in_old_places_are_not_used)
{
	struct pma_stat stat;

	fake = fake_new(come_back_with_other_arenas, (void *)(uintptr_t)_i);
	connect_with(5000, 0);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(pma_message(), "arena"));
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -ENOTCONN);
	end();
}
END_TEST

/* One that is offline for now has no UUID to show, and is still the same. */
static void come_back_without_the_device(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	fake_hang_up(daemon);
	daemon->arenas[0] = (struct wire_arena){ .name = "arena0", .state = 2 };
	fake_welcome(daemon, NULL, true);
	fake_expect(daemon, ask, WIRE_STAT);
	fake_refuse(daemon, ask, -EIO, "the arena is offline");
	free(ask);
}

START_TEST(test_client_arena_may_be_offline_for_a_while)
{
	struct pma_stat stat;

	begin(come_back_without_the_device);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), -EIO);
	ck_assert_str_eq(pma_message(), "the arena is offline");
	end();
}
END_TEST

/* ---- hostile daemons ---- */

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value & 0xff;
	at[1] = (uint8_t)(value >> 8);
}

/* What is wrong with the reply to a stat: bytes of a good one are changed. */
static const struct wrong { size_t at; uint16_t value; size_t cut; int nr_fds; const char *what; } wrongs[] = {
	{ 0, 0x4242, 0, 0, "magic" }, { 4, 9, 0, 0, "version" }, { 6, WIRE_OPENED, 0, 0, "another reply" }, { 6, WIRE_STAT, 0, 0, "a request" },
	{ 6, WIRE_WELCOME, 0, 0, "another welcome" }, { 6, WIRE_EVENT, 0, 0, "an event of no kind" }, { 8, 31, 0, 0, "length" }, { 12, 2, 0, 0, "two items" },
	{ 12, 0, 0, 0, "no item" }, { 16, 999, 0, 0, "a tag to come" }, { 32, 8, 0, 0, "item's size" }, { 34, 7, 0, 0, "extents" },
	{ 40, 99, 0, 0, "arena 99" }, { 48, 0, 0, 0, "id 0" }, { 84, 9999, 0, 0, "text" }, { 4, WIRE_VERSION, 40, 0, "cut" },
	{ 4, WIRE_VERSION, 0, 1, "a descriptor" },
};

static void answer_wrongly(struct fake_daemon *daemon)
{
	const struct wrong *wrong = daemon->arg;
	struct wire_result result = { .id = 5, .slot = 5 };
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_writer writer;
	size_t length;

	fake_welcome(daemon, NULL, false);
	fake_expect(daemon, ask, WIRE_STAT);
	wire_begin(&writer, daemon->buf, WIRE_STATTED, ask->tag);
	wire_add_result(&writer, &result, NULL, "name", 4);
	length = wire_end(&writer);
	put16(daemon->buf + wrong->at, wrong->value);
	fake_send_fds(daemon, length - wrong->cut, &daemon->device, wrong->nr_fds);
	ck_assert(!fake_receive(daemon, ask));
	fake_welcome(daemon, NULL, true);
	fake_serve(daemon);
	free(ask);
}

START_TEST(test_client_wrong_reply_is_refused_and_the_next_call_works)
{
	struct pma_stat stat;

	fake = fake_new(answer_wrongly, (void *)(uintptr_t)&wrongs[_i]);
	connect_with(5000, 0);
	ck_assert_msg(pma_stat(&stat, pma, handle_of(5)) == -EPROTO, "%s", wrongs[_i].what);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(5)), 0);
	end();
}
END_TEST

static const struct wrong wrong_welcomes[] = {
	{ 0, 0x4242, 0, 0, "magic" }, { 6, WIRE_STATTED, 0, 0, "no welcome" }, { 36, 2, 0, 0, "version 2" }, { 38, 7, 0, 0, "7 arenas" },
	{ 48, 0, 0, 0, "no session" }, { 100, 5, 0, 0, "arena 5 in place 0" }, { 228, 7, 0, 0, "granularity 7" }, { 220, 3, 0, 0, "alignment" },
	{ 4, WIRE_VERSION, 8, 0, "cut" },
};

static void welcome_wrongly(struct fake_daemon *daemon)
{
	const struct wrong *wrong = daemon->arg;
	struct wire_welcome welcome = { .version = WIRE_VERSION, .nr_arenas = 1, .session = FAKE_SESSION };
	struct fake_ask *ask = malloc(sizeof(*ask));
	struct wire_writer writer;
	size_t length;

	fake_accept(daemon);
	fake_expect(daemon, ask, WIRE_HELLO);
	wire_begin(&writer, daemon->buf, WIRE_WELCOME, 0);
	wire_add_raw(&writer, &welcome, sizeof(welcome));
	wire_add_raw(&writer, &daemon->arenas[0], sizeof(daemon->arenas[0]));
	length = wire_end(&writer);
	put16(daemon->buf + wrong->at, wrong->value);
	fake_send(daemon, length - wrong->cut);
	free(ask);
}

START_TEST(test_client_wrong_welcome_is_refused)
{
	fake = fake_new(welcome_wrongly, (void *)(uintptr_t)&wrong_welcomes[_i]);
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_msg(pma_connect(&pma, NULL) == -EPROTO, "%s", wrong_welcomes[_i].what);
	fake_free(fake);
}
END_TEST

/* ---- fork ---- */

START_TEST(test_client_child_is_told_and_the_parent_goes_on)
{
	struct pma_stat stat;
	int status;
	pid_t child;

	begin(serve);
	ck_assert_int_eq(pma_stat(&stat, pma, handle_of(1)), 0);
	child = fork();
	if (child == 0) {
		int r = pma_stat(&stat, pma, handle_of(1));

		if (r != -EPERM || !strstr(pma_message(), "fork") || pma_get_fd(pma) != -EPERM || pma_dispatch(pma) != -EPERM)
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

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static void add_tests_of_calls(TCase *t)
{
	tcase_add_test(t, test_client_connect_learns_the_arenas);
	tcase_add_test(t, test_client_without_a_daemon_says_so);
	tcase_add_test(t, test_client_socket_comes_from_the_environment);
	tcase_add_loop_test(t, test_client_refused_welcome_is_the_error_of_connect, 0, NR(refusals));
	tcase_add_test(t, test_client_requests_say_what_was_asked);
	tcase_add_test(t, test_client_senseless_arguments_are_refused_here);
	tcase_add_test(t, test_client_stat_tells_everything);
	tcase_add_test(t, test_client_run_groups_neighbours);
	tcase_add_test(t, test_client_run_of_long_names_fits_into_messages);
	tcase_add_test(t, test_client_run_goes_on_after_senseless_ones);
	tcase_add_test(t, test_client_run_waits_where_order_matters);
	tcase_add_test(t, test_client_run_of_very_many_never_deadlocks);
	tcase_add_loop_test(t, test_client_replies_out_of_order_find_their_threads, 0, 2);
}

static void add_tests_of_deaths(TCase *t)
{
	tcase_add_loop_test(t, test_client_request_under_way_follows_the_rule, 0, NR(fares));
	tcase_add_test(t, test_client_new_session_opens_what_was_open);
	tcase_add_test(t, test_client_threads_survive_many_deaths);
	tcase_add_loop_test(t, test_client_lost_daemon_is_waited_for_so_long_and_no_longer, 0, 2);
	tcase_add_test(t, test_client_daemon_that_comes_back_is_found);
	tcase_add_test(t, test_client_deadly_request_is_given_up);
	tcase_add_loop_test(t, test_client_other_arenas_in_old_places_are_not_used, 0, 2);
	tcase_add_test(t, test_client_arena_may_be_offline_for_a_while);
	tcase_add_loop_test(t, test_client_wrong_reply_is_refused_and_the_next_call_works, 0, NR(wrongs));
	tcase_add_loop_test(t, test_client_wrong_welcome_is_refused, 0, NR(wrong_welcomes));
	tcase_add_test(t, test_client_child_is_told_and_the_parent_goes_on);
}

int main(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("client");
	SRunner *runner;
	int nr_failed;

	tcase_set_timeout(t, 30);
	add_tests_of_calls(t);
	add_tests_of_deaths(t);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
