/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: the extents of an allocation as one range of memory, and how stores to it are made durable. The only file of the
 * library that knows libpmem2, which is given the finished mapping: its own pmem2_map_new() crashes on device-dax with no NVDIMM
 * namespace behind it. It knows nothing of sessions but that one has the allocation open.
 */
#include <config.h>

#include "lib/map.h"

#include <errno.h>
#include <libpmem2.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "lib/client.h"
#include "lib/error.h"
#include "lib/layout.h"
#include "lib/listing.h"

#define HOST_PAGE 4096

struct pma_map {
	LIST_ENTRY(pma_map) link;       /* pma.maps, while pma is not NULL */
	struct pma *pma;                /* borrowed; NULL: it has been disconnected */
	struct pma_handle handle;
	char    *base;                  /* owned; all pieces */
	size_t   size;
	char    *address;               /* the allocation, in there */
	size_t   len;
	bool     is_writable;
	bool     is_page_granular;      /* made durable by msync() */
	uint32_t forks;                 /* of this process, before it was mapped */
	struct pmem2_map *pmem2;        /* owned; describes the mapping; NULL: page-granular or not writable */
	pmem2_persist_fn persist;
	pmem2_flush_fn   flush;
	pmem2_drain_fn   drain;
	pmem2_memcpy_fn  memcpy;
	pmem2_memset_fn  memset;
};

/* ---- memory ---- */

/* @size bytes of address space that nobody uses, aligned to @align; NULL: there is none. */
static char *reserve_memory(size_t size, size_t align)
{
	char *memory, *aligned;
	size_t before;

	if (size > SIZE_MAX - align)
		return NULL;
	memory = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	aligned = (char *)(((uintptr_t)memory + align - 1) & ~(uintptr_t)(align - 1));
	before = (size_t)(aligned - memory);
	if (before > 0)
		munmap(memory, before);
	munmap(aligned + size, align - before);
	return aligned;
}

/*
 * On a dax file system only MAP_SYNC makes flushed lines durable by themselves. Where it is not supported the file is no such
 * file, whatever granularity was forced.
 */
static int map_piece(char *at, const struct pma_extent *piece, int prot, int fd, bool wants_sync)
{
	void *got = MAP_FAILED;

	if (wants_sync)
		got = mmap(at, piece->len, prot, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, fd, (off_t)piece->off);
	if (got == MAP_FAILED)
		got = mmap(at, piece->len, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)piece->off);
	return got == MAP_FAILED ? -errno : 0;
}

static int map_pieces(struct pma_map *map, const struct layout *layout, int fd, bool wants_sync)
{
	int prot = map->is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
	char *at = map->base;

	for (size_t i = 0; i < layout->nr; i++) {
		int r = map_piece(at, &layout->pieces[i], prot, fd, wants_sync);

		if (r < 0)
			return error_set(r, "mapping %#llx bytes at %#llx of the device failed: %s",
					 (unsigned long long)layout->pieces[i].len, (unsigned long long)layout->pieces[i].off, strerror(-r));
		at += layout->pieces[i].len;
	}
	return 0;
}

static int map_layout(struct pma_map *map, const struct layout *layout, int fd, bool wants_sync)
{
	map->base = reserve_memory(layout->size, layout->address_align);
	if (!map->base)
		return error_set(-ENOMEM, "no %#llx bytes of address space aligned to %#llx", (unsigned long long)layout->size,
				 (unsigned long long)layout->address_align);
	map->size = layout->size;
	map->address = map->base + layout->skip;
	map->len = layout->len;
	return map_pieces(map, layout, fd, wants_sync);
}

/* ---- durability ---- */

/* The daemon's word, or libpmem2's own override for tests, which pmem2_map_from_existing() does not look at. */
static enum pmem2_granularity find_granularity(const struct wire_arena *arena)
{
	static const enum pmem2_granularity known[] = { [PMA_BYTE] = PMEM2_GRANULARITY_BYTE,
							[PMA_CACHE_LINE] = PMEM2_GRANULARITY_CACHE_LINE,
							[PMA_PAGE] = PMEM2_GRANULARITY_PAGE };
	const char *force = getenv("PMEM2_FORCE_GRANULARITY");

	if (force && strcasecmp(force, "BYTE") == 0)
		return PMEM2_GRANULARITY_BYTE;
	if (force && (strcasecmp(force, "CACHE_LINE") == 0 || strcasecmp(force, "CACHELINE") == 0))
		return PMEM2_GRANULARITY_CACHE_LINE;
	if (force && strcasecmp(force, "PAGE") == 0)
		return PMEM2_GRANULARITY_PAGE;
	return known[arena->granularity];
}

/*
 * libpmem2 wants to know what is mapped for deep flush and bad blocks, which clients do not do; the source that it is told
 * makes it look at no device.
 */
static int describe_to_pmem2(struct pma_map *map, enum pmem2_granularity granularity)
{
	struct pmem2_source *source = NULL;
	int r = pmem2_source_from_anon(&source, map->size);

	if (r == 0) {
		r = pmem2_map_from_existing(&map->pmem2, source, map->base, map->size, granularity);
		pmem2_source_delete(&source);
	}
	if (r < 0) {
		map->pmem2 = NULL;
		return error_set(r == -ENOMEM ? r : -EINVAL, "libpmem2 does not take the mapping: %s", pmem2_errormsg());
	}
	map->persist = pmem2_get_persist_fn(map->pmem2);
	map->flush = pmem2_get_flush_fn(map->pmem2);
	map->drain = pmem2_get_drain_fn(map->pmem2);
	map->memcpy = pmem2_get_memcpy_fn(map->pmem2);
	map->memset = pmem2_get_memset_fn(map->pmem2);
	return 0;
}

static int check_range(const struct pma_map *map, const void *addr, size_t len)
{
	size_t off = (size_t)((const char *)addr - map->address);

	if ((const char *)addr < map->address || off > map->len || len > map->len - off)
		return error_set(-EINVAL, "%zu bytes at %p are not inside of the mapping, %zu bytes at %p", len, addr, map->len, (void *)map->address);
	return 0;
}

static int check_store(const struct pma_map *map, const void *dst, size_t len)
{
	if (!map->is_writable)
		return error_set(-EACCES, "the mapping is read-only");
	return check_range(map, dst, len);
}

static int write_back(const void *addr, size_t len)
{
	uintptr_t begin = (uintptr_t)addr & ~(uintptr_t)(HOST_PAGE - 1);

	if (len == 0)
		return 0;
	if (msync((void *)begin, (uintptr_t)addr + len - begin, MS_SYNC) < 0)
		return error_set(-errno, "writing %zu bytes back to the device failed: %s", len, strerror(errno));
	return 0;
}

int pma_persist(struct pma_map *map, const void *addr, size_t len)
{
	int r = check_range(map, addr, len);

	if (r < 0 || !map->is_writable)
		return r;
	if (map->is_page_granular)
		return write_back(addr, len);
	map->persist(addr, len);
	return 0;
}

int pma_flush(struct pma_map *map, const void *addr, size_t len)
{
	int r = check_range(map, addr, len);

	if (r < 0 || !map->is_writable)
		return r;
	if (map->is_page_granular)
		return write_back(addr, len);
	map->flush(addr, len);
	return 0;
}

int pma_drain(struct pma_map *map)
{
	if (map->pmem2)
		map->drain();
	return 0;
}

int pma_memcpy(struct pma_map *map, void *dst, const void *src, size_t len)
{
	int r = check_store(map, dst, len);

	if (r < 0)
		return r;
	if (map->is_page_granular) {
		memmove(dst, src, len);
		return write_back(dst, len);
	}
	map->memcpy(dst, src, len, 0);
	return 0;
}

int pma_memset(struct pma_map *map, void *dst, int byte, size_t len)
{
	int r = check_store(map, dst, len);

	if (r < 0)
		return r;
	if (map->is_page_granular) {
		memset(dst, byte, len);
		return write_back(dst, len);
	}
	map->memset(dst, byte, len, 0);
	return 0;
}

/* ---- mapping and unmapping ---- */

/* From here on it can neither be closed nor freed through this connection. */
static int begin_map(struct pma *pma, struct pma_handle handle, bool wants_to_write)
{
	struct holding *holding;
	int r = 0;

	client_lock(pma);
	holding = holding_find(&pma->holdings, handle);
	if (!holding || holding->nr_closing > 0)
		r = error_set(-EBADF, "not open in this session: pma_open() it first");
	else if (wants_to_write && holding->is_read_only)
		r = error_set(-EACCES, "opened with PMA_READ_ONLY: it can be mapped for reading only");
	else
		holding->nr_maps++;
	client_unlock(pma);
	return r;
}

static void end_map(struct pma *pma, struct pma_map *map)
{
	struct holding *holding;

	client_lock(pma);
	holding = holding_find(&pma->holdings, map->handle);
	if (holding && holding->nr_maps > 0) {
		holding->nr_maps--;
		/* A child has it too, and goes on when we are done. */
		if (map->forks != process_forks())
			holding->is_lent = true;
	}
	client_unlock(pma);
}

static void release_memory(struct pma_map *map)
{
	if (map->pmem2)
		pmem2_map_delete(&map->pmem2);
	if (map->base)
		munmap(map->base, map->size);
}

static int map_extents(struct pma_map *map, struct pma *pma, const struct pma_extent *extents, size_t nr)
{
	struct wire_arena arena = site_arena(pma, map->handle.arena);
	enum pmem2_granularity granularity = find_granularity(&arena);
	struct layout layout;
	struct door *door;
	struct why why;
	int r;

	r = layout_init(&layout, extents, nr, &arena, &why);
	if (r < 0)
		return error_set(r, "%s", why.text);
	r = site_open(&door, pma, map->handle.arena, !map->is_writable);
	if (r == 0) {
		r = map_layout(map, &layout, door->fd, !arena.is_dax && granularity != PMEM2_GRANULARITY_PAGE);
		site_close(pma, door);
	}
	layout_fini(&layout);
	map->is_page_granular = granularity == PMEM2_GRANULARITY_PAGE;
	if (r == 0 && map->is_writable && !map->is_page_granular)
		r = describe_to_pmem2(map, granularity);
	return r;
}

static int map_open(struct pma_map *map, struct pma *pma)
{
	struct pma_extent *extents;
	size_t nr;
	int r;

	map->forks = process_forks();
	r = listing_extents(&extents, &nr, pma, map->handle);
	if (r < 0)
		return r;
	r = map_extents(map, pma, extents, nr);
	free(extents);
	if (r < 0)
		return r;
	/* As long as we have it open its space is nobody else's; but what was freed meanwhile is not worth having. */
	if (!pma_is_valid(pma, map->handle))
		return error_set(-ENOENT, "freed while it was being mapped");
	return 0;
}

int pma_map(struct pma_map **out, struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	struct pma_map *map;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (flags & ~(uint32_t)PMA_MAP_WRITE)
		return error_set(-EINVAL, "flags %#x mean nothing here", flags & ~(uint32_t)PMA_MAP_WRITE);
	map = calloc(1, sizeof(*map));
	if (!map)
		return error_set(-ENOMEM, "out of memory");
	map->handle = handle;
	map->is_writable = flags & PMA_MAP_WRITE;
	r = begin_map(pma, handle, map->is_writable);
	if (r < 0) {
		free(map);
		return r;
	}
	r = map_open(map, pma);
	if (r < 0) {
		release_memory(map);
		end_map(pma, map);
		free(map);
		return r;
	}
	map->pma = pma;
	client_lock(pma);
	LIST_INSERT_HEAD(&pma->maps, map, link);
	client_unlock(pma);
	*out = map;
	return 0;
}

void pma_unmap(struct pma_map *map)
{
	if (!map)
		return;
	/* First the memory: when the count says that nothing is mapped, nothing is. */
	release_memory(map);
	/* A child's copy of the connection is not to be touched, its lock least of all. */
	if (map->pma && process_is(map->pma->process)) {
		end_map(map->pma, map);
		client_lock(map->pma);
		LIST_REMOVE(map, link);
		client_unlock(map->pma);
	}
	free(map);
}

void map_orphan_all(struct pma *pma)
{
	struct pma_map *map;

	while ((map = LIST_FIRST(&pma->maps))) {
		LIST_REMOVE(map, link);
		map->pma = NULL;
	}
}

void *pma_map_address(const struct pma_map *map)
{
	return map->address;
}

size_t pma_map_length(const struct pma_map *map)
{
	return map->len;
}

struct pma_handle pma_map_handle(const struct pma_map *map)
{
	return map->handle;
}
