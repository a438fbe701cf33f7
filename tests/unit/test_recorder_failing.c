/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder_failing: the recorder when it fails, is refused, poisoned or begun anew, as a test has
 * told it to.
 */
#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/recorder_fixture.h"

START_TEST(test_fail_from_answers_eio_for_ever)
{
	uint64_t word = 1;

	recorder_fail_from(rec, 2);
	ck_assert_int_eq(media_store64(media, 0, 5), 0);
	ck_assert_int_eq(media_flush(media, 0, 8), 0);
	ck_assert_int_eq(media_read(media, &word, 0, 8), 0);    /* reads do not count */
	ck_assert(!recorder_has_failed(rec));
	ck_assert_int_eq(media_fence(media), -EIO);
	ck_assert(recorder_has_failed(rec));
	ck_assert_int_eq(media_store64(media, 8, 5), -EIO);
	ck_assert_int_eq(media_read(media, &word, 0, 8), -EIO);
	ck_assert_int_eq(media_allocate(media, 0, 8), -EIO);
	ck_assert_uint_eq(recorder_nr(rec), 2);
}
END_TEST

START_TEST(test_jump_leaves_at_the_operation)
{
	sigjmp_buf env;
	volatile bool jumped = false;

	if (sigsetjmp(env, 0)) {
		jumped = true;
	} else {
		recorder_jump_at(rec, 1, &env);
		media_store64(media, 0, 1);
		media_store64(media, 8, 2);
		ck_abort_msg("not reached");
	}
	ck_assert(jumped);
	ck_assert_uint_eq(recorder_nr(rec), 1);
	ck_assert_int_eq(media_fence(media), -EIO);
}
END_TEST

START_TEST(test_refuse_strikes_once)
{
	recorder_refuse(rec, RECORDER_ALLOCATE, 1, -ENOSPC);
	ck_assert_int_eq(media_allocate(media, 0, 4096), 0);
	ck_assert_int_eq(media_allocate(media, 0, 4096), -ENOSPC);
	ck_assert_int_eq(media_allocate(media, 0, 4096), 0);
	recorder_refuse(rec, RECORDER_READ, 0, -EIO);
	ck_assert_int_eq(media_read(media, &(uint64_t){ 0 }, 0, 8), -EIO);
	ck_assert_int_eq(media_read(media, &(uint64_t){ 0 }, 0, 8), 0);
}
END_TEST

START_TEST(test_poison_touches_its_range_only)
{
	uint64_t word;

	ck_assert_int_eq(recorder_poison(rec, "/nowhere", 0, 1), -ENOENT);
	ck_assert_int_eq(recorder_poison(rec, "/fake/a", 4096, 256), 0);
	ck_assert_int_eq(media_read(media, &word, 4088, 8), 0);
	ck_assert_int_eq(media_read(media, &word, 4089, 8), -EIO);
	ck_assert_int_eq(media_read(media, &word, 4351, 8), -EIO);
	ck_assert_int_eq(media_read(media, &word, 4352, 8), 0);
	ck_assert_int_eq(media_store64(media, 4096, 1), -EIO);
	ck_assert_int_eq(media_zero(media, 0, MiB), -EIO);
	ck_assert_int_eq(media_fence(media), 0);
	recorder_cure(rec);
	ck_assert_int_eq(media_store64(media, 4096, 1), 0);
}
END_TEST

START_TEST(test_notice_of_poison_is_taken_once)
{
	uint64_t off, len;

	ck_assert_int_eq(recorder_notify(rec, "/fake/a", 4096, 512), 0);
	ck_assert(media_take_poison(media, &off, &len));
	ck_assert_uint_eq(off, 4096);
	ck_assert_uint_eq(len, 512);
	ck_assert(!media_take_poison(media, &off, &len));
}
END_TEST

START_TEST(test_load_starts_over)
{
	struct image *state;
	uint64_t word;
	struct cut *cut;

	media_store64(media, 0, 5);
	cut = cut_new(rec);
	cut_step(cut);
	state = cut_newest(cut);
	cut_free(cut);
	media_close(media);
	device_close(device);
	recorder_load(rec, state);
	image_free(state);
	ck_assert_uint_eq(recorder_nr(rec), 0);
	open_media();
	media_read(media, &word, 0, 8);
	ck_assert_uint_eq(word, 5);
	ck_assert_uint_eq(word_at_end(false, 0), 5);
}
END_TEST

START_TEST(test_two_devices_are_apart)
{
	struct device_request request = { .spec = "/fake/b", .size = 4 * MiB };
	struct device *other;
	struct media *meta;
	uint64_t word = 1;

	ck_assert_int_eq(device_open(&other, &request, NULL), 0);
	ck_assert_int_eq(media_open(&meta, other, MiB, MiB, NULL), 0);
	media_store64(meta, 0, 3);
	media_flush(meta, 0, 8);
	/* a fence is the thread's, not the media's */
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 0);
	media_read(media, &word, 0, 8);
	ck_assert_uint_eq(word, 0);
	image_read(recorder_image(rec), 1, MiB, &word, 8);
	ck_assert_uint_eq(word, 3);
	media_close(meta);
	device_close(other);
}
END_TEST

START_TEST(test_ranges_are_checked_as_media_does)
{
	struct media *m;

	ck_assert_int_eq(media_open(&m, device, 0, 16 * MiB, NULL), -EINVAL);
	ck_assert_int_eq(media_open(&m, device, 100, MiB, NULL), -EINVAL);
	ck_assert_int_eq(media_open(&m, device, 0, 0, NULL), -EINVAL);
	ck_assert_int_eq(media_store(media, 8 * MiB, "x", 1), -EINVAL);
	ck_assert_int_eq(media_store(media, 8 * MiB - 1, "x", 1), 0);
	ck_assert_int_eq(media_store64(media, UINT64_MAX - 7, 1), -EINVAL);
	ck_assert_int_eq(media_store64(media, 4, 1), -EINVAL);
	ck_assert_int_eq(media_flush(media, 1, UINT64_MAX), -EINVAL);
}
END_TEST

static void *zero_a_lot(void *arg)
{
	uint64_t base = (uint64_t)(uintptr_t)arg * MiB;

	for (uint64_t off = 0; off < MiB; off += 4096) {
		media_zero(media, base + off, 4096);
		media_persist(media, base + off, 0);
	}
	return NULL;
}

START_TEST(test_threads_have_numbers_of_their_own)
{
	pthread_t threads[3];
	unsigned seen = 0;

	image_scribble(recorder_image(rec), 0, 0, 4 * MiB, 1);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, zero_a_lot, (void *)i);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < recorder_nr(rec); i++)
		seen |= 1U << recorder_at(rec, i)->thread;
	ck_assert_uint_eq(seen, 7);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_fail_from_answers_eio_for_ever);
	tcase_add_test(t, test_jump_leaves_at_the_operation);
	tcase_add_test(t, test_refuse_strikes_once);
	tcase_add_test(t, test_poison_touches_its_range_only);
	tcase_add_test(t, test_notice_of_poison_is_taken_once);
	tcase_add_test(t, test_load_starts_over);
	tcase_add_test(t, test_two_devices_are_apart);
	tcase_add_test(t, test_ranges_are_checked_as_media_does);
	tcase_add_test(t, test_threads_have_numbers_of_their_own);
}

UNIT("recorder_failing", { .add = add_tests, .setup = setup, .teardown = teardown });
