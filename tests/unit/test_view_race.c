/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view: a catalog that changes while it is read: beside a writer, and by a reader that is stopped
 * at each instruction.
 */
#include <config.h>

#include "lib/window/view.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/view_fixture.h"

/* ---- beside a writer ---- */

static _Atomic bool is_over;

static void store(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* Version n has its bytes at n and is n long. */
static void *change_on_and_on(void *arg)
{
	struct catalog_entry *entry = arg;

	for (uint32_t n = 2; !atomic_load(&is_over); n++) {
		__atomic_store_n(&entry->word, 0, __ATOMIC_SEQ_CST);
		store(&entry->id, 5);
		store(&entry->off, n);
		store(&entry->len, n);
		store(&entry->word, pins_word(1, n));
	}
	return NULL;
}

START_TEST(test_view_beside_a_writer_shows_one_version)
{
	struct catalog_entry *entry = paper_put(&paper, 1, 5, "name");
	uint32_t nr_same = 0;
	pthread_t writer;

	entry->off = entry->len = 1;
	atomic_store(&is_over, false);
	ck_assert_int_eq(pthread_create(&writer, NULL, change_on_and_on, entry), 0);
	for (int i = 0; i < 300000 && nr_same < 10000; i++) {
		enum sighting found = i % 2 ? find("name") : view_find_id(&sight, view, 1, 5);

		ck_assert_int_ne(found, VIEW_ABSENT);
		if (found != VIEW_FOUND || !view_is_same(view, &sight))
			continue;
		nr_same++;
		ck_assert_uint_eq(sight.first.off, (uint32_t)sight.word);
		ck_assert_uint_eq(sight.first.len, (uint32_t)sight.word);
	}
	atomic_store(&is_over, true);
	pthread_join(writer, NULL);
	ck_assert_uint_gt(nr_same, 0);
}
END_TEST

/* ---- a reader that is stopped at each instruction ---- */

/*
 * A slot goes from one allocation to another while a reader is stopped: some stores at one of its
 * instructions, the others at a later one. Both have version 1, and so the same word.
 */
#define MAX_APART 80    /* instructions between the two */

static struct trial {
	volatile int at;                /* 1: it begins to look; 2: it has looked */
	volatile bool is_believed;
	struct sight sight;
} *trial;

static void look_once(void)
{
	enum sighting found;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGTRAP);
	trial->at = 1;
	found = view_find_id(&sight, view, 1, 6);
	trial->is_believed = found == VIEW_FOUND && view_is_same(view, &sight);
	trial->sight = sight;
	trial->at = 2;
	_exit(0);
}

/* One instruction; false: the reader is through. */
static bool step(pid_t pid)
{
	int status;

	return ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status) && trial->at < 2;
}

static void begin_reuse(struct catalog_entry *entry)
{
	entry->word = 0;
	entry->id = 0;
	entry->id = 6;
}

static void end_reuse(struct catalog_entry *entry)
{
	entry->off = entry->len = 6;
	entry->word = pins_word(1, 1);
}

/* False: the reader is through before @first. */
static bool try_reuse(int first, int apart)
{
	struct catalog_entry *entry = paper_put(&paper, 1, 5, NULL);
	bool is_there = true;
	int status = 0;
	pid_t pid;

	entry->off = entry->len = 5;
	trial->at = 0;
	trial->is_believed = false;
	pid = fork();
	if (pid == 0)
		look_once();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	while (trial->at == 0 && step(pid))
		;
	for (int i = 0; i < first && is_there; i++)
		is_there = step(pid);
	begin_reuse(entry);
	for (int i = 0; i < apart; i++)
		(void)step(pid);
	end_reuse(entry);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	ck_assert_msg(!trial->is_believed ||
			      (trial->sight.id == 6 && trial->sight.first.off == 6),
		      "stopped at %d and %d: id %d with the bytes of %d", first, first + apart,
		      (int)trial->sight.id, (int)trial->sight.first.off);
	return is_there;
}

static bool may_trace(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

START_TEST(test_view_slot_that_is_used_again_shows_one_id)
{
	bool is_there = true;

	if (!may_trace()) {
		printf("test_view_race needs ptrace to stop a reader: not tried\n");
		return;
	}
	trial = mmap(NULL, sizeof(*trial), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	ck_assert_ptr_ne(trial, MAP_FAILED);
	for (int first = 0; is_there; first++) {
		for (int apart = 0; apart <= MAX_APART && is_there; apart += 8)
			is_there = try_reuse(first, apart);
	}
	munmap(trial, sizeof(*trial));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_view_beside_a_writer_shows_one_version);
}

/* A sanitizer's build of a get has too many instructions to stop at each pair of them. */
static void add_stepped(TCase *t)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_test(t, test_view_slot_that_is_used_again_shows_one_id);
#else
	(void)t;
	(void)test_view_slot_that_is_used_again_shows_one_id;
#endif
}

UNIT("view_race", { .add = add_tests, .setup = begin, .teardown = end, .timeout_s = 30 },
     { .name = "stepped", .add = add_stepped, .setup = begin, .teardown = end, .timeout_s = 120 });
