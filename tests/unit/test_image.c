/* SPDX-License-Identifier: BSD-3-Clause */
/* image: the stand-in for the bytes of a device, against a flat array. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/standin/image.h"
#include "tests/unit/unit.h"

#define MiB (UINT64_C(1) << 20)

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
			ck_assert_int_eq(image_equal(images[i], images[j]),
					 memcmp(flat[i], flat[j], SIZE) == 0);
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

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_image_copies_against_flat_arrays, 0, 5);
	tcase_add_test(t, test_image_find_nonzero);
	tcase_add_test(t, test_image_save_load_keeps_bytes);
}

UNIT("image", { .add = add_tests });
