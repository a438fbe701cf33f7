/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory of its own, a file name in it and at most one open device, for every test of
 * daemon/device/.
 */
#ifndef PMEMARENA_DEVICE_FIXTURE_H
#define PMEMARENA_DEVICE_FIXTURE_H

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/device/device.h"

#define KiB UINT64_C(1024)
#define MiB (KiB * 1024)
#define GiB (MiB * 1024)

static char dir[64], file[PATH_MAX];
static struct why why;
static struct device *device;

static inline void setup(void)
{
	strcpy(dir, "/tmp/test_device.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/arena", dir);
	why.text[0] = '\0';
	device = NULL;
}

static inline void teardown(void)
{
	char command[128];

	device_close(device);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static inline int open_device(const char *path, uint64_t size, bool read_only)
{
	struct device_request request = { .spec = path, .size = size, .read_only = read_only };

	int r = device_open(&device, &request, &why);

	if (r == 0)
		device_keep(device);
	return r;
}

/* Opens, says, keeps, closes: for what is expected to be refused. */
static inline int try_device(const char *path, uint64_t size, bool read_only)
{
	struct device_request request = { .spec = path, .size = size, .read_only = read_only };
	struct device *tried = NULL;
	int r;

	why.text[0] = '\0';
	r = device_open(&tried, &request, &why);
	ck_assert(r < 0 ? !tried && why.text[0] : tried != NULL);
	device_keep(tried);
	device_close(tried);
	return r;
}

#endif
