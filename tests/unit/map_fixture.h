/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_fixture: what both tests of the mappings need: a program that is connected, over a memfd that
 * stands in for the device.
 */
#ifndef PMEMARENA_TESTS_MAP_FIXTURE_H
#define PMEMARENA_TESTS_MAP_FIXTURE_H

#include <check.h>
#include <pmemarena.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/unit.h"

#define KiB(n) ((uint64_t)(n) << 10)
#define MiB(n) ((uint64_t)(n) << 20)

static struct pma *pma;
static struct fake_daemon *fake;
static struct pma_handle handle;

static inline void serve(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
}

/* Connected, with one allocation that is open for writing. */
static inline void begin_with(uint64_t align, uint32_t granularity)
{
	fake = fake_new(serve, NULL);
	fake->arenas[0].align = align;
	fake->arenas[0].granularity = granularity;
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_msg(pma_connect(&pma, NULL) == 0, "%s", pma_message());
	ck_assert_int_eq(pma_create(&handle, pma, "x", FAKE_PAGE, 0), 0);
}

static inline void begin(void)
{
	begin_with(4096, PMA_CACHE_LINE);
}

static inline void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static inline struct pma_mapping *map_it(uint32_t flags)
{
	struct pma_mapping *map;

	ck_assert_msg(pma_map(&map, pma, handle, flags) == 0, "%s", pma_message());
	return map;
}

static inline uint8_t device_byte(uint64_t off)
{
	uint8_t byte;

	ck_assert_int_eq(pread(fake->device, &byte, 1, (off_t)off), 1);
	return byte;
}

#endif
