/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_fixture: an arena over media that records and a table of devices, with one session. A test
 * says which device, and fills `params` with arena_params_for().
 */
#ifndef PMEMARENA_TESTS_ARENA_FIXTURE_H
#define PMEMARENA_TESTS_ARENA_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"
#include "tests/unit/unit.h"

#define MiB (UINT64_C(1) << 20)
#define KiB (UINT64_C(1) << 10)

static struct recorder *rec;
static struct scrubber *scrubber;
static struct quota *quota;
static char dir[64];
static struct arena_params params;
static struct arena *arena;
static struct holder *holder;
static struct why why;

static inline struct caller caller_of(uint32_t uid)
{
	return (struct caller){ .uid = uid, .gid = uid, .holder = holder };
}

/* Of an arena on the device "dev". */
static inline struct arena_params arena_params_for(const char *metadata, uint64_t nr_slots)
{
	return (struct arena_params){
		.name = "test",
		.device = "dev",
		.metadata = metadata,
		.nr_slots = nr_slots,
		.format = ARENA_FORMAT_IF_BLANK,
		.numa_node = -1,
		.runtime_dir = dir,
		.scrubber = scrubber,
		.quota = quota,
	};
}

static inline int try_open(void)
{
	int r = arena_open(&arena, &params, &why);

	return r < 0 ? r : arena_join(&holder, arena, 1, 1000);
}

static inline void open_arena(void)
{
	int r = try_open();

	ck_assert_msg(r == 0, "%d: %s", r, why.text);
}

static inline void setup_arena(void)
{
	rec = recorder_new();
	ck_assert_int_eq(scrubber_new(&scrubber, 0, 0), 0);
	ck_assert_int_eq(quota_new(&quota), 0);
	strcpy(dir, "/tmp/test-arena-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	why.text[0] = '\0';
}

static inline void clear_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -f %s/*", dir);
	ck_assert_int_eq(system(command), 0);
}

static inline void teardown_arena(void)
{
	arena_close(arena);
	arena = NULL;
	clear_dir();
	rmdir(dir);
	scrubber_free(scrubber);
	quota_free(quota);
	recorder_free(rec);
	fake_device_reset();
}

/* What was charged to users is forgotten, as it is when a daemon ends. */
static inline void renew_quota(void)
{
	quota_free(quota);
	ck_assert_int_eq(quota_new(&quota), 0);
	params.quota = quota;
}

static inline int reserve(struct alloc **out, const char *name, uint64_t len, bool publish)
{
	struct caller caller = caller_of(1000);
	struct arena_ask ask = { .name = name,
				 .name_len = name ? (uint8_t)strlen(name) : 0,
				 .len = len,
				 .publish = publish };
	int r;

	while ((r = arena_reserve(out, arena, &caller, &ask, &why)) == -EAGAIN)
		ck_assert(arena_collect(scrubber));
	return r;
}

static inline struct alloc *create(const char *name, uint64_t len)
{
	struct alloc *alloc;
	int r = reserve(&alloc, name, len, true);

	ck_assert_msg(r == 0, "%s", why.text);
	ck_assert_int_eq(arena_settle(arena), 0);
	return alloc;
}

static inline struct alloc *find(const char *name)
{
	return arena_find_name(arena, name, (uint8_t)strlen(name));
}

static inline void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", what);
}

static inline void assert_clean(void)
{
	ck_assert_int_eq(arena_check(arena, complain, NULL), 0);
}

#endif
