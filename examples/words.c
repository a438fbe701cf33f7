/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * words [NR]
 *
 * Counts the words of standard input in a hash table whose nodes are small objects in memory of an
 * arena, and prints the NR (10) most frequent. The table is as large as the input wants; the
 * process's own memory is not used for it.
 */
#include <ctype.h>
#include <pmemarena-heap.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536u

struct word {
	struct word *next;
	unsigned long count;
	char text[];
};

static struct pma_heap *heap;
static struct word **buckets;
static size_t nr_words;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "words: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void fail_heap(const char *what)
{
	char why[512];

	pma_heap_why(heap, why, sizeof(why));
	fail(what, why);
}

static unsigned hash(const char *text)
{
	unsigned h = 5381;

	while (*text)
		h = h * 33 + (unsigned char)*text++;
	return h % BUCKETS;
}

static void count(const char *text)
{
	struct word **bucket = &buckets[hash(text)], *word = *bucket;
	size_t size = strlen(text) + 1;

	while (word && strcmp(word->text, text) != 0)
		word = word->next;
	if (!word) {
		word = pma_heap_malloc(heap, sizeof(*word) + size);
		if (!word)
			fail_heap("one more word");
		memcpy(word->text, text, size);
		word->count = 0;
		word->next = *bucket;
		*bucket = word;
		nr_words++;
	}
	word->count++;
}

static void read_words(void)
{
	char text[64];
	size_t len = 0;
	int c;

	while ((c = getchar()) != EOF || len > 0) {
		if (c != EOF && isalnum(c) && len < sizeof(text) - 1) {
			text[len++] = (char)tolower(c);
			continue;
		}
		text[len] = '\0';
		if (len > 0)
			count(text);
		len = 0;
	}
}

static int by_count(const void *a, const void *b)
{
	const struct word *x = *(struct word *const *)a, *y = *(struct word *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->text, y->text);
}

static void print_most(size_t nr)
{
	struct word **all = pma_heap_malloc(heap, nr_words * sizeof(*all));
	size_t n = 0;

	if (!all)
		fail_heap("sorting");
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct word *word = buckets[i]; word; word = word->next)
			all[n++] = word;
	qsort(all, n, sizeof(*all), by_count);
	for (size_t i = 0; i < n && i < nr; i++)
		printf("%lu %s\n", all[i]->count, all[i]->text);
	pma_heap_free(heap, all);
}

int main(int argc, char **argv)
{
	struct pma *pma;

	if (pma_connect(&pma, NULL) < 0)
		fail("no connection", pma_message());
	if (pma_heap_open(&heap, pma, 0, 0, 0) < 0)
		fail("no heap", pma_message());
	buckets = pma_heap_calloc(heap, BUCKETS, sizeof(*buckets));
	if (!buckets)
		fail_heap("no table");
	read_words();
	print_most(argc > 1 ? strtoul(argv[1], NULL, 10) : 10);
	pma_heap_close(heap);
	pma_disconnect(pma);
	return 0;
}
