/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plane: a sparse mapped file of ids. It knows neither handles nor what lives in a slot; who may be shown which id is
 * for the one who hands the descriptor out.
 *
 * Memory comes a block at a time and is asked for before the first store, so that a full tmpfs is an error and not a
 * SIGBUS.
 */
#include <config.h>

#include "daemon/arena/plane.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/arena/runfile.h"

#define BLOCK       UINT64_C(4096)
#define BLOCK_SLOTS (BLOCK / sizeof(uint64_t))

struct plane {
	int fd, client_fd;                      /* owned */
	uint64_t *ids;                          /* owned mapping, `bytes` long */
	uint64_t bytes;                         /* whole blocks */
	bool *prepared;                         /* owned; a block */
};

static uint64_t nr_blocks(const struct plane *plane)
{
	return plane->bytes / BLOCK;
}

/* Which blocks an earlier daemon prepared. Where the file system cannot say, all that is in the file counts as data. */
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
		for (uint64_t i = (uint64_t)data / BLOCK; i < nr_blocks(plane) && i * BLOCK < (uint64_t)hole; i++)
			plane->prepared[i] = true;
		data = hole;
	}
	return 0;
}

/* Never shorter than it was: a client may have it mapped. */
static int set_size(struct plane *plane, uint64_t nr_slots)
{
	uint64_t size;
	int r;

	plane->bytes = (nr_slots + BLOCK_SLOTS - 1) / BLOCK_SLOTS * BLOCK;
	if (!plane->bytes)
		plane->bytes = BLOCK;
	r = runfile_size(&size, plane->fd);
	if (r < 0 || size >= plane->bytes)
		return r;
	return ftruncate(plane->fd, (off_t)plane->bytes) < 0 ? -errno : 0;
}

static int map_ids(struct plane *plane)
{
	void *map = mmap(NULL, plane->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, plane->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	plane->ids = map;
	plane->prepared = calloc(nr_blocks(plane), sizeof(*plane->prepared));
	return plane->prepared ? 0 : -ENOMEM;
}

static int open_plane(struct plane *plane, const char *dir, const uint8_t uuid[16], uint64_t nr_slots, struct why *why)
{
	int r;

	if (nr_slots > (uint64_t)UINT32_MAX + 1)
		return why_set(why, -EINVAL, "%llu slots are more than 32 bits count", (unsigned long long)nr_slots);
	r = runfile_open(&plane->fd, dir, uuid, ".plane", O_RDWR | O_CREAT, why);
	if (r < 0)
		return r;
	/* A description of its own: a client that gets it must not be able to store. */
	r = runfile_open(&plane->client_fd, dir, uuid, ".plane", O_RDONLY, why);
	if (r < 0)
		return r;
	r = set_size(plane, nr_slots);
	if (r == 0)
		r = map_ids(plane);
	if (r == 0)
		r = find_prepared(plane);
	return r < 0 ? why_set(why, r, "the plane of %llu slots in %s: %s", (unsigned long long)nr_slots, dir, strerror(-r)) : 0;
}

int plane_open(struct plane **out, const char *dir, const uint8_t uuid[16], uint64_t nr_slots, struct why *why)
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
		munmap(plane->ids, plane->bytes);
	if (plane->client_fd >= 0)
		close(plane->client_fd);
	if (plane->fd >= 0)
		close(plane->fd);
	free(plane->prepared);
	free(plane);
}

int plane_fd(const struct plane *plane)
{
	return plane->client_fd;
}

uint64_t plane_bytes(const struct plane *plane)
{
	return plane->bytes;
}

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
	/* Reading a hole would take memory for it. */
	return *prepared_of(plane, slot) ? le64toh(__atomic_load_n(&plane->ids[slot], __ATOMIC_RELAXED)) : 0;
}
