/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * area: maps the data of one arena with one mmap() and two madvise(). It knows neither the daemon
 * nor the window that it belongs to.
 */
#include <config.h>

#include "lib/window/area.h"

#include <errno.h>
#include <linux/mman.h>
#include <pmemarena.h>
#include <sys/mman.h>

#include "lib/error.h"

#define MiB(n) ((uint64_t)(n) << 20)
#define GiB(n) ((uint64_t)(n) << 30)

/*
 * The kernel has these since Linux 5.14. The headers of Debian 12 define them, older headers do
 * not.
 */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/*
 * Reserves address space for the area, at an address that is @begin modulo @huge: the kernel maps
 * huge pages only where address and offset in the file are equal modulo their size. The reserve is
 * larger than the area by @huge. What of that surplus munmap() does not give back stays a part of
 * the area, and area_fini() unmaps it.
 */
static int reserve(struct area *area, uint64_t size, uint64_t huge, uint64_t begin)
{
	uint64_t before;
	char *memory;

	memory = mmap(NULL, size + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		      0);
	if (memory == MAP_FAILED)
		return -errno;
	before = (begin - (uint64_t)(uintptr_t)memory) & (huge - 1);
	area->base = memory + before;
	area->size = size;
	area->held = memory;
	area->nr_held = size + huge;
	if (before == 0 || munmap(memory, before) == 0) {
		area->held += before;
		area->nr_held -= before;
	}
	if (munmap(area->base + size, huge - before) == 0)
		area->nr_held -= huge - before;
	return 0;
}

/*
 * Maps the device over the reserved addresses, with MAP_SYNC where it is wanted and the kernel has
 * it. On a dax file system flushed lines are durable by themselves only under MAP_SYNC; without it
 * a program would need msync(). memory/map.c does the same.
 */
static void *map_there(char *at, uint64_t size, int prot, int fd, uint64_t begin, bool wants_sync)
{
	void *got = MAP_FAILED;

	if (wants_sync)
		got = mmap(at, size, prot, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, fd,
			   (off_t)begin);
	if (got == MAP_FAILED)
		got = mmap(at, size, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)begin);
	return got;
}

int area_init(struct area *area, int fd, const struct wire_arena *arena, bool is_writable,
	      struct why *why)
{
	uint64_t begin = arena->data_off & ~(arena->align - 1), end, size, huge;
	int prot = is_writable ? PROT_READ | PROT_WRITE : PROT_READ, r;

	if (arena->size == 0 || __builtin_add_overflow(arena->data_off, arena->size, &end) ||
	    __builtin_add_overflow(end, arena->align - 1, &end) ||
	    (end & ~(arena->align - 1)) > arena->device_size)
		return why_set(why, -EPROTO, "the data of arena %s does not lie on its device",
			       arena->name);
	size = (end & ~(arena->align - 1)) - begin;
	huge = size >= GiB(1) || arena->align > MiB(2) ? GiB(1) : MiB(2);
	r = reserve(area, size, huge, begin);
	if (r < 0)
		return error_map_why(why, r, size);
	if (map_there(area->base, size, prot, fd, begin,
		      is_writable && !arena->is_dax && arena->granularity != PMA_PAGE) == MAP_FAILED)
		return error_map_why(why, -errno, size);
	/*
	 * Asks for huge pages of a file, where the system allows them. On device-dax the device
	 * alone decides how large its pages are.
	 */
	if (!arena->is_dax)
		(void)madvise(area->base, size, MADV_HUGEPAGE);
	area->off = arena->data_off;
	area->len = arena->size;
	area->page = arena->align;
	area->address = area->base + (area->off - begin);
	return 0;
}

void area_fini(struct area *area)
{
	/*
	 * If munmap() fails, the mapping keeps the session's mark alive, so that the daemon gives
	 * nothing that is mapped here to others.
	 */
	if (area->held)
		(void)munmap(area->held, area->nr_held);
}

/* Reads a byte of each page, for kernels older than 5.14, which have no MADV_POPULATE_READ. */
static void touch(const struct area *area)
{
	for (uint64_t at = 0; at < area->len; at += area->page)
		(void)*(volatile const char *)(area->address + at);
}

int area_populate(struct area *area, bool is_writable)
{
	if (madvise(area->base, area->size,
		    is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0)
		return 0;
	/*
	 * The kernel stops at a page that is bad. The pages behind it become present later, each
	 * when it is used first.
	 */
	if (errno == EHWPOISON || errno == EFAULT)
		return 0;
	if (errno != EINVAL)
		return -errno;
	touch(area);
	return 0;
}
