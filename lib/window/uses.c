/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uses: maps the touches. Each daemon makes its own; those of the daemons before stay mapped until
 * the window is closed, since another thread may be storing into them.
 */
#include <config.h>

#include "lib/window/uses.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

void uses_take(struct uses *uses, int fd)
{
	struct touched *touches = calloc(1, sizeof(*touches));
	struct stat st;
	void *memory = MAP_FAILED;

	atomic_store(&uses->now, NULL);
	if (touches && fstat(fd, &st) == 0 && st.st_size > 0)
		memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		free(touches);
		return;
	}
	touches->bytes = memory;
	touches->nr = (size_t)st.st_size;
	SLIST_INSERT_HEAD(&uses->all, touches, link);
	atomic_store_explicit(&uses->now, touches, memory_order_release);
}

void uses_fini(struct uses *uses)
{
	struct touched *touches;

	while ((touches = SLIST_FIRST(&uses->all))) {
		SLIST_REMOVE_HEAD(&uses->all, link);
		munmap(touches->bytes, touches->nr);
		free(touches);
	}
}
