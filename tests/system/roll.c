/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roll: what a program of one session sees of arenas that come and go. A line on standard input is
 * a call of the library (count, get N, find NAME, subscribe N, dispatch, create N NAME, open N
 * NAME); the answer is one line.
 */
#include <config.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pmemarena.h>

static struct pma *pma;

static void on_event(const struct pma_event *event, void *arg)
{
	printf("event %d %u %s;", (int)event->kind, event->handle.arena, event->name);
}

static void say(int r)
{
	printf("%d %s\n", r, r < 0 ? pma_message() : "");
}

static void get(uint32_t index)
{
	struct pma_arena arena;
	int r = pma_arena_get(&arena, pma, index);

	if (r < 0)
		say(r);
	else
		printf("%s %" PRIu64 "\n", arena.name, arena.size);
}

static void find(const char *name)
{
	uint32_t index;
	int r = pma_arena_find(&index, pma, name);

	if (r < 0)
		say(r);
	else
		printf("%u\n", index);
}

/* Waits until something is there, and prints what it was on one line. */
static void dispatch(void)
{
	struct pollfd fd = { .fd = pma_get_fd(pma), .events = POLLIN };

	poll(&fd, 1, 10000);
	say(pma_dispatch(pma));
}

/* Maps it and looks whether it has what was written before; it stays open. */
static void open_mapped(uint32_t index, const char *name, bool writes)
{
	struct pma_mapping *map = NULL;
	struct pma_handle handle;
	int r = writes ? pma_create_in(&handle, pma, index, name, 2 << 20, 0) : 0;

	if (r == 0)
		r = pma_open_in(&handle, pma, index, name, 0);
	if (r == 0)
		r = pma_map(&map, pma, handle, PMA_MAP_WRITE);
	if (r == 0 && writes)
		memcpy(pma_map_address(map), name, strlen(name));
	if (r == 0 && memcmp(pma_map_address(map), name, strlen(name)) != 0)
		printf("other contents ");
	pma_unmap(map);
	if (r == 0)
		r = pma_close(pma, handle);
	say(r);
}

static void run(const char *line)
{
	char word[32] = "", name[64] = "";
	uint32_t index = 0;

	if (sscanf(line, "%31s %u %63s", word, &index, name) < 2)
		sscanf(line, "%31s %63s", word, name);
	if (strcmp(word, "count") == 0)
		printf("%u\n", pma_arena_count(pma));
	else if (strcmp(word, "get") == 0)
		get(index);
	else if (strcmp(word, "find") == 0)
		find(name);
	else if (strcmp(word, "subscribe") == 0)
		say(pma_subscribe(pma, index, NULL, on_event, NULL));
	else if (strcmp(word, "dispatch") == 0)
		dispatch();
	else
		open_mapped(index, name, strcmp(word, "create") == 0);
	fflush(stdout);
}

int main(void)
{
	char line[128];

	if (pma_connect(&pma, NULL) < 0) {
		printf("%s\n", pma_message());
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		run(line);
	pma_disconnect(pma);
	return 0;
}
