/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * range: tells a program which memory a window has: as a whole, or in chunks, for programs that
 * register the memory with a device (RDMA, a GPU) chunk by chunk.
 */
#include <config.h>

#include <errno.h>

#include "lib/error.h"
#include "lib/window/window.h"

void *pma_window_address(const struct pma_window *window)
{
	return window->area.address;
}

uint64_t pma_window_length(const struct pma_window *window)
{
	return window->area.len;
}

uint64_t pma_window_offset(const struct pma_window *window)
{
	return window->area.off;
}

int pma_window_next_range(struct pma_range *out, const struct pma_window *window, uint64_t chunk,
			  uint64_t *cursor)
{
	uint64_t left;

	if (chunk == 0 || chunk % window->page_size)
		return error_set(-EINVAL,
				 "chunks of %llu bytes: only multiples of the arena's pages of %llu "
				 "bytes end where allocations do",
				 (unsigned long long)chunk, (unsigned long long)window->page_size);
	if (*cursor >= window->area.len)
		return 0;
	left = window->area.len - *cursor;
	*out = (struct pma_range){ window->area.address + *cursor, left < chunk ? left : chunk };
	*cursor += out->len;
	return 1;
}
