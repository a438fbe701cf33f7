/* SPDX-License-Identifier: BSD-3-Clause */
/* touches: makes the shared memory of the touches, and reads it. */
#include <config.h>

#include "daemon/books/touches.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct touches {
	uint8_t *bytes;                         /* owned mapping of nr_slots bytes */
	uint64_t nr_slots;
	int fd;                                 /* owned */
};

static int map_it(struct touches *touches)
{
	void *memory;

	if (ftruncate(touches->fd, (off_t)touches->nr_slots) < 0 ||
	    fcntl(touches->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	memory = mmap(NULL, touches->nr_slots, PROT_READ | PROT_WRITE, MAP_SHARED, touches->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	touches->bytes = memory;
	return 0;
}

int touches_new(struct touches **out, uint64_t nr_slots)
{
	struct touches *touches = calloc(1, sizeof(*touches));
	int r;

	if (!touches)
		return -ENOMEM;
	touches->nr_slots = nr_slots;
	touches->fd = memfd_create("pmemarena-touches", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = touches->fd < 0 ? -errno : map_it(touches);
	if (r < 0) {
		touches_free(touches);
		return r;
	}
	*out = touches;
	return 0;
}

void touches_free(struct touches *touches)
{
	if (!touches)
		return;
	if (touches->bytes)
		munmap(touches->bytes, touches->nr_slots);
	if (touches->fd >= 0)
		close(touches->fd);
	free(touches);
}

int touches_fd(const struct touches *touches)
{
	return touches->fd;
}

bool touches_take(struct touches *touches, uint32_t slot)
{
	uint8_t *at;

	if (!touches || slot >= touches->nr_slots)
		return false;
	at = &touches->bytes[slot];
	/*
	 * The store may overwrite a touch that comes between the load and the store. Then an
	 * allocation that was used twice counts as used once, which does no harm.
	 */
	if (__atomic_load_n(at, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(at, 0, __ATOMIC_RELAXED);
	return true;
}
