/* SPDX-License-Identifier: BSD-3-Clause */
/* memmap_fixture: reads /proc through stdio; knows nothing of which test it serves. */
#include <config.h>

#include "tests/unit/memmap_fixture.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memmap *new_memmap(uint64_t bytes, uint8_t order, uint32_t max_vmas)
{
	struct memmap_params params = { .nr_pfns = bytes >> DESC_SHIFT,
					.order = order,
					.numa_node = -1,
					.max_vmas = max_vmas };
	struct memmap *mm;

	ck_assert_int_eq(memmap_new(&mm, &params, NULL), 0);
	return mm;
}

/* ---- what /proc says ---- */

uint64_t count_vmas(void)
{
	char line[512];
	uint64_t nr = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), f))
		nr++;
	fclose(f);
	return nr;
}

uint64_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

uint64_t vmas_of(const struct memmap *mm)
{
	struct memmap_stats stats;

	memmap_stats(mm, &stats);
	return stats.vmas_used;
}

/* A mapping may reach beyond the plane where it is inactive: cut there. */
static void put_line(FILE *out, const char *line, uint64_t start, uint64_t end)
{
	uint64_t from, to, off;
	char access[8], name[256] = "";

	if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &from, &to, access, &off, name) < 4 ||
	    to <= start || from >= end)
		return;
	if (name[0] == '\0')
		off = 0;
	from = from > start ? from - start : 0;
	to = to < end ? to - start : end - start;
	fprintf(out, "%lx-%lx %s %lx %s\n", from, to, access, off, name);
}

char *plane_text(const struct memmap *mm, uint64_t nr_pfns)
{
	uint64_t start = (uint64_t)(uintptr_t)(memmap_desc(mm, 1) - 1),
		 end = start + nr_pfns * sizeof(struct desc);
	char line[512], *text;
	size_t len;
	FILE *out = open_memstream(&text, &len), *f = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), f))
		put_line(out, line, start, end);
	fclose(f);
	fclose(out);
	return text;
}

uint64_t count_lines(const char *text)
{
	uint64_t nr = 0;

	while ((text = strchr(text, '\n')) && text++)
		nr++;
	return nr;
}

/* ---- pages ---- */

bool is_plain(const struct desc *desc)
{
	static const struct desc plain = { .kind = DESC_TAIL };

	return memcmp(desc, &plain, sizeof(plain)) == 0;
}

void assert_plain_page(const struct memmap *mm, uint64_t page, uint8_t order)
{
	const struct desc *head = memmap_desc(mm, page << order);

	ck_assert_int_eq(head->kind, DESC_HEAD);
	ck_assert_int_eq(head->order, order);
	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		ck_assert_msg(is_plain(memmap_desc(mm, (page << order) + i)), "page %llu tail %llu",
			      (unsigned long long)page, (unsigned long long)i);
}

void reset_tails(struct memmap *mm, uint64_t page, uint8_t order)
{
	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		memmap_tail(mm, (page << order) + i)->object = 0;
}

void settle(struct memmap *mm)
{
	while (memmap_maintain(mm))
		;
	memmap_maintain(mm);
	memmap_maintain(mm);
}

/* ---- numbers ---- */

static uint64_t state;

void rnd_seed(uint64_t seed)
{
	state = seed;
}

uint64_t rnd(uint64_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % n;
}

uint64_t steps(uint64_t most)
{
	const char *text = getenv("MEMMAP_STEPS");

	return text ? strtoull(text, NULL, 0) : most;
}
