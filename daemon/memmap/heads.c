/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heads: the head plane: 64 bytes for each compound page, dense and private. It costs address
 * space; memory comes page by page, when units are activated.
 */
#include <config.h>

#include <string.h>
#include <errno.h>
#include <sys/mman.h>

#include "daemon/memmap/memmap_internal.h"

int heads_init(struct memmap *mm, struct why *why)
{
	mm->heads_len = (mm->nr_pages * DESC_SIZE + BASE_PAGE - 1) & ~(BASE_PAGE - 1);
	mm->heads = mmap(NULL, mm->heads_len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mm->heads == MAP_FAILED) {
		mm->heads = NULL;
		return why_set(why, -ENOMEM,
			       "the head plane (%zu MiB of address space) cannot be mapped: %s; is "
			       "there a limit on address space or locked memory (ulimit -v, -l)?",
			       mm->heads_len >> 20, strerror(errno));
	}
	node_prefer(&mm->node, mm->heads, mm->heads_len);
	return 0;
}

void heads_fini(struct memmap *mm)
{
	if (mm->heads)
		munmap(mm->heads, mm->heads_len);
	mm->heads = NULL;
}

/*
 * Takes the memory for the heads of a range with one call. That is quicker than a fault for each
 * page of heads, and a lack of memory is an error number here and not a killed daemon.
 */
int heads_populate(struct memmap *mm, uint64_t page, uint64_t nr)
{
	uint64_t first = unit_first(mm, unit_of(mm, page)), last = unit_of(mm, page + nr - 1);
	uintptr_t start = (uintptr_t)&mm->heads[first] & ~(uintptr_t)(BASE_PAGE - 1);
	uintptr_t end = (uintptr_t)&mm->heads[unit_first(mm, last) + unit_pages(mm, last)];

	if (mm->p.home == MEMMAP_DEVICE ||
	    madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0)
		return 0;
	/* a kernel before 5.14 does not know the call; memory then comes by faults */
	return errno == ENOMEM ? -ENOMEM : 0;
}

void heads_activate(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit_first(mm, unit), end = first + unit_pages(mm, unit);

	for (uint64_t page = first; page < end; page++)
		mm->heads[page << mm->head_shift] =
			(struct desc){ .kind = DESC_HEAD, .order = mm->p.order };
}

uint64_t heads_resident(const struct memmap *mm)
{
	unsigned char vec[4096];
	uint64_t nr = 0;

	for (size_t at = 0; at < mm->heads_len; at += sizeof(vec) * BASE_PAGE) {
		size_t len = mm->heads_len - at < sizeof(vec) * BASE_PAGE ? mm->heads_len - at
									  : sizeof(vec) * BASE_PAGE;

		if (mincore((char *)mm->heads + at, len, vec) < 0)
			break;
		for (size_t i = 0; i < len / BASE_PAGE; i++)
			nr += vec[i] & 1;
	}
	return nr * BASE_PAGE;
}
