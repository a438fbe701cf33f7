/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stand-ins themselves: what a test above them proves is worth no more than they are. Images against a flat array,
 * the recorder against media.h's promises, cuts against the states that x86 allows, each by hand and in random sweeps.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/image.h"
#include "tests/standin/recorder.h"

#define MiB (UINT64_C(1) << 20)

static struct recorder *rec;
static struct device *device;
static struct media *media;

static void open_media(void)
{
	struct device_request request = { .spec = "/fake/a" };

	ck_assert_int_eq(device_open(&device, &request, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, device_info(device)->size, NULL), 0);
}

static void setup(void)
{
	fake_device_add(DEVICE_FILE, "/fake/a", 8 * MiB, 0);
	rec = recorder_new();
	open_media();
}

static void teardown(void)
{
	media_close(media);
	device_close(device);
	recorder_free(rec);
	fake_device_reset();
}

/* The state at the log's end in which each open line has its newest version, or none. */
static uint64_t word_at_end(bool newest, uint64_t off)
{
	struct cut *cut = cut_new(rec);
	struct image *image;
	uint64_t word;

	while (cut_step(cut))
		;
	image = newest ? cut_newest(cut) : cut_image(cut, NULL);
	image_read(image, 0, off, &word, sizeof(word));
	image_free(image);
	cut_free(cut);
	return word;
}

static size_t lines_at_end(void)
{
	struct cut *cut = cut_new(rec);
	size_t nr;

	while (cut_step(cut))
		;
	nr = cut_nr_lines(cut);
	cut_free(cut);
	return nr;
}

START_TEST(test_image_copies_against_flat_arrays)
{
	enum { SIZE = 5 * 1024 * 1024 + 4096, COPIES = 4 };
	static unsigned char flat[COPIES][SIZE], buffer[SIZE];
	struct image *images[COPIES] = { image_new() };

	srandom((unsigned)_i);
	image_device(images[0], "a", SIZE);
	memset(flat, 0, sizeof(flat));
	for (unsigned i = 1; i < COPIES; i++)
		images[i] = image_copy(images[0]);
	for (unsigned n = 0; n < 400; n++) {
		unsigned i = (unsigned)random() % COPIES, from = (unsigned)random() % COPIES;
		uint64_t off = (uint64_t)random() % SIZE, len = (uint64_t)random() % 20000;

		if (len > SIZE - off)
			len = SIZE - off;
		switch (random() % 4) {
		case 0:
			image_zero(images[i], 0, off, len);
			memset(flat[i] + off, 0, len);
			break;
		case 1:
			if (i == from)
				break;
			image_free(images[i]);
			images[i] = image_copy(images[from]);
			memcpy(flat[i], flat[from], SIZE);
			break;
		default:
			memset(buffer, (int)random(), len);
			image_write(images[i], 0, off, buffer, len);
			memcpy(flat[i] + off, buffer, len);
		}
	}
	for (unsigned i = 0; i < COPIES; i++) {
		image_read(images[i], 0, 0, buffer, SIZE);
		ck_assert_mem_eq(buffer, flat[i], SIZE);
		for (unsigned j = 0; j < COPIES; j++)
			ck_assert_int_eq(image_equal(images[i], images[j]), memcmp(flat[i], flat[j], SIZE) == 0);
	}
	for (unsigned i = 0; i < COPIES; i++)
		image_free(images[i]);
}
END_TEST

START_TEST(test_image_find_nonzero)
{
	struct image *image = image_new();

	image_device(image, "a", 64 * MiB);
	ck_assert_uint_eq(image_find_nonzero(image, 0, 0, 64 * MiB), 64 * MiB);
	image_write(image, 0, 33 * MiB + 5, "x", 1);
	ck_assert_uint_eq(image_find_nonzero(image, 0, 0, 64 * MiB), 33 * MiB + 5);
	ck_assert_uint_eq(image_find_nonzero(image, 0, 33 * MiB + 5, 1), 33 * MiB + 5);
	ck_assert_uint_eq(image_find_nonzero(image, 0, 33 * MiB + 6, 100), 33 * MiB + 106);
	ck_assert_uint_eq(image_find_nonzero(image, 0, 0, 33 * MiB + 5), 33 * MiB + 5);
	image_free(image);
}
END_TEST

START_TEST(test_image_save_load_keeps_bytes)
{
	char file[] = "/tmp/test_recorder.XXXXXX";
	struct image *a = image_new(), *b = image_new();

	close(mkstemp(file));
	image_device(a, "a", 3 * MiB);
	image_device(b, "a", 3 * MiB);
	image_scribble(a, 0, MiB + 100, 9000, 1);
	image_scribble(b, 0, 0, 5000, 2);
	ck_assert_int_eq(image_save(a, 0, file), 0);
	ck_assert_int_eq(image_load(b, 0, file), 0);
	ck_assert(image_equal(a, b));
	unlink(file);
	image_free(a);
	image_free(b);
}
END_TEST

START_TEST(test_store_is_open_until_flushed_and_fenced)
{
	ck_assert_int_eq(media_store64(media, 128, 7), 0);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 128), 0);
	ck_assert_uint_eq(word_at_end(true, 128), 7);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_uint_eq(lines_at_end(), 1);           /* nothing was flushed before it */
	ck_assert_int_eq(media_flush(media, 128, 8), 0);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_uint_eq(lines_at_end(), 0);
	ck_assert_uint_eq(word_at_end(false, 128), 7);
}
END_TEST

START_TEST(test_flush_covers_whole_lines_and_no_more)
{
	char bytes[200];

	memset(bytes, 1, sizeof(bytes));
	ck_assert_int_eq(media_store(media, 60, bytes, 200), 0);        /* lines 0 to 256: five */
	ck_assert_uint_eq(lines_at_end(), 5);
	ck_assert_int_eq(media_persist(media, 63, 2), 0);
	ck_assert_uint_eq(lines_at_end(), 3);
	ck_assert_int_eq(media_persist(media, 0, 4096), 0);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

START_TEST(test_store_after_flush_stays_open)
{
	media_store64(media, 0, 1);
	media_flush(media, 0, 8);
	media_store64(media, 0, 2);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 0), 1);
	ck_assert_uint_eq(word_at_end(true, 0), 2);
}
END_TEST

START_TEST(test_fence_of_another_thread_does_not_count)
{
	media_store64(media, 0, 1);
	media_flush(media, 0, 8);
	recorder_be_thread(5);
	media_fence(media);
	recorder_be_thread(-1);
	ck_assert_uint_eq(lines_at_end(), 1);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

/* The flush of a line that was made durable by somebody else in between must not take back what came later. */
START_TEST(test_stale_flush_does_not_cover_a_line_opened_again)
{
	media_store64(media, 0, 1);
	recorder_be_thread(5);
	media_flush(media, 0, 8);
	recorder_be_thread(-1);
	media_persist(media, 0, 8);
	media_store64(media, 0, 2);
	recorder_be_thread(5);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 0), 1);
}
END_TEST

START_TEST(test_any_version_and_any_torn_word_is_a_state)
{
	uint64_t words[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, got[8];
	struct cut_choice choice;
	struct image *image;
	struct cut *cut;

	media_store(media, 0, words, sizeof(words));
	media_store64(media, 8, 20);
	cut = cut_new(rec);
	while (cut_step(cut))
		;
	ck_assert_uint_eq(cut_line(cut, 0).nr_versions, 3);
	ck_assert_uint_eq(cut_words(cut, 0, 1), 0xff);
	ck_assert_uint_eq(cut_words(cut, 0, 2), 0x02);
	for (unsigned mask = 0; mask < 256; mask++) {
		choice = (struct cut_choice){ 1, (uint8_t)mask };
		image = cut_image(cut, &choice);
		image_read(image, 0, 0, got, sizeof(got));
		for (unsigned w = 0; w < 8; w++)
			ck_assert_uint_eq(got[w], mask & 1U << w ? words[w] : 0);
		image_free(image);
	}
	choice = (struct cut_choice){ 2, 0xff };
	image = cut_image(cut, &choice);
	image_read(image, 0, 0, got, sizeof(got));
	ck_assert_uint_eq(got[1], 20);
	ck_assert_uint_eq(got[7], 8);
	image_free(image);
	cut_free(cut);
}
END_TEST

START_TEST(test_store_of_what_is_there_opens_nothing)
{
	media_store64(media, 0, 9);
	media_persist(media, 0, 8);
	media_store64(media, 0, 9);
	ck_assert_uint_eq(lines_at_end(), 0);
	media_zero(media, 4096, MiB);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

START_TEST(test_zero_needs_only_the_fence)
{
	media_store64(media, 0, 9);
	media_persist(media, 0, 8);
	media_store64(media, 640, 9);                   /* open, and zeroed while it is */
	media_zero(media, 0, MiB);
	ck_assert_uint_eq(lines_at_end(), 2);
	ck_assert_uint_eq(word_at_end(false, 0), 9);
	media_fence(media);
	ck_assert_uint_eq(lines_at_end(), 0);
	ck_assert_uint_eq(word_at_end(false, 0), 0);
	ck_assert_uint_eq(word_at_end(false, 640), 0);
}
END_TEST

START_TEST(test_zero_of_part_of_a_line_keeps_the_rest)
{
	uint64_t words[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	media_store(media, 0, words, sizeof(words));
	media_persist(media, 0, 64);
	media_zero(media, 8, 16);
	media_fence(media);
	ck_assert_uint_eq(word_at_end(false, 0), 1);
	ck_assert_uint_eq(word_at_end(false, 8), 0);
	ck_assert_uint_eq(word_at_end(false, 16), 0);
	ck_assert_uint_eq(word_at_end(false, 24), 4);
}
END_TEST

START_TEST(test_punch_may_be_cut_half_way_and_is_durable_after)
{
	struct cut *cut;

	media_store64(media, 0, 9);
	media_store64(media, 4096, 9);
	media_persist(media, 0, 8192);
	media_punch(media, 0, 8192);
	cut = cut_new(rec);
	while (cut_next(cut)->op != RECORDER_PUNCHED)
		cut_step(cut);
	ck_assert_uint_eq(cut_nr_lines(cut), 2);
	cut_step(cut);
	ck_assert_uint_eq(cut_nr_lines(cut), 0);
	cut_free(cut);
	ck_assert_uint_eq(word_at_end(false, 4096), 0);
}
END_TEST

static void random_step(unsigned n)
{
	uint64_t off = (uint64_t)random() % 16384, len = (uint64_t)random() % 300;
	unsigned char bytes[300];

	recorder_be_thread((int)(random() % 3));
	memset(bytes, (int)n, sizeof(bytes));
	switch (random() % 6) {
	case 0:
		media_zero(media, off, len * 8);
		break;
	case 1:
	case 2:
		media_store(media, off, bytes, len);
		break;
	case 3:
		media_flush(media, off, len * 10);
		break;
	case 4:
		media_punch(media, off, len);
		break;
	default:
		media_fence(media);
	}
}

/* However it went: newest is what the processor sees, and flushing all of it leaves nothing open. */
START_TEST(test_random_histories_end_in_the_processors_view)
{
	struct image *newest;
	struct cut *cut;

	srandom((unsigned)_i);
	for (unsigned n = 0; n < 300; n++)
		random_step(n);
	recorder_be_thread(-1);
	cut = cut_new(rec);
	while (cut_step(cut)) {
		for (size_t i = 0; i < cut_nr_lines(cut); i++) {
			struct cut_line line = cut_line(cut, i);

			ck_assert_uint_ge(line.nr_versions, 2);
			for (uint32_t v = 1; v < line.nr_versions; v++)
				ck_assert_uint_ne(cut_words(cut, i, v), 0);
		}
	}
	newest = cut_newest(cut);
	ck_assert(image_equal(newest, recorder_image(rec)));
	image_free(newest);
	cut_free(cut);
	media_persist(media, 0, 8 * MiB);
	ck_assert_uint_eq(lines_at_end(), 0);
}
END_TEST

/* The same rule told a second time and more simply: a line is certain as its latest flush found it that has a fence. */
START_TEST(test_random_histories_are_certain_as_an_oracle_says)
{
	enum { LINES = 12, THREADS = 3 };
	struct { uint64_t value; unsigned when; } flushed[THREADS][LINES] = { 0 }, certain[LINES] = { 0 };
	uint64_t now[LINES] = { 0 };

	srandom((unsigned)_i);
	for (unsigned n = 1; n < 200; n++) {
		unsigned t = (unsigned)random() % THREADS, l = (unsigned)random() % LINES;

		recorder_be_thread((int)t);
		switch (random() % 5) {
		case 0:
			media_fence(media);
			for (l = 0; l < LINES; l++)
				if (flushed[t][l].when > certain[l].when)
					certain[l] = flushed[t][l];
			break;
		case 1:
		case 2:
			media_flush(media, l * CUT_LINE + 60, 1);
			flushed[t][l].value = now[l];
			flushed[t][l].when = n;
			break;
		default:
			media_store64(media, l * CUT_LINE, n);
			now[l] = n;
		}
	}
	recorder_be_thread(-1);
	for (unsigned l = 0; l < LINES; l++) {
		ck_assert_uint_eq(word_at_end(false, l * CUT_LINE), certain[l].value);
		ck_assert_uint_eq(word_at_end(true, l * CUT_LINE), now[l]);
	}
}
END_TEST

START_TEST(test_forgotten_flush_is_seen)
{
	recorder_forget(rec, RECORDER_FLUSH, 1);
	for (uint64_t off = 0; off < 3 * 64; off += 64) {
		media_store64(media, off, 1);
		media_persist(media, off, 8);
	}
	ck_assert_uint_eq(lines_at_end(), 1);
	ck_assert_uint_eq(word_at_end(false, 64), 0);
	recorder_forget(rec, RECORDER_FENCE, RECORDER_ALL);
	media_store64(media, 640, 1);
	media_persist(media, 640, 8);
	media_persist(media, 640, 8);
	ck_assert_uint_eq(lines_at_end(), 2);
}
END_TEST

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
	media_fence(media);                             /* a fence is the thread's, not the media's */
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

START_TEST(test_fake_device_is_exclusive_and_marks_are_real)
{
	struct device_request request = { .spec = "/fake/a" };
	struct device *second;
	int fd;

	ck_assert_int_eq(device_open(&second, &request, NULL), -EBUSY);
	ck_assert_int_eq(device_reopen(&fd, device, O_RDONLY), 0);
	ck_assert_int_eq(device_is_marked(device, 7), 0);
	ck_assert_int_eq(device_mark(fd, 7, true), 0);
	ck_assert_int_eq(device_is_marked(device, 7), 1);
	ck_assert_int_eq(device_is_marked(device, 8), 0);
	close(fd);
	ck_assert_int_eq(device_is_marked(device, 7), 0);
	fake_device_find("/fake/a")->held[0] = 9;
	fake_device_find("/fake/a")->nr_held = 1;
	ck_assert_int_eq(device_is_marked(device, 9), 1);
}
END_TEST

START_TEST(test_fake_device_does_what_its_line_says)
{
	struct device_request request = { .spec = "/fake/x" };
	struct fake_device *line;
	struct device *x;
	struct device_range *bad;
	struct device_info *list;
	char name[64];
	size_t nr;

	ck_assert_int_eq(device_open(&x, &request, NULL), -ENOENT);
	line = fake_device_add(DEVICE_DAX, "/fake/x", 4 * MiB, 2 * MiB);
	line->open_err = -EACCES;
	ck_assert_int_eq(device_open(&x, &request, NULL), -EACCES);
	line->open_err = 0;
	line->bad[line->nr_bad++] = (struct device_range){ 512, 512 };
	strcpy(line->foreign, "ext4 file system");
	ck_assert_int_eq(device_open(&x, &request, NULL), 0);
	ck_assert_int_eq(device_find_foreign(x, name, sizeof(name)), 1);
	ck_assert_str_eq(name, "ext4 file system");
	ck_assert_int_eq(device_badblocks(x, &bad, &nr), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_uint_eq(bad[0].off, 512);
	free(bad);
	ck_assert(device_is_present(x));
	line->is_absent = true;
	ck_assert(!device_is_present(x));
	ck_assert_int_eq(device_list(&list, &nr, NULL), 0);
	ck_assert_uint_eq(nr, 1);
	free(list);
	device_close(x);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("stand-ins");
	TCase *image = tcase_create("image"), *tc = tcase_create("recorder");

	tcase_add_loop_test(image, test_image_copies_against_flat_arrays, 0, 5);
	tcase_add_test(image, test_image_find_nonzero);
	tcase_add_test(image, test_image_save_load_keeps_bytes);
	suite_add_tcase(s, image);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_store_is_open_until_flushed_and_fenced);
	tcase_add_test(tc, test_flush_covers_whole_lines_and_no_more);
	tcase_add_test(tc, test_store_after_flush_stays_open);
	tcase_add_test(tc, test_fence_of_another_thread_does_not_count);
	tcase_add_test(tc, test_stale_flush_does_not_cover_a_line_opened_again);
	tcase_add_test(tc, test_any_version_and_any_torn_word_is_a_state);
	tcase_add_test(tc, test_store_of_what_is_there_opens_nothing);
	tcase_add_test(tc, test_zero_needs_only_the_fence);
	tcase_add_test(tc, test_zero_of_part_of_a_line_keeps_the_rest);
	tcase_add_test(tc, test_punch_may_be_cut_half_way_and_is_durable_after);
	tcase_add_loop_test(tc, test_random_histories_end_in_the_processors_view, 0, 40);
	tcase_add_loop_test(tc, test_random_histories_are_certain_as_an_oracle_says, 0, 100);
	tcase_add_test(tc, test_forgotten_flush_is_seen);
	tcase_add_test(tc, test_fail_from_answers_eio_for_ever);
	tcase_add_test(tc, test_jump_leaves_at_the_operation);
	tcase_add_test(tc, test_refuse_strikes_once);
	tcase_add_test(tc, test_poison_touches_its_range_only);
	tcase_add_test(tc, test_notice_of_poison_is_taken_once);
	tcase_add_test(tc, test_load_starts_over);
	tcase_add_test(tc, test_two_devices_are_apart);
	tcase_add_test(tc, test_ranges_are_checked_as_media_does);
	tcase_add_test(tc, test_threads_have_numbers_of_their_own);
	tcase_add_test(tc, test_fake_device_is_exclusive_and_marks_are_real);
	tcase_add_test(tc, test_fake_device_does_what_its_line_says);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
