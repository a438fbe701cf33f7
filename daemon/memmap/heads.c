/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heads: the head plane, 64 bytes a compound page, dense and private. Memory comes page by page as sections are activated. Placement on the
 * device's NUMA node is here too, since the heads are what the daemon reads most.
 */
#include <config.h>

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>

#include "daemon/log.h"
#include "daemon/memmap/memmap_internal.h"

#define HUGE_ALIGN (UINT64_C(2) << 20)

int heads_init(struct memmap *mm, struct why *why)
{
	mm->heads_len = (mm->nr_pages * DESC_SIZE + 4095) & ~(size_t)4095;
	mm->heads = mmap(NULL, mm->heads_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mm->heads == MAP_FAILED) {
		mm->heads = NULL;
		return why_set(why, -ENOMEM, "the head plane (%zu MiB of address space) cannot be mapped: is there a limit on address space?",
			       mm->heads_len >> 20);
	}
	heads_place(mm, mm->heads, mm->heads_len);
	return 0;
}

void heads_fini(struct memmap *mm)
{
	if (mm->heads)
		munmap(mm->heads, mm->heads_len);
	mm->heads = NULL;
}

/* Preferred, not bound: descriptors elsewhere are slower, no descriptors are an outage. */
void heads_place(struct memmap *mm, void *addr, size_t len)
{
	unsigned long nodes[16] = { 0 };
	int node = mm->p.numa_node;

	if (node < 0 || node >= (int)(sizeof(nodes) * 8) || !len)
		return;
	nodes[node / 64] = 1ul << (node % 64);
	if (mbind(addr, len, MPOL_PREFERRED, nodes, sizeof(nodes) * 8, 0) == 0 || mm->warned_node || errno == ENOSYS)
		return;
	log_warning("memmap: descriptors cannot be placed on NUMA node %d of the device; they are wherever there is room", node);
	mm->warned_node = true;
}

/* One line a range, as the kernel says it for its own. */
static void report_node(const struct memmap *mm, uint64_t unit, void *addr)
{
	uint64_t first = mm->p.base_pfn + (unit << mm->unit_shift);
	int node = -1;

	if (mm->p.numa_node < 0 || get_mempolicy(&node, NULL, 0, addr, MPOL_F_NODE | MPOL_F_ADDR) < 0 || node == mm->p.numa_node)
		return;
	log_notice("memmap: [pfn %#llx-%#llx] potential offnode descriptors: on node %d, the device is on node %d",
		   (unsigned long long)first, (unsigned long long)(first + (UINT64_C(1) << mm->unit_shift) - 1), node, mm->p.numa_node);
}

void heads_activate(struct memmap *mm, uint64_t unit)
{
	uint64_t first = unit << mm->unit_shift >> mm->p.order, end = (unit + 1) << mm->unit_shift >> mm->p.order;

	if (end > mm->nr_pages)
		end = mm->nr_pages;
	for (uint64_t page = first; page < end; page++)
		mm->heads[page << mm->head_shift] = (struct desc){ .kind = DESC_HEAD, .order = mm->p.order };
	report_node(mm, unit, &mm->heads[first << mm->head_shift]);
}
