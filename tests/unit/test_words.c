/* SPDX-License-Identifier: BSD-3-Clause */
/* words: which are free, which are in use, and which are lost. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/window/words.h"
#include "tests/unit/unit.h"
#include "tests/unit/window_fixture.h"

#define WINDOW 9
#define NR     24u

static struct pins_header *pins;        /* as the daemon sees them */
static struct words words;

static void begin(void)
{
	struct why why;

	words = (struct words){ .fd = -1 };
	ck_assert_int_eq(words_init(&words, pins_new(&pins, NR, WINDOW), NR, WINDOW, &why), 0);
}

static void end(void)
{
	words_fini(&words, false);
	munmap(pins, pins_size(NR));
}

START_TEST(test_words_pin_is_where_the_daemon_looks)
{
	uint32_t i = words_take(&words, 0x700000001);

	ck_assert_uint_lt(i, NR);
	ck_assert_uint_eq(pins_words(pins)[i], 0x700000001);
	ck_assert_uint_gt(pins->high, i);
	words_give(&words, i);
	ck_assert_uint_eq(pins_words(pins)[i], 0);
}
END_TEST

START_TEST(test_words_taken_and_given_in_turn_are_one)
{
	uint32_t i = words_take(&words, 5), high = pins->high;

	words_give(&words, i);
	for (int n = 0; n < 1000; n++) {
		ck_assert_uint_eq(words_take(&words, 5), i);
		words_give(&words, i);
	}
	ck_assert_uint_eq(pins->high, high);
}
END_TEST

START_TEST(test_words_all_in_use_is_said)
{
	uint32_t taken[NR];

	for (uint32_t n = 0; n < NR; n++) {
		taken[n] = words_take(&words, n + 2);
		ck_assert_uint_ne(taken[n], WORDS_NONE);
		ck_assert_uint_eq(pins_words(pins)[taken[n]], n + 2);
		ck_assert_uint_gt(pins->high, taken[n]);
	}
	ck_assert_uint_eq(pins->high, NR);
	ck_assert_uint_eq(words_take(&words, 1000), WORDS_NONE);
	words_give(&words, taken[7]);
	ck_assert_uint_eq(words_take(&words, 1000), taken[7]);
}
END_TEST

/* Pages of the words are read-only, so that the first store to one of them is a fault. */
static uint32_t high_at_the_fault;

static void note_high(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	high_at_the_fault = pins->high;
	mprotect((void *)words.all, 4096, PROT_READ | PROT_WRITE);
}

START_TEST(test_words_high_is_raised_before_the_word_is_used)
{
	struct sigaction action = { .sa_sigaction = note_high, .sa_flags = SA_SIGINFO }, was;
	uint32_t i;

	ck_assert_int_eq(mprotect((void *)words.all, 4096, PROT_READ), 0);
	sigaction(SIGSEGV, &action, &was);
	i = words_take(&words, 77);
	sigaction(SIGSEGV, &was, NULL);
	ck_assert_uint_ne(high_at_the_fault, 0);
	ck_assert_uint_gt(high_at_the_fault, i);
}
END_TEST

START_TEST(test_words_scribbled_by_the_process_are_in_use)
{
	for (uint32_t i = 0; i < NR; i++)
		pins_words(pins)[i] = ~UINT64_C(0);
	ck_assert_uint_eq(words_take(&words, 5), WORDS_NONE);
	pins_words(pins)[3] = 0;
	ck_assert_uint_eq(words_take(&words, 5), 3);
}
END_TEST

/* ---- lost ---- */

static void lose_all(void)
{
	for (uint32_t n = 0; n < NR; n++)
		words_lose(&words, words_take(&words, PINS_TAKEN));
	ck_assert_uint_eq(words_take(&words, 5), WORDS_NONE);
}

START_TEST(test_words_lost_are_free_once_the_daemon_filled_them_in)
{
	lose_all();
	words_sweep(&words);
	ck_assert_uint_eq(words_take(&words, 5), WORDS_NONE);
	pins_words(pins)[11] = pins_word(4, 1);
	words_sweep(&words);
	ck_assert_uint_eq(words_take(&words, 5), 11);
	ck_assert_uint_eq(words_take(&words, 5), WORDS_NONE);
}
END_TEST

START_TEST(test_words_lost_before_a_window_was_sent_are_free_once_it_is_answered)
{
	uint32_t later;

	for (uint32_t n = 0; n < 5; n++)
		words_lose(&words, words_take(&words, PINS_TAKEN));
	words_mark(&words);
	later = words_take(&words, PINS_TAKEN);
	words_lose(&words, later);
	words_recover(&words);
	ck_assert_uint_eq(words.nr_lost, 1);
	for (uint32_t i = 0; i < NR; i++)
		ck_assert_uint_eq(pins_words(pins)[i], i == later ? PINS_TAKEN : 0);
}
END_TEST

/* ---- threads ---- */

static _Atomic uint32_t owners[NR];

static void *take_and_give(void *arg)
{
	(void)arg;
	for (int n = 0; n < 20000; n++) {
		uint32_t i = words_take(&words, 5);

		if (i == WORDS_NONE)
			continue;
		if (atomic_fetch_add(&owners[i], 1) != 0)
			return (void *)1;
		atomic_fetch_sub(&owners[i], 1);
		words_give(&words, i);
	}
	return NULL;
}

START_TEST(test_words_belong_to_one_thread_at_a_time)
{
	pthread_t threads[4];
	void *failed;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	for (uint32_t i = 0; i < NR; i++)
		ck_assert_uint_eq(pins_words(pins)[i], 0);
}
END_TEST

/* ---- files that are none ---- */

static void bad_magic(void) { pins->magic++; }
static void bad_layout(void) { pins->layout++; }
static void bad_number(void) { pins->window++; }
static void bad_count(void) { pins->nr_words--; }
static void bad_groups(void) { pins->nr_groups = PINS_MAX_GROUPS + 1; }

static void (*const damages[])(void) = { bad_magic, bad_layout, bad_number, bad_count, bad_groups };

START_TEST(test_words_file_that_has_no_pins_is_refused)
{
	struct words refused = { .fd = -1 };
	struct why why = { "" };

	damages[_i]();
	ck_assert_int_eq(words_init(&refused, dup(words.fd), NR, WINDOW, &why), -EPROTO);
	ck_assert_str_ne(why.text, "");
	words_fini(&refused, false);
}
END_TEST

START_TEST(test_words_that_the_file_has_not_are_refused)
{
	struct words refused = { .fd = -1 };
	struct why why = { "" };

	ck_assert_int_eq(words_init(&refused, dup(words.fd), NR + 1, WINDOW, &why), -EPROTO);
	words_fini(&refused, false);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_words_pin_is_where_the_daemon_looks);
	tcase_add_test(t, test_words_taken_and_given_in_turn_are_one);
	tcase_add_test(t, test_words_all_in_use_is_said);
	tcase_add_test(t, test_words_high_is_raised_before_the_word_is_used);
	tcase_add_test(t, test_words_scribbled_by_the_process_are_in_use);
	tcase_add_test(t, test_words_lost_are_free_once_the_daemon_filled_them_in);
	tcase_add_test(t, test_words_lost_before_a_window_was_sent_are_free_once_it_is_answered);
	tcase_add_test(t, test_words_belong_to_one_thread_at_a_time);
	tcase_add_loop_test(t, test_words_file_that_has_no_pins_is_refused, 0, 5);
	tcase_add_test(t, test_words_that_the_file_has_not_are_refused);
}

UNIT("words", { .add = add_tests, .setup = begin, .teardown = end, .timeout_s = 30 });
