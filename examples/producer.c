/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * producer NAME SIZE [TEXT...]: make a named extent of persistent memory and leave a message in it
 * for consumer.c.
 *
 *	./producer greeting 1M hello from one process
 *	./consumer greeting
 *
 * What is shared begins with a small header. Its `sequence` is odd while the message is being
 * written and even when it is whole, so that a reader in another process sees all of a message or
 * none, and so does a reader after a power cut.
 */
#include <inttypes.h>
#include <pmemarena.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC UINT64_C(0x6772656574696e67)      /* "greeting" */

struct shared {
	uint64_t magic;
	_Atomic uint64_t sequence;      /* 0: nothing yet; odd: being written; even: whole */
	uint64_t len;
	char text[];
};

static void die(const char *what)
{
	fprintf(stderr, "producer: %s: %s\n", what, pma_message());
	exit(EXIT_FAILURE);
}

/* The words of the command line as one text. */
static char *join(char **words, int nr)
{
	size_t len = 1;
	char *text;

	for (int i = 0; i < nr; i++)
		len += strlen(words[i]) + 1;
	text = calloc(1, len);
	if (!text) {
		perror("producer");
		exit(EXIT_FAILURE);
	}
	for (int i = 0; i < nr; i++) {
		strcat(text, words[i]);
		strcat(text, i + 1 < nr ? " " : "");
	}
	return text;
}

/* "4096", "64K", "1M", "2G". 0: no size. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	uint64_t size = strtoull(text, &end, 0);

	if (*end == '\0')
		return size;
	unit = strchr(units, *end);
	return unit && end[1] == '\0' ? size << (10 * (unit - units + 1)) : 0;
}

/* An extent that is there is used again: then this is the next message. */
static struct pma_handle open_or_create(struct pma *pma, const char *name, uint64_t size)
{
	struct pma_handle handle;

	if (pma_open(&handle, pma, name, 0) < 0 && pma_create(&handle, pma, name, size, 0) < 0)
		die(name);
	return handle;
}

/*
 * Each step is durable before the next begins: after a power cut an even sequence vouches for the
 * text.
 */
static void write_message(struct pma_mapping *map, const char *text)
{
	struct shared *shared = pma_map_address(map);
	uint64_t len = strlen(text),
		 sequence = shared->magic == MAGIC ? atomic_load(&shared->sequence) | 1 : 1;

	if (len > pma_map_length(map) - sizeof(*shared)) {
		fprintf(stderr,
			"producer: the text has %" PRIu64 " bytes, the extent has room for %zu\n",
			len, pma_map_length(map) - sizeof(*shared));
		exit(EXIT_FAILURE);
	}
	atomic_store(&shared->sequence, sequence);
	if (pma_persist(map, &shared->sequence, sizeof(shared->sequence)) < 0)
		die("persist");
	/* No store below may be seen before the odd sequence. */
	atomic_thread_fence(memory_order_release);
	shared->magic = MAGIC;
	shared->len = len;
	if (pma_persist(map, shared, sizeof(*shared)) < 0 ||
	    pma_memcpy(map, shared->text, text, len) < 0)
		die("persist");
	atomic_store_explicit(&shared->sequence, sequence + 1, memory_order_release);
	if (pma_persist(map, &shared->sequence, sizeof(shared->sequence)) < 0)
		die("persist");
}

int main(int argc, char **argv)
{
	struct pma_handle handle;
	struct pma_mapping *map;
	struct pma *pma;
	char hello[] = "hello", *greeting[] = { hello };
	uint64_t size = argc >= 3 ? parse_size(argv[2]) : 0;
	char *text;

	if (size == 0) {
		fprintf(stderr, "usage: producer NAME SIZE [TEXT...]   (a size: 4096, 64K, 1M)\n");
		return 2;
	}
	text = argc > 3 ? join(argv + 3, argc - 3) : join(greeting, 1);
	if (pma_connect(&pma, NULL) < 0)
		die("connect");
	handle = open_or_create(pma, argv[1], size);
	/*
	 * So that others of the group may read it. Not ours to change if somebody else made it:
	 * then its mode stays.
	 */
	(void)pma_set_mode(pma, handle, 0640);
	if (pma_map(&map, pma, handle, PMA_MAP_WRITE) < 0)
		die("map");
	write_message(map, text);
	printf("%s: id %" PRIu64 ", %zu bytes: \"%s\"\n", argv[1], handle.id, pma_map_length(map),
	       text);
	pma_unmap(map);
	pma_disconnect(pma);
	free(text);
	return EXIT_SUCCESS;
}
