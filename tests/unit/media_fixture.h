/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_fixture: what both tests of the media need: one on a file, in every granularity that can be
 * forced, on tmpfs and on a disk's file system.
 */
#ifndef PMEMARENA_TESTS_MEDIA_FIXTURE_H
#define PMEMARENA_TESTS_MEDIA_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/media/media.h"
#include "tests/unit/unit.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

#define PAGE UINT64_C(4096)
#define MiB  (UINT64_C(1) << 20)
#define SIZE (4 * MiB)

static const char *const places[] = { "/tmp", "/dev/shm" };
static const struct { const char *force; enum media_granularity is;
} forced[] = {
	{ "BYTE", MEDIA_BYTE },
	{ "CACHE_LINE", MEDIA_CACHE_LINE },
	{ "CACHELINE", MEDIA_CACHE_LINE },
	{ "cache_line", MEDIA_CACHE_LINE },
	{ "PAGE", MEDIA_PAGE },
	{ NULL, MEDIA_PAGE },
	{ "nonsense", MEDIA_PAGE },
};
#define NR_FORCED ((int)(sizeof(forced) / sizeof(forced[0])))

/* A loop test's _i: every granularity at every place. */
#define NR_WAYS (2 * NR_FORCED)

static char file[64];
static struct why why;
static struct device *device;
static struct media *media;

static inline void open_at(const char *path, bool read_only)
{
	struct device_request request = { .spec = path, .size = SIZE, .read_only = read_only };

	ck_assert_msg(device_open(&device, &request, &why) == 0, "%s", why.text);
	device_keep(device);
	ck_assert_msg(media_open(&media, device, 0, SIZE, &why) == 0, "%s", why.text);
}

static inline void close_all(void)
{
	media_close(media);
	device_close(device);
	media = NULL;
	device = NULL;
}

static inline void open_way(int way)
{
	int place = way / NR_FORCED, force = way % NR_FORCED;

	snprintf(file, sizeof(file), "%s/test_media.%d", places[place], getpid());
	if (forced[force].force)
		setenv("PMEM2_FORCE_GRANULARITY", forced[force].force, 1);
	else
		unsetenv("PMEM2_FORCE_GRANULARITY");
	open_at(file, false);
}

static inline void teardown(void)
{
	close_all();
	if (file[0])
		unlink(file);
}

static inline uint64_t nr_blocks(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(device_fd(device), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static inline uint64_t file_size(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(device_fd(device), &st), 0);
	return (uint64_t)st.st_size;
}

#endif
