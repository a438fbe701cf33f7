/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes through the library, with the real daemon: given, shown by each call, changed. */
#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pmemarena.h>

#include "tests/system/check.h"

#define PAGE (UINT64_C(2) << 20)
#define MANY 300

static uint8_t bytes[PMA_MAX_ATTRIBUTES + 1];

static bool has(const uint8_t *attributes, size_t len, size_t wanted)
{
	return len == wanted && memcmp(attributes, bytes, wanted) == 0;
}

static struct pma_op create(const char *name, size_t len)
{
	return (struct pma_op){ .opcode = PMA_OP_CREATE,
				.name = name,
				.len = 4096,
				.attributes = bytes,
				.attributes_len = len };
}

static void run(struct pma *pma, struct pma_op *op)
{
	OK(pma_run(pma, op, 1));
	OK(op->result);
}

static size_t attributes_of(struct pma *pma, struct pma_handle handle)
{
	struct pma_info info;

	OK(pma_stat(&info, pma, handle));
	CHECK(has(info.attributes, info.attributes_len, info.attributes_len));
	return info.attributes_len;
}

/* A create and a publish give them; stat, open and list tell them; resize and rename keep them. */
static void give(struct pma *pma)
{
	struct pma_op op = create("made", 5);
	struct pma_handle draft;
	struct pma_info info, list[4];
	uint64_t cursor = 0;
	size_t nr = 4;

	run(pma, &op);
	CHECK(attributes_of(pma, op.handle) == 5);
	OK(pma_close(pma, op.handle));
	op = (struct pma_op){ .opcode = PMA_OP_OPEN, .name = "made", .stat = &info };
	run(pma, &op);
	CHECK(has(info.attributes, info.attributes_len, 5));
	OK(pma_reserve(&draft, pma, "draft", PAGE, 0));
	CHECK(attributes_of(pma, draft) == 0);
	op = (struct pma_op){ .opcode = PMA_OP_PUBLISH,
			      .handle = draft,
			      .attributes = bytes,
			      .attributes_len = PMA_MAX_ATTRIBUTES };
	run(pma, &op);
	OK(pma_resize(pma, draft, 2 * PAGE));
	OK(pma_rename(pma, draft, "final"));
	OK(pma_list(list, &nr, &cursor, pma, 0, "final"));
	CHECK(nr == 1 && has(list[0].attributes, list[0].attributes_len, PMA_MAX_ATTRIBUTES));
}

static void change(struct pma *pma)
{
	struct pma_info info;

	OK(pma_stat_name(&info, pma, 0, "made"));
	OK(pma_set_attributes(pma, info.handle, bytes, 77));
	CHECK(attributes_of(pma, info.handle) == 77);
	OK(pma_set_mode(pma, info.handle, 0640));
	CHECK(attributes_of(pma, info.handle) == 77);
	OK(pma_set_attributes(pma, info.handle, NULL, 0));
	CHECK(attributes_of(pma, info.handle) == 0);
	OK(pma_set_attributes(pma, info.handle, bytes, 9));
}

static void refuse(struct pma *pma)
{
	struct pma_op op = create("no", PMA_MAX_ATTRIBUTES + 1);
	struct pma_handle draft;

	OK(pma_run(pma, &op, 1));
	CHECK(op.result == -EINVAL);
	op = create("no", 8);
	op.opcode = PMA_OP_RESERVE;
	OK(pma_run(pma, &op, 1));
	CHECK(op.result == -EINVAL && strstr(pma_message(), "publishes"));
	OK(pma_reserve(&draft, pma, NULL, 4096, 0));
	CHECK(pma_set_attributes(pma, draft, bytes, 8) == -EINVAL);
	CHECK(pma_set_attributes(pma, draft, bytes, sizeof(bytes)) == -EINVAL);
	OK(pma_abort(pma, draft));
}

static void get(struct pma_window *window, const char *name, size_t len, unsigned flags)
{
	struct pma_key key = { .name = name };
	struct pma_pin pin;

	CHECK(pma_get(window, &pin, &key, 1, flags) == 1);
	CHECK(has(pin.attributes, pin.attributes_len, len));
	pma_put(window, &pin, 1);
}

/* A hit has them without a message, and a miss (a name that is just being made) by one. */
static void look(struct pma *pma)
{
	struct pma_window *window;
	struct pma_op op = create("short", 3);
	struct pma_info info;

	OK(pma_window_open(&window, pma, 0, 0, 2 * MANY));
	get(window, "made", 9, PMA_GET_LOCAL);
	get(window, "final", PMA_MAX_ATTRIBUTES, PMA_GET_LOCAL);
	run(pma, &op);
	get(window, "short", 3, PMA_GET_LOCAL);
	OK(pma_set_attributes(pma, op.handle, bytes, 200));
	get(window, "short", 200, PMA_GET_LOCAL);
	OK(pma_set_attributes(pma, op.handle, NULL, 0));
	get(window, "short", 0, PMA_GET_LOCAL);
	OK(pma_stat_name(&info, pma, 0, "short"));
	OK(pma_free(pma, info.handle));
	pma_window_close(window);
}

static void name_of(char name[16], size_t i)
{
	snprintf(name, 16, "many-%03zu", i);
}

/* More than fit into a message, by each way in which a program asks for many. */
static void many(struct pma *pma)
{
	static struct pma_info infos[MANY];
	static struct pma_op ops[MANY];
	static char names[MANY][16];
	uint64_t cursor = 0;
	size_t nr = 0, got;

	for (size_t i = 0; i < MANY; i++) {
		name_of(names[i], i);
		ops[i] = create(names[i], 1 + i % PMA_MAX_ATTRIBUTES);
	}
	OK(pma_run(pma, ops, MANY));
	for (size_t i = 0; i < MANY; i++) {
		OK(ops[i].result);
		ops[i] = (struct pma_op){ .opcode = PMA_OP_STAT, .name = names[i], .stat = &infos[i] };
	}
	OK(pma_run(pma, ops, MANY));
	for (size_t i = 0; i < MANY; i++) {
		OK(ops[i].result);
		CHECK(has(infos[i].attributes, infos[i].attributes_len,
			  1 + i % PMA_MAX_ATTRIBUTES));
	}
	do {
		got = MANY - nr;
		OK(pma_list(infos + nr, &got, &cursor, pma, 0, "many-"));
		nr += got;
	} while (cursor);
	CHECK(nr == MANY);
	for (size_t i = 0; i < MANY; i++)
		CHECK(has(infos[i].attributes, infos[i].attributes_len,
			  1 + i % PMA_MAX_ATTRIBUTES));
}

/* What a cache publishes has them too. */
static void publish_piece(struct pma *pma)
{
	struct pma_cache *cache;
	struct pma_piece piece;
	struct pma_publication what = { .piece = &piece,
					.name = "piece",
					.attributes = bytes,
					.attributes_len = 12 };
	struct pma_info info;

	OK(pma_cache_open(&cache, pma, 0, 4 * PAGE));
	OK(pma_cache_reserve(&piece, cache, 4096, 0));
	OK(pma_cache_publish(cache, &what, 1));
	OK(what.result);
	OK(pma_stat_name(&info, pma, 0, "piece"));
	CHECK(has(info.attributes, info.attributes_len, 12));
	OK(pma_cache_release(cache, &piece));
	pma_cache_close(cache);
}

int main(void)
{
	struct pma *pma;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 3);
	OK(pma_connect(&pma, NULL));
	give(pma);
	change(pma);
	refuse(pma);
	look(pma);
	many(pma);
	publish_piece(pma);
	pma_disconnect(pma);
	return 0;
}
