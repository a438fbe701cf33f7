/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder_fixture: a device of a table, media over it that records, and what a cut at the end of
 * its log leaves.
 */
#ifndef PMEMARENA_TESTS_RECORDER_FIXTURE_H
#define PMEMARENA_TESTS_RECORDER_FIXTURE_H

#include <check.h>

#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/image.h"
#include "tests/standin/recorder.h"
#include "tests/unit/unit.h"

#define MiB (UINT64_C(1) << 20)

static struct recorder *rec;
static struct device *device;
static struct media *media;

static inline void open_media(void)
{
	struct device_request request = { .spec = "/fake/a" };

	ck_assert_int_eq(device_open(&device, &request, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, device_info(device)->size, NULL), 0);
}

static inline void setup(void)
{
	fake_device_add(DEVICE_FILE, "/fake/a", 8 * MiB, 0);
	rec = recorder_new();
	open_media();
}

static inline void teardown(void)
{
	media_close(media);
	device_close(device);
	recorder_free(rec);
	fake_device_reset();
}

/* The state at the log's end in which each open line has its newest version, or none. */
static inline uint64_t word_at_end(bool newest, uint64_t off)
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

static inline size_t lines_at_end(void)
{
	struct cut *cut = cut_new(rec);
	size_t nr;

	while (cut_step(cut))
		;
	nr = cut_nr_lines(cut);
	cut_free(cut);
	return nr;
}

#endif
