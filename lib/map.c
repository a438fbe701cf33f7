/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: the extents of an allocation as one range of memory. Plain mmap() of what layout.c has checked: libpmem2's own
 * pmem2_map_new() crashes on device-dax with no NVDIMM namespace behind it. It knows nothing of sessions but that one has the
 * allocation open.
 */
#include <config.h>

#include "lib/map.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/client.h"
#include "lib/durable.h"
#include "lib/error.h"
#include "lib/layout.h"
#include "lib/listing.h"

struct pma_map {
	LIST_ENTRY(pma_map) link;       /* pma.maps, while pma is not NULL */
	struct pma *pma;                /* borrowed; NULL: it has been disconnected */
	struct pma_handle handle;
	char    *base;                  /* owned; all pieces */
	size_t   size;
	char    *address;               /* the allocation, in there */
	uint64_t off;                   /* of its first byte, on the device */
	size_t   len;
	bool     is_writable;
	enum pma_granularity granularity;
	uint32_t process;               /* which mapped it; a child has a copy */
	uint32_t forks;                 /* of that process, before it was mapped */
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

int pma_persist(struct pma_map *map, const void *addr, size_t len)
{
	int r = check_range(map, addr, len);

	/* Nobody stored anything through a read-only mapping. */
	return r < 0 || !map->is_writable ? r : durable_persist(map->granularity, addr, len);
}

int pma_flush(struct pma_map *map, const void *addr, size_t len)
{
	int r = check_range(map, addr, len);

	return r < 0 || !map->is_writable ? r : durable_flush(map->granularity, addr, len);
}

int pma_drain(struct pma_map *map)
{
	durable_drain(map->granularity);
	return 0;
}

int pma_memcpy(struct pma_map *map, void *dst, const void *src, size_t len)
{
	int r = check_store(map, dst, len);

	return r < 0 ? r : durable_memcpy(map->granularity, dst, src, len);
}

int pma_memset(struct pma_map *map, void *dst, int byte, size_t len)
{
	int r = check_store(map, dst, len);

	return r < 0 ? r : durable_memset(map->granularity, dst, byte, len);
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
	if (map->base)
		munmap(map->base, map->size);
}

static int map_extents(struct pma_map *map, struct pma *pma, const struct pma_extent *extents, size_t nr)
{
	struct wire_arena arena = site_arena(pma, map->handle.arena);
	struct layout layout;
	struct door *door;
	struct why why;
	int r;

	map->granularity = durable_granularity((enum pma_granularity)arena.granularity);
	r = layout_init(&layout, extents, nr, &arena, &why);
	if (r < 0)
		return error_set(r, "%s", why.text);
	r = site_open(&door, pma, map->handle.arena, !map->is_writable);
	if (r == 0) {
		r = map_layout(map, &layout, door->fd, !arena.is_dax && map->granularity != PMA_PAGE);
		site_close(pma, door);
	}
	layout_fini(&layout);
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
	map->off = nr > 0 ? extents[0].off : 0;
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
	r = durable_init();
	if (r == 0)
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
	map->process = pma->process;
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
	if (map->pma && process_is(map->process)) {
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

uint64_t map_offset(const struct pma_map *map)
{
	return map->off;
}

struct pma_handle pma_map_handle(const struct pma_map *map)
{
	return map->handle;
}
