/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_fixture: what both tests of the wire need: a message to write into, and one of each kind.
 */
#ifndef PMEMARENA_TESTS_WIRE_FIXTURE_H
#define PMEMARENA_TESTS_WIRE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/wire/wire.h"
#include "tests/unit/unit.h"

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static uint8_t buf[WIRE_MAX] __attribute__((aligned(8)));

static inline size_t write_request(uint16_t opcode, const struct wire_request *request,
				   const char *name)
{
	struct wire_writer w;

	wire_begin(&w, buf, opcode, 7);
	ck_assert_int_eq(wire_add_request(&w, request, name, strlen(name)), 0);
	return wire_end(&w);
}

static const struct wire_request some_request = {
	.flags = WIRE_AND_PUBLISH | WIRE_CONTIGUOUS,
	.arena = 1,
	.slot = 0x01020304,
	.id = 0x1112131415161718,
	.len = 0x2122232425262728,
	.arg = 9,
	.uid = 1000,
	.gid = 100,
	.mode = 0640,
};

static inline size_t write_welcome(void)
{
	struct wire_welcome welcome = { .version = 1,
					.nr_arenas = 1,
					.session = 77,
					.last_tag = 5,
					.resumed = 1,
					.max_items = 256 };
	struct wire_arena arena = {
		.name = "main", .page_size = 1 << 21, .nr_slots = 1000, .device = "/dev/dax0.0"
	};
	struct wire_writer w;

	wire_begin(&w, buf, WIRE_WELCOME, 0);
	ck_assert_int_eq(wire_add_raw(&w, &arena, sizeof(arena)), -EINVAL);
	ck_assert_int_eq(wire_add_raw(&w, &welcome, sizeof(welcome)), 0);
	ck_assert_int_eq(wire_add_raw(&w, &arena, sizeof(arena)), 0);
	return wire_end(&w);
}

#endif
