/* SPDX-License-Identifier: BSD-3-Clause */
/* memmap: flat descriptors; stands here until the two planes land. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "daemon/memmap/memmap.h"

struct memmap {
	struct memmap_params p;
	struct desc *desc;
	uint8_t *active, *split;
};

int memmap_new(struct memmap **out, const struct memmap_params *params, struct why *why)
{
	struct memmap *mm = calloc(1, sizeof(*mm));

	(void)why;
	if (!mm)
		return -ENOMEM;
	mm->p = *params;
	mm->desc = mmap(NULL, params->nr_pfns * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	mm->active = calloc((params->nr_pfns >> 15) + 1, 1);
	mm->split = calloc((params->nr_pfns >> params->order) + 1, 1);
	*out = mm;
	return 0;
}

void memmap_free(struct memmap *mm)
{
	if (!mm)
		return;
	munmap(mm->desc, mm->p.nr_pfns * 64);
	free(mm->active);
	free(mm->split);
	free(mm);
}

uint64_t memmap_device_bytes(uint64_t nr_pfns, uint8_t order) { (void)order; return nr_pfns * 64; }

static uint64_t section_of(const struct memmap *mm, uint64_t page) { return (page << mm->p.order) >> 15; }

int memmap_activate(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t last = ((page + nr) << mm->p.order) - 1;

	for (uint64_t s = section_of(mm, page); s <= last >> 15; s++) {
		for (uint64_t pfn = s << 15; !mm->active[s] && pfn < (s + 1) << 15 && pfn < mm->p.nr_pfns; pfn++)
			mm->desc[pfn].kind = pfn & ((UINT64_C(1) << mm->p.order) - 1) ? DESC_TAIL : DESC_HEAD;
		mm->active[s] = 1;
	}
	return 0;
}

bool memmap_is_active(const struct memmap *mm, uint64_t page) { return mm->active[section_of(mm, page)]; }
const struct desc *memmap_desc(const struct memmap *mm, uint64_t pfn) { return &mm->desc[pfn]; }
struct desc *memmap_head(struct memmap *mm, uint64_t page) { return &mm->desc[page << mm->p.order]; }
struct desc *memmap_tail(struct memmap *mm, uint64_t pfn) { return &mm->desc[pfn]; }
int memmap_restore(struct memmap *mm, uint64_t page) { mm->split[page] = 1; return 0; }
void memmap_dedup(struct memmap *mm, uint64_t page, uint64_t nr) { for (uint64_t i = 0; i < nr; i++) mm->split[page + i] = 0; }
bool memmap_maintain(struct memmap *mm) { (void)mm; return false; }
void memmap_stats(const struct memmap *mm, struct memmap_stats *stats) { (void)mm; *stats = (struct memmap_stats){ 0 }; }

int memmap_poison(struct memmap *mm, uint64_t pfn)
{
	if (mm->desc[pfn].flags & DESC_POISON)
		return 0;
	mm->desc[pfn].flags |= DESC_POISON;
	memmap_head(mm, pfn >> mm->p.order)->nr_poisoned++;
	return 1;
}
