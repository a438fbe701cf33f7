/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub: on a media that remembers which thread zeroed what and whether that thread fenced it, can
 * refuse holes, fail, and hold its callers at a gate. Run it under ThreadSanitizer too.
 *
 * Links with --wrap=calloc,--wrap=eventfd,--wrap=pthread_create, and without daemon/media.
 */
#include <config.h>

#include "daemon/space/scrub.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "tests/unit/scrub_media.h"
#include "tests/unit/unit.h"

/* ---- what scrubber_new() needs, failing in turn ---- */

static int fail_after = -1;             /* so many succeed, then one fails; -1: none fails */
static bool is_counted;

static bool fails(void)
{
	return is_counted && fail_after >= 0 && fail_after-- == 0;
}

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);
int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);

void *__wrap_calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __real_calloc(nr, size);
}

int __wrap_eventfd(unsigned count, int flags)
{
	if (fails()) {
		errno = EMFILE;
		return -1;
	}
	return __real_eventfd(count, flags);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

/* ---- helpers ---- */

static int owner_a, owner_b;

static struct scrubber *new_scrubber(unsigned nr_threads, uint64_t rate)
{
	struct scrubber *scrubber;

	ck_assert_int_eq(scrubber_new(&scrubber, nr_threads, rate), 0);
	return scrubber;
}

static struct scrub_job make_job(struct media *media, uint64_t off, uint64_t len, void *owner)
{
	return (struct scrub_job){
		.media = media, .off = off, .len = len, .owner = owner, .result = 1
	};
}

static bool is_readable(const struct scrubber *scrubber, int timeout_ms)
{
	struct pollfd p = { .fd = scrubber_fd(scrubber), .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static struct scrub_job *wait_done(struct scrubber *scrubber)
{
	ck_assert(is_readable(scrubber, 10000));
	return scrubber_collect(scrubber);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const unsigned thread_counts[] = { 0, 1, 4 };

/* ---- one job ---- */

START_TEST(test_scrub_result_is_zero_only_after_the_fence)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(thread_counts[_i], 0);
	struct scrub_job job = make_job(media, KIB(8), MIB(7) + KIB(12), &owner_a);

	scrubber_submit(scrubber, &job);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, 0);
	ck_assert(is_durable(media, job.off, job.len));
	ck_assert(!is_durable(media, 0, KIB(8)));
	ck_assert(!is_durable(media, job.off + job.len, KIB(4)));
	ck_assert_uint_eq(media->longest, MIB(2));
	ck_assert(!is_readable(scrubber, 0));
	ck_assert_ptr_null(scrubber_collect(scrubber));
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_hole_is_preferred)
{
	struct media *media = new_media(true);
	/* no rate for holes */
	struct scrubber *scrubber = new_scrubber(thread_counts[_i], 1);
	struct scrub_job job = make_job(media, 0, MIB(64), &owner_a);

	scrubber_submit(scrubber, &job);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, 0);
	ck_assert(is_durable(media, 0, MIB(64)));
	ck_assert_uint_eq(media->entered, 0);
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_hole_that_fails_is_not_zeroed_over)
{
	struct media *media = new_media(true);
	struct scrubber *scrubber = new_scrubber(thread_counts[_i], 0);
	struct scrub_job job = make_job(media, 0, MIB(4), &owner_a);

	media->punch_error = -EIO;
	scrubber_submit(scrubber, &job);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, -EIO);
	ck_assert_uint_eq(media->entered, 0);
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_any_piece_fails_the_job_fails)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(thread_counts[_i], 0);
	struct scrub_job job = make_job(media, 0, MIB(8), &owner_a);

	for (uint64_t off = 0; off < MIB(8); off += MIB(2)) {
		media->zero_fails_at = off + 1;
		scrubber_submit(scrubber, &job);
		ck_assert_ptr_eq(wait_done(scrubber), &job);
		ck_assert_int_eq(job.result, -EIO);
	}
	media->zero_fails_at = UINT64_MAX;
	media->persist_error = -EIO;
	scrubber_submit(scrubber, &job);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, -EIO);
	media->persist_error = 0;
	scrubber_submit(scrubber, &job);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, 0);
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_nothing_to_do_is_done)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(thread_counts[_i], 0);
	struct scrub_job job = make_job(media, 0, 0, &owner_a);

	scrubber_submit(scrubber, &job);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, 0);
	ck_assert_uint_eq(media->entered, 0);
	scrubber_free(scrubber);
	scrubber_free(NULL);
	free_media(media);
}
END_TEST

/* ---- many ---- */

START_TEST(test_scrub_many_jobs_are_each_collected_once)
{
	enum { NR = 256 };
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(thread_counts[_i], 0);
	static struct scrub_job jobs[NR];
	unsigned seen[NR] = { 0 };

	for (uint64_t i = 0; i < NR; i++) {
		jobs[i] = make_job(media, i * KIB(256), KIB(256), &owner_a);
		jobs[i].arg = i;
		scrubber_submit(scrubber, &jobs[i]);
	}
	for (int i = 0; i < NR; i++) {
		struct scrub_job *job = wait_done(scrubber);

		ck_assert_ptr_nonnull(job);
		ck_assert_int_eq(job->result, 0);
		ck_assert(is_durable(media, job->off, job->len));
		seen[job->arg]++;
	}
	for (int i = 0; i < NR; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert_ptr_null(scrubber_collect(scrubber));
	ck_assert(!is_readable(scrubber, 0));
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_workers_take_no_signals_but_their_own)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(1, 0);
	struct scrub_job job = make_job(media, 0, KIB(4), &owner_a);
	sigset_t mine;

	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	ck_assert(!sigismember(&mine, SIGTERM));
	scrubber_submit(scrubber, &job);
	wait_done(scrubber);
	ck_assert(sigismember(&media->mask, SIGTERM) && sigismember(&media->mask, SIGHUP) &&
		  sigismember(&media->mask, SIGUSR1));
	ck_assert(!sigismember(&media->mask, SIGBUS) && !sigismember(&media->mask, SIGSEGV));
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

/* ---- rate ---- */

START_TEST(test_scrub_rate_holds_for_all_workers_together)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(4, MIB(64));
	struct scrub_job jobs[4];
	double start = now_s();

	for (uint64_t i = 0; i < 4; i++) {
		jobs[i] = make_job(media, i * MIB(4), MIB(4), &owner_a);
		scrubber_submit(scrubber, &jobs[i]);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(wait_done(scrubber)->result, 0);
	/* 16 MiB, of which the first piece may go at once. */
	ck_assert_double_ge(now_s() - start, 14.0 / 64);
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_new_rate_counts_for_a_job_that_waits)
{
	struct media *media = new_media(false);
	/* the second piece is due in 24 days */
	struct scrubber *scrubber = new_scrubber(1, 1);
	struct scrub_job job = make_job(media, 0, MIB(4), &owner_a);

	scrubber_submit(scrubber, &job);
	wait_entered(media, 1);
	scrubber_set_rate(scrubber, 0);
	ck_assert_ptr_eq(wait_done(scrubber), &job);
	ck_assert_int_eq(job.result, 0);
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_job_that_waits_for_the_rate_can_be_cancelled)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(1, 1);
	struct scrub_job job = make_job(media, 0, MIB(4), &owner_a);

	scrubber_submit(scrubber, &job);
	wait_entered(media, 1);
	scrubber_cancel(scrubber, &owner_a);
	scrubber_cancel(scrubber, &owner_a);
	ck_assert_uint_eq(media->entered, 1);
	ck_assert_ptr_null(scrubber_collect(scrubber));
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

/* ---- cancelling ---- */

START_TEST(test_scrub_cancel_forgets_what_waits_and_what_is_done)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(1, 0);
	struct scrub_job done = make_job(media, 0, KIB(4), &owner_a),
			 busy = make_job(media, MIB(2), KIB(4), &owner_b);
	struct scrub_job waiting = make_job(media, MIB(4), KIB(4), &owner_a),
			 last = make_job(media, MIB(6), KIB(4), &owner_b);

	scrubber_submit(scrubber, &done);
	ck_assert(is_readable(scrubber, 10000));
	admit(media, 1);
	scrubber_submit(scrubber, &busy);
	wait_entered(media, 2);
	scrubber_submit(scrubber, &waiting);
	scrubber_submit(scrubber, &last);
	/* busy is another's: it is at the gate, and is not waited for. */
	scrubber_cancel(scrubber, &owner_a);
	ck_assert(!is_readable(scrubber, 0));
	ck_assert_ptr_null(scrubber_collect(scrubber));
	admit(media, UINT32_MAX);
	ck_assert_ptr_eq(wait_done(scrubber), &busy);
	ck_assert_ptr_eq(wait_done(scrubber), &last);
	ck_assert_ptr_null(scrubber_collect(scrubber));
	scrubber_free(scrubber);
	free_media(media);
}
END_TEST

static void *cancel_a(void *scrubber)
{
	scrubber_cancel(scrubber, &owner_a);
	return NULL;
}

/* Whatever the worker is at: afterwards the memory of the job may be gone. */
START_TEST(test_scrub_cancel_waits_for_the_job_under_way)
{
	for (int i = 0; i < 100; i++) {
		struct media *media = new_media(false);
		struct scrubber *scrubber = new_scrubber(2, 0);
		struct scrub_job *job = malloc(sizeof(*job)),
				 other = make_job(media, MIB(32), MIB(4), &owner_b);
		pthread_t thread;

		*job = make_job(media, 0, MIB(8), &owner_a);
		admit(media, (unsigned)i % 4);
		scrubber_submit(scrubber, job);
		scrubber_submit(scrubber, &other);
		wait_entered(media, 1);
		ck_assert_int_eq(pthread_create(&thread, NULL, cancel_a, scrubber), 0);
		admit(media, UINT32_MAX);
		pthread_join(thread, NULL);
		free(job);
		ck_assert_ptr_eq(wait_done(scrubber), &other);
		ck_assert_ptr_null(scrubber_collect(scrubber));
		scrubber_free(scrubber);
		free_media(media);
	}
}
END_TEST

START_TEST(test_scrub_free_drops_what_waits)
{
	struct media *media = new_media(false);
	struct scrubber *scrubber = new_scrubber(2, 1);
	struct scrub_job jobs[4];

	for (uint64_t i = 0; i < 4; i++) {
		jobs[i] = make_job(media, i * MIB(4), MIB(4), &owner_a);
		scrubber_submit(scrubber, &jobs[i]);
	}
	wait_entered(media, 1);
	scrubber_free(scrubber);
	ck_assert_uint_le(media->entered, 2);
	free_media(media);
}
END_TEST

START_TEST(test_scrub_new_gives_back_what_it_got_when_anything_fails)
{
	struct scrubber *scrubber = NULL;
	int nr_failures = 0, r;

	do {
		fail_after = nr_failures++;
		is_counted = true;
		r = scrubber_new(&scrubber, 3, 0);
		is_counted = false;
		ck_assert(r == 0 || r == -ENOMEM || r == -EMFILE || r == -EAGAIN);
	} while (r < 0);
	ck_assert_int_eq(nr_failures, 1 + 2 + 1 + 3);
	scrubber_free(scrubber);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_scrub_result_is_zero_only_after_the_fence, 0, 3);
	tcase_add_loop_test(t, test_scrub_hole_is_preferred, 0, 3);
	tcase_add_loop_test(t, test_scrub_hole_that_fails_is_not_zeroed_over, 0, 3);
	tcase_add_loop_test(t, test_scrub_any_piece_fails_the_job_fails, 0, 3);
	tcase_add_loop_test(t, test_scrub_nothing_to_do_is_done, 0, 3);
	tcase_add_loop_test(t, test_scrub_many_jobs_are_each_collected_once, 0, 3);
	tcase_add_test(t, test_scrub_workers_take_no_signals_but_their_own);
	tcase_add_test(t, test_scrub_rate_holds_for_all_workers_together);
	tcase_add_test(t, test_scrub_new_rate_counts_for_a_job_that_waits);
	tcase_add_test(t, test_scrub_job_that_waits_for_the_rate_can_be_cancelled);
	tcase_add_test(t, test_scrub_cancel_forgets_what_waits_and_what_is_done);
	tcase_add_test(t, test_scrub_cancel_waits_for_the_job_under_way);
	tcase_add_test(t, test_scrub_free_drops_what_waits);
	tcase_add_test(t, test_scrub_new_gives_back_what_it_got_when_anything_fails);
}

UNIT("scrub", { .add = add_tests, .timeout_s = 60 });
