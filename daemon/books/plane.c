/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane: a sparse mapped file of 64-bit ids. It does not know what a handle is, nor what an id
 * stands for; who gets the file's descriptor is decided by its callers.
 *
 * The file takes memory a block at a time. plane_prepare() asks for a block before the first store
 * to it, so that a full file system is an error and not a SIGBUS.
 */
#include <config.h>

#include "daemon/books/plane.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/books/runfile.h"

#define BLOCK       UINT64_C(4096)
#define BLOCK_SLOTS (BLOCK / sizeof(uint64_t))

#define MAGIC       "PMAPLANE"

/* The block behind the ids: which arena wrote them, in which boot, and after how many changes. */
struct trailer {
	uint64_t magic;                         /* stored last */
	char     boot_id[40];
	uint8_t  uuid[16];
	uint64_t changes;
};

struct plane {
	int fd, client_fd;                      /* owned; client_fd is read-only */
	/* owned mapping of `bytes` and one BLOCK for the trailer */
	uint64_t *ids;
	struct trailer *trailer;                /* points into the mapping */
	uint64_t bytes;                         /* of ids: whole blocks */
	bool *prepared;                         /* owned; for each block: it has memory */
};

static uint64_t nr_blocks(const struct plane *plane)
{
	return plane->bytes / BLOCK;
}

/*
 * Finds the blocks that an earlier daemon prepared. Where the file system cannot tell holes, all of
 * the file counts as prepared.
 */
static int find_prepared(struct plane *plane)
{
	off_t data = 0, hole, end = (off_t)plane->bytes;

	while (data < end) {
		data = lseek(plane->fd, data, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(plane->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		for (uint64_t i = (uint64_t)data / BLOCK;
		     i < nr_blocks(plane) && i * BLOCK < (uint64_t)hole; i++)
			plane->prepared[i] = true;
		data = hole;
	}
	return 0;
}

/*
 * Gives the file room for @nr_slots ids and the trailer. It never makes the file shorter: a client
 * that has the old length mapped would get a SIGBUS.
 */
static int set_size(struct plane *plane, uint64_t nr_slots)
{
	uint64_t size;
	int r;

	plane->bytes = (nr_slots + BLOCK_SLOTS - 1) / BLOCK_SLOTS * BLOCK;
	if (!plane->bytes)
		plane->bytes = BLOCK;
	r = runfile_size(&size, plane->fd);
	if (r < 0)
		return r;
	if (size < plane->bytes + BLOCK && ftruncate(plane->fd, (off_t)(plane->bytes + BLOCK)) < 0)
		return -errno;
	return runfile_allocate(plane->fd, plane->bytes, BLOCK);
}

/*
 * Maps the ids and the trailer. What was made before a failure stays in *plane, for plane_close().
 */
static int map_ids(struct plane *plane)
{
	void *map =
		mmap(NULL, plane->bytes + BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, plane->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	plane->ids = map;
	plane->trailer = (struct trailer *)(void *)((char *)map + plane->bytes);
	plane->prepared = calloc(nr_blocks(plane), sizeof(*plane->prepared));
	return plane->prepared ? 0 : -ENOMEM;
}

/*
 * Makes the trailer this arena's and this boot's. If another boot or arena wrote it, its number of
 * changes starts again at 0.
 */
static int open_trailer(struct plane *plane, const uint8_t uuid[16], struct why *why)
{
	struct trailer *trailer = plane->trailer;
	char boot_id[RUNFILE_BOOT_ID];
	uint64_t magic;
	int r = runfile_boot_id(boot_id, why);

	if (r < 0)
		return r;
	memcpy(&magic, MAGIC, sizeof(magic));
	if (trailer->magic == magic && memcmp(trailer->boot_id, boot_id, sizeof(boot_id)) == 0 &&
	    memcmp(trailer->uuid, uuid, 16) == 0)
		return 0;
	__atomic_store_n(&trailer->magic, 0, __ATOMIC_RELEASE);
	trailer->changes = 0;
	memcpy(trailer->boot_id, boot_id, sizeof(boot_id));
	memcpy(trailer->uuid, uuid, sizeof(trailer->uuid));
	__atomic_store_n(&trailer->magic, magic, __ATOMIC_RELEASE);
	return 0;
}

static int open_plane(struct plane *plane, const char *dir, const uint8_t uuid[16],
		      uint64_t nr_slots, struct why *why)
{
	int r;

	if (nr_slots > (uint64_t)UINT32_MAX + 1)
		return why_set(why, -EINVAL, "%llu slots are more than 32 bits count",
			       (unsigned long long)nr_slots);
	r = runfile_open(&plane->fd, dir, uuid, ".plane", O_RDWR | O_CREAT, why);
	if (r < 0)
		return r;
	/* Clients get an open file description of their own, without the right to write. */
	r = runfile_open(&plane->client_fd, dir, uuid, ".plane", O_RDONLY, why);
	if (r < 0)
		return r;
	r = set_size(plane, nr_slots);
	if (r == 0)
		r = map_ids(plane);
	if (r == 0)
		r = find_prepared(plane);
	if (r < 0)
		return why_set(why, r, "the plane of %llu slots in %s: %s",
			       (unsigned long long)nr_slots, dir, strerror(-r));
	return open_trailer(plane, uuid, why);
}

int plane_open(struct plane **out, const char *dir, const uint8_t uuid[16], uint64_t nr_slots,
	       struct why *why)
{
	struct plane *plane = calloc(1, sizeof(*plane));
	int r;

	if (!plane)
		return why_set(why, -ENOMEM, "out of memory for the plane");
	plane->fd = plane->client_fd = -1;
	r = open_plane(plane, dir, uuid, nr_slots, why);
	if (r < 0) {
		plane_close(plane);
		return r;
	}
	*out = plane;
	return 0;
}

void plane_close(struct plane *plane)
{
	if (!plane)
		return;
	if (plane->ids)
		munmap(plane->ids, plane->bytes + BLOCK);
	if (plane->client_fd >= 0)
		close(plane->client_fd);
	if (plane->fd >= 0)
		close(plane->fd);
	free(plane->prepared);
	free(plane);
}

uint64_t plane_stamp(const struct plane *plane)
{
	return plane->trailer->changes;
}

void plane_set_stamp(struct plane *plane, uint64_t changes)
{
	__atomic_store_n(&plane->trailer->changes, changes, __ATOMIC_RELEASE);
}

int plane_fd(const struct plane *plane)
{
	return plane->client_fd;
}

uint64_t plane_bytes(const struct plane *plane)
{
	return plane->bytes;
}

/*
 * Returns the mark of the block that @slot is in. A slot beyond the plane is a bug of the caller.
 */
static bool *prepared_of(const struct plane *plane, uint32_t slot)
{
	assert(slot / BLOCK_SLOTS < nr_blocks(plane));
	return &plane->prepared[slot / BLOCK_SLOTS];
}

int plane_prepare(struct plane *plane, uint32_t slot)
{
	bool *prepared = prepared_of(plane, slot);
	int r;

	if (*prepared)
		return 0;
	r = runfile_allocate(plane->fd, slot / BLOCK_SLOTS * BLOCK, BLOCK);
	*prepared = r == 0;
	return r;
}

void plane_set(struct plane *plane, uint32_t slot, uint64_t id)
{
	if (!*prepared_of(plane, slot)) {
		assert(id == 0);
		return;
	}
	__atomic_store_n(&plane->ids[slot], htole64(id), __ATOMIC_RELEASE);
}

uint64_t plane_get(const struct plane *plane, uint32_t slot)
{
	/* A read of a hole would take memory for it; its ids are 0. */
	return *prepared_of(plane, slot)
		       ? le64toh(__atomic_load_n(&plane->ids[slot], __ATOMIC_RELAXED))
		       : 0;
}
