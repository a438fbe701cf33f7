/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * consumer NAME [SECONDS]: wait for the message that producer.c leaves in a named extent, and print
 * it. The extent is opened read-only: the kernel itself keeps this process from writing.
 */
#include <errno.h>
#include <inttypes.h>
#include <pmemarena.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAGIC UINT64_C(0x6772656574696e67)      /* as in producer.c */
#define LOOK_MS 20

struct shared {
	uint64_t magic;
	_Atomic uint64_t sequence;      /* 0: nothing yet; odd: being written; even: whole */
	uint64_t len;
	char text[];
};

static void die(const char *what)
{
	fprintf(stderr, "consumer: %s: %s\n", what, pma_message());
	exit(EXIT_FAILURE);
}

static void pause_a_moment(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
}

/* It may not be there yet. */
static struct pma_handle wait_for_name(struct pma *pma, const char *name, int *looks)
{
	struct pma_handle handle;
	int r;

	while ((r = pma_open(&handle, pma, name, PMA_READ_ONLY)) == -ENOENT && --*looks > 0)
		pause_a_moment();
	if (r < 0)
		die(name);
	return handle;
}

/* A copy of the message, or NULL: there is none at this moment. */
static char *copy_message(const struct pma_mapping *map)
{
	const struct shared *shared = pma_map_address(map);
	uint64_t before = atomic_load_explicit(&shared->sequence, memory_order_acquire),
		 len = shared->len;
	char *text;

	/* Somebody else's bytes are checked before they are believed. */
	if (before == 0 || before % 2 || shared->magic != MAGIC ||
	    len > pma_map_length(map) - sizeof(*shared))
		return NULL;
	text = malloc(len + 1);
	if (!text)
		return NULL;
	memcpy(text, shared->text, len);
	text[len] = '\0';
	/* No load above may be done after this one: what changed meanwhile is not whole. */
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&shared->sequence, memory_order_relaxed) == before)
		return text;
	free(text);
	return NULL;
}

int main(int argc, char **argv)
{
	int looks = (argc > 2 ? atoi(argv[2]) : 10) * 1000 / LOOK_MS;
	struct pma_handle handle;
	struct pma_mapping *map;
	struct pma *pma;
	char *text;

	if (argc < 2) {
		fprintf(stderr, "usage: consumer NAME [SECONDS]\n");
		return 2;
	}
	if (pma_connect(&pma, NULL) < 0)
		die("connect");
	handle = wait_for_name(pma, argv[1], &looks);
	if (pma_map(&map, pma, handle, PMA_MAP_READ) < 0)
		die("map");
	while (!(text = copy_message(map)) && --looks > 0)
		pause_a_moment();
	if (text)
		printf("%s\n", text);
	else
		fprintf(stderr, "consumer: there is no message in %s\n", argv[1]);
	free(text);
	pma_unmap(map);
	pma_disconnect(pma);
	return text ? EXIT_SUCCESS : EXIT_FAILURE;
}
