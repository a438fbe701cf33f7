/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_fixture: a program's connection to a daemon that a script plays (fake_daemon.h).
 */
#ifndef PMEMARENA_TESTS_CLIENT_FIXTURE_H
#define PMEMARENA_TESTS_CLIENT_FIXTURE_H

#include <pmemarena.h>
#include <stdint.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/unit.h"

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static struct pma *pma;
static struct fake_daemon *fake;

static inline void connect_with(uint32_t reconnect_ms, uint32_t busy_poll_us)
{
	struct pma_options *options;

	ck_assert_int_eq(pma_options_new(&options), 0);
	ck_assert_int_eq(pma_options_set_socket(options, fake->path), 0);
	ck_assert_int_eq(pma_options_set_reconnect_ms(options, reconnect_ms), 0);
	ck_assert_int_eq(pma_options_set_busy_poll_us(options, busy_poll_us), 0);
	ck_assert_msg(pma_connect(&pma, options) == 0, "%s", pma_message());
	pma_options_free(options);
}

static inline void begin(fake_script *script)
{
	fake = fake_new(script, NULL);
	connect_with(5000, 0);
}

static inline void end(void)
{
	pma_disconnect(pma);
	fake_free(fake);
}

static inline void serve(struct fake_daemon *daemon)
{
	fake_welcome(daemon, NULL, false);
	fake_serve(daemon);
}

static inline struct pma_handle handle_of(uint64_t id)
{
	return (struct pma_handle){ .arena = 0, .slot = (uint32_t)id, .id = id };
}

/* One request of @opcode, whatever it is for. */
static inline int call(uint16_t opcode)
{
	struct pma_handle handle;
	struct pma_info stat;

	switch (opcode) {
	case WIRE_RESERVE:
		return pma_create(&handle, pma, "x", 4096, 0);
	case WIRE_FREE:
		return pma_free(pma, handle_of(5));
	case WIRE_OPEN:
		return pma_open(&handle, pma, "x", 0);
	case WIRE_CLOSE:
		return pma_close(pma, handle_of(5));
	default:
		return pma_stat(&stat, pma, handle_of(5));
	}
}

#endif
