/* SPDX-License-Identifier: BSD-3-Clause */
/* Replacing, freeing by name, sentences and arenas through the library, with the real daemon. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pmemarena.h>

#include "tests/system/check.h"

#define PAGE (UINT64_C(2) << 20)

static struct pma_handle named(struct pma *pma, const char *name)
{
	struct pma_info info;

	OK(pma_stat_name(&info, pma, 0, name));
	return info.handle;
}

/* Who has the old one mapped keeps it, and who opens the name gets the new one. */
static void replace(struct pma *pma)
{
	struct pma_handle old, new, third, opened = PMA_HANDLE_NONE;
	struct pma_mapping *map;

	OK(pma_create(&old, pma, "weights", PAGE, 0));
	OK(pma_map(&map, pma, old, PMA_MAP_WRITE));
	OK(pma_memcpy(map, pma_map_address(map), "old", 4));
	OK(pma_reserve(&new, pma, NULL, PAGE, 0));
	OK(pma_replace(pma, new, "weights"));
	CHECK(!pma_is_valid(pma, old) && pma_is_valid(pma, new));
	CHECK(strcmp(pma_map_address(map), "old") == 0);
	OK(pma_open(&opened, pma, "weights", PMA_READ_ONLY));
	CHECK(opened.id == new.id);
	pma_unmap(map);
	OK(pma_close(pma, old));
	OK(pma_create(&third, pma, "weights", PAGE, PMA_REPLACE));
	CHECK(named(pma, "weights").id == third.id);
	OK(pma_create(&old, pma, "other", PAGE, 0));
	CHECK(pma_rename(pma, old, "weights") == -EEXIST);
	OK(pma_rename_flags(pma, old, "weights", PMA_REPLACE));
	CHECK(named(pma, "weights").id == old.id);
	CHECK(pma_replace(pma, old, NULL) == -EINVAL);
	OK(pma_free(pma, old));
}

static void busy(struct pma *pma, struct pma *other)
{
	struct pma_handle mine, theirs;

	OK(pma_reserve(&mine, pma, "draft", PAGE, 0));
	CHECK(pma_create(&theirs, other, "draft", PAGE, 0) == -EBUSY);
	CHECK(pma_create(&theirs, other, "draft", PAGE, PMA_REPLACE) == -EBUSY);
	OK(pma_publish(pma, mine));
	CHECK(pma_create(&theirs, other, "draft", PAGE, 0) == -EEXIST);
	OK(pma_free(pma, mine));
}

static void batch(struct pma *pma)
{
	char messages[4][PMA_MAX_MESSAGE];
	struct pma_handle a, b;
	struct pma_op ops[4] = {
		{ .opcode = PMA_OP_FREE, .name = "a" },
		{ .opcode = PMA_OP_FREE, .name = "nothing" },
		{ .opcode = PMA_OP_FREE, .name = "b" },
		{ .opcode = PMA_OP_FREE, .name = "a", .flags = PMA_DONE },
	};
	struct pma_mapping *map;

	OK(pma_create(&a, pma, "a", PAGE, 0));
	OK(pma_create(&b, pma, "b", PAGE, 0));
	OK(pma_map(&map, pma, b, PMA_MAP_WRITE));
	for (unsigned i = 0; i < 4; i++)
		ops[i].message = messages[i];
	OK(pma_run(pma, ops, 4));
	CHECK(ops[0].result == 0 && !messages[0][0] && ops[0].handle.id == a.id);
	CHECK(ops[1].result == -ENOENT && strstr(messages[1], "\"nothing\""));
	/* It is mapped here, as by somebody else: that does not hinder a free by name. */
	CHECK(ops[2].result == 0 && ops[2].handle.id == b.id);
	CHECK(ops[3].result == -EINVAL && strstr(messages[3], "PMA_DONE"));
	CHECK(!pma_is_valid(pma, a) && !pma_is_valid(pma, b));
	pma_unmap(map);
	OK(pma_close(pma, b));
	OK(pma_close(pma, a));
}

static void arenas(struct pma *pma)
{
	struct pma_handle made, opened;
	struct pma_arena arena;
	struct pma_info info;

	OK(pma_arena_get(&arena, pma, 1));
	CHECK(arena.device_size >= arena.size && arena.data_off + arena.size <= arena.device_size);
	CHECK(arena.node == -1);        /* a file has none */
	OK(pma_create_in(&made, pma, 1, "there", 4096, 0));
	CHECK(made.arena == 1 && pma_stat_name(&info, pma, 0, "there") == -ENOENT);
	OK(pma_open_in(&opened, pma, 1, "there", 0));
	CHECK(opened.id == made.id);
	CHECK(pma_open_in(&opened, pma, 1, NULL, 0) == -EINVAL);
	CHECK(pma_create_in(&opened, pma, 7, "there", 4096, 0) == -ENOENT);
	OK(pma_free(pma, made));
	OK(pma_reserve_in(&made, pma, 1, NULL, 4096, 0));
	CHECK(made.arena == 1);
	OK(pma_abort(pma, made));
}

int main(void)
{
	struct pma *pma, *other;

	OK(pma_connect(&pma, NULL));
	OK(pma_connect(&other, NULL));
	replace(pma);
	busy(pma, other);
	batch(pma);
	arenas(pma);
	pma_disconnect(other);
	pma_disconnect(pma);
	return 0;
}
