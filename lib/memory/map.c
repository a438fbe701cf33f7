/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map: the extents of an allocation as one range of memory. Plain mmap() of what layout.c has
 * checked: libpmem2's own pmem2_map_new() crashes on device-dax with no NVDIMM namespace behind it.
 * It knows nothing of sessions but that one has the allocation open.
 */
#include <config.h>

#include "lib/memory/map.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/session/client.h"
#include "lib/session/door.h"
#include "lib/memory/durable.h"
#include "lib/error.h"
#include "lib/memory/layout.h"
#include "lib/memory/witness.h"
#include "lib/session/listing.h"

struct pma_mapping {
	struct client_tie tie;          /* cut (set to NULL) when the program disconnects */
	struct pma_handle handle;
	char    *base;                  /* owned; all pieces, and perhaps unused pages around them */
	size_t   size;
	char    *address;               /* the allocation, in there */
	uint64_t off;                   /* of its first byte, on the device */
	size_t   len;
	bool     is_writable;
	enum pma_granularity granularity;
	/* number of the process that mapped it; a forked child has a copy of this struct */
	uint32_t process;
	struct witness witness;         /* tells at the end whether a child still has the mapping */
};

/* ---- memory ---- */

/*
 * Reserves layout->size bytes of address space that nobody uses, aligned as the layout needs, and
 * more before and behind them if what is too much cannot be given back: then the end of the mapping
 * gives it back. Writes map->base, map->size and map->address.
 */
static int reserve_memory(struct pma_mapping *map, const struct layout *layout)
{
	uint64_t align = layout->address_align, size = layout->size;
	size_t before;
	char *memory;

	if (size > SIZE_MAX - align)
		return error_map(-ENOMEM, size);
	memory = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		      -1, 0);
	if (memory == MAP_FAILED)
		return error_map(-errno, size);
	map->base = memory;
	map->size = size + align;
	before = (size_t)(-(uintptr_t)memory & (align - 1));
	map->address = memory + before + layout->skip;
	if (munmap(memory + before + size, align - before) == 0)
		map->size = before + size;
	if (before > 0 && munmap(memory, before) == 0) {
		map->base += before;
		map->size -= before;
	}
	return 0;
}

/*
 * On a dax file system only MAP_SYNC makes flushed lines durable by themselves. Where it is not
 * supported the file is no such file, whatever granularity was forced. Any other failure counts: a
 * mapping without MAP_SYNC would lose stores that were flushed.
 */
static int map_piece(char *at, const struct pma_extent *piece, int prot, int fd, bool wants_sync)
{
	void *got = MAP_FAILED;

	if (wants_sync) {
		got = mmap(at, piece->len, prot, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, fd,
			   (off_t)piece->off);
		wants_sync = got != MAP_FAILED || (errno != EOPNOTSUPP && errno != EINVAL);
	}
	if (!wants_sync)
		got = mmap(at, piece->len, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)piece->off);
	return got == MAP_FAILED ? -errno : 0;
}

static int map_pieces(struct pma_mapping *map, const struct layout *layout, int fd, bool wants_sync)
{
	int prot = map->is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
	char *at = map->address - layout->skip;

	for (size_t i = 0; i < layout->nr; i++) {
		int r = map_piece(at, &layout->pieces[i], prot, fd, wants_sync);

		if (r == -EAGAIN || r == -ENOMEM)
			return error_map(r, layout->size);
		if (r < 0)
			return error_set(r, "mapping %#llx bytes at %#llx of the device failed: %s",
					 (unsigned long long)layout->pieces[i].len,
					 (unsigned long long)layout->pieces[i].off, strerror(-r));
		at += layout->pieces[i].len;
	}
	return 0;
}

static int map_layout(struct pma_mapping *map, const struct layout *layout, int fd, bool wants_sync)
{
	int r = reserve_memory(map, layout);

	map->len = layout->len;
	return r < 0 ? r : map_pieces(map, layout, fd, wants_sync);
}

/* ---- durability ---- */

static int check_range(const struct pma_mapping *map, const void *addr, size_t len)
{
	size_t off = (size_t)((const char *)addr - map->address);

	if ((const char *)addr < map->address || off > map->len || len > map->len - off)
		return error_set(-EINVAL,
				 "%zu bytes at %p are not inside of the mapping, %zu bytes at %p",
				 len, addr, map->len, (void *)map->address);
	return 0;
}

static int check_store(const struct pma_mapping *map, const void *dst, size_t len)
{
	if (!map->is_writable)
		return error_set(-EACCES, "the mapping is read-only");
	return check_range(map, dst, len);
}

int pma_persist(struct pma_mapping *map, const void *addr, size_t len)
{
	int r = check_range(map, addr, len);

	/* Nobody stored anything through a read-only mapping. */
	return r < 0 || !map->is_writable ? r : durable_persist(map->granularity, addr, len);
}

int pma_flush(struct pma_mapping *map, const void *addr, size_t len)
{
	int r = check_range(map, addr, len);

	return r < 0 || !map->is_writable ? r : durable_flush(map->granularity, addr, len);
}

int pma_drain(struct pma_mapping *map)
{
	durable_drain(map->granularity);
	return 0;
}

int pma_memcpy(struct pma_mapping *map, void *dst, const void *src, size_t len)
{
	int r = check_store(map, dst, len);

	return r < 0 ? r : durable_memcpy(map->granularity, dst, src, len);
}

int pma_memset(struct pma_mapping *map, void *dst, int byte, size_t len)
{
	int r = check_store(map, dst, len);

	return r < 0 ? r : durable_memset(map->granularity, dst, byte, len);
}

/* ---- mapping and unmapping ---- */

/*
 * Counts a mapping ahead: until end_map() the allocation can neither be closed nor freed through
 * this connection.
 */
static int begin_map(struct pma *pma, struct pma_handle handle, bool wants_to_write)
{
	struct holding *holding;
	int r = 0;

	client_lock(pma);
	holding = holding_find(&pma->holdings, handle);
	if (!holding || holding->nr_closing > 0)
		r = error_set(-EBADF, "not open in this session: pma_open() it first");
	else if (wants_to_write && holding->is_read_only)
		r = error_set(-EACCES,
			      "opened with PMA_READ_ONLY: it can be mapped for reading only");
	else
		holding->nr_maps++;
	client_unlock(pma);
	return r;
}

/* Ends what begin_map() began. @is_lent: another process may still have the mapping. */
static void end_map(struct pma *pma, struct pma_mapping *map, bool is_lent)
{
	struct holding *holding;

	client_lock(pma);
	holding = holding_recall(&pma->holdings, map->handle);
	if (holding && holding->nr_maps > 0) {
		holding->nr_maps--;
		holding->is_lent |= is_lent;
		holding_settle(&pma->holdings, holding);
	}
	client_unlock(pma);
}

/*
 * Returns whether the memory is unmapped. munmap() fails if it would have to split a range of the
 * process and there are as many ranges as there may be. Then the bytes can still be reached.
 */
static bool release_memory(struct pma_mapping *map)
{
	return !map->base || munmap(map->base, map->size) == 0;
}

/*
 * The allocation may have been closed, or a new session may have failed to open it again, while it
 * was being mapped. Then the daemon may give its space to others, and the mapping must not be used.
 */
static int check_open(struct pma *pma, struct pma_handle handle)
{
	bool is_open;

	client_lock(pma);
	is_open = holding_find(&pma->holdings, handle);
	client_unlock(pma);
	return is_open ? 0
		       : error_set(-EBADF, "the session was lost while it was being mapped, and "
					   "the new one does not have it open");
}

static int map_extents(struct pma_mapping *map, struct pma *pma, const struct pma_extent *extents,
		       size_t nr)
{
	struct wire_arena arena;
	struct layout layout;
	struct door *door;
	struct why why;
	int r;

	/*
	 * The door comes first: if the arena was closed to this user when it connected, only
	 * door_open() finds out whether it still is.
	 */
	r = door_open(&door, pma, map->handle.arena, !map->is_writable);
	if (r < 0)
		return r;
	arena = site_arena(pma, map->handle.arena);
	map->granularity = durable_granularity((enum pma_granularity)arena.granularity);
	r = layout_init(&layout, extents, nr, &arena, &why);
	if (r == 0) {
		r = map_layout(map, &layout, door->fd,
			       !arena.is_dax && map->granularity != PMA_PAGE);
		layout_fini(&layout);
	} else {
		error_set(r, "%s", why.text);
	}
	door_close(pma, door);
	return r;
}

static int map_open(struct pma_mapping *map, struct pma *pma)
{
	struct pma_extent *extents;
	size_t nr;
	int r;

	r = listing_extents(&extents, &nr, NULL, pma, map->handle);
	if (r < 0)
		return r;
	map->off = nr > 0 ? extents[0].off : 0;
	r = map_extents(map, pma, extents, nr);
	free(extents);
	if (r < 0)
		return r;
	/*
	 * While it is open here nobody else gets its space, so this mapping harms nobody. But
	 * somebody freed it meanwhile, and the program should learn that.
	 */
	if (!pma_is_valid(pma, map->handle))
		return error_set(-ENOENT, "freed while it was being mapped");
	return check_open(pma, map->handle);
}

/* Ends a mapping that was begun and could not be finished, of which some pages may be there. */
static void map_abandon(struct pma_mapping *map, struct pma *pma)
{
	bool is_unmapped = release_memory(map);
	bool is_lent = witness_end(&map->witness) && map->base;

	end_map(pma, map, is_lent || !is_unmapped);
	free(map);
}

int pma_map(struct pma_mapping **out, struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	struct pma_mapping *map;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (flags & ~(uint32_t)PMA_MAP_WRITE)
		return error_set(-EINVAL, "flags %#x mean nothing here",
				 flags & ~(uint32_t)PMA_MAP_WRITE);
	map = calloc(1, sizeof(*map));
	if (!map)
		return error_memory();
	map->handle = handle;
	map->is_writable = flags & PMA_MAP_WRITE;
	r = durable_init();
	if (r == 0)
		r = begin_map(pma, handle, map->is_writable);
	if (r < 0) {
		free(map);
		return r;
	}
	witness_begin(&map->witness);
	r = map_open(map, pma);
	if (r < 0) {
		map_abandon(map, pma);
		return r;
	}
	map->tie.pma = pma;
	map->process = pma->process;
	client_lock(pma);
	LIST_INSERT_HEAD(&pma->ties, &map->tie, link);
	client_unlock(pma);
	*out = map;
	return 0;
}

bool map_end(struct pma_mapping *map)
{
	bool is_lent = true;
	/*
	 * The memory is unmapped before the count goes down: a count of 0 tells the daemon that
	 * nothing is mapped.
	 */
	bool is_unmapped = release_memory(map);

	/*
	 * A forked child must not touch its copy of the connection: another thread of the parent
	 * may have had its lock at the time of the fork.
	 */
	if (map->tie.pma && process_is(map->process)) {
		is_lent = witness_end(&map->witness) || !is_unmapped;
		end_map(map->tie.pma, map, is_lent);
		client_lock(map->tie.pma);
		LIST_REMOVE(&map->tie, link);
		client_unlock(map->tie.pma);
	} else if (is_unmapped) {
		/*
		 * What this child still has mapped its parent must still be able to see, so only
		 * the child's copy is dropped.
		 */
		witness_drop(&map->witness);
	}
	free(map);
	return is_lent;
}

void pma_unmap(struct pma_mapping *map)
{
	if (map)
		map_end(map);
}

void *pma_map_address(const struct pma_mapping *map)
{
	return map->address;
}

size_t pma_map_length(const struct pma_mapping *map)
{
	return map->len;
}

uint64_t map_offset(const struct pma_mapping *map)
{
	return map->off;
}

struct pma_handle pma_map_handle(const struct pma_mapping *map)
{
	return map->handle;
}
