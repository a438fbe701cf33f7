/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backing: one memory file of plain tails that every deduplicated compound page shows. Its writable descriptor is gone before the first
 * map of it is made and the file is sealed, so that not even mprotect() makes a deduplicated tail writable.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

/* A writable map of the file for a moment, aligned so that it may be huge. */
struct window {
	void  *raw;
	char  *map;
	size_t raw_len;
};

static bool window_open(struct window *window, int fd, size_t len)
{
	window->raw_len = len + HUGE_PAGE;
	window->raw = mmap(NULL, window->raw_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (window->raw == MAP_FAILED)
		return false;
	window->map = (char *)(((uintptr_t)window->raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	if (mmap(window->map, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED)
		return true;
	munmap(window->raw, window->raw_len);
	return false;
}

/*
 * Huge pages first and then the contents: a quarter of the time that it takes to fill small pages and collapse them. The huge page grows
 * around one descriptor that is written through the file; when that worked all memory is there, and storing cannot fault.
 */
static bool fill_huge(int fd, size_t len)
{
	struct window window = { .raw = NULL };
	bool done = true;

	for (size_t at = 0; at < len && done; at += HUGE_PAGE)
		done = pwrite(fd, &plain_tail, DESC_SIZE, (off_t)at) == (ssize_t)DESC_SIZE;
	if (!done || !window_open(&window, fd, len))
		return false;
	done = madvise(window.map, len, MADV_COLLAPSE) == 0;
	for (size_t at = 0; at < len && done; at += sizeof(plain_tails))
		memcpy(window.map + at, plain_tails, sizeof(plain_tails));
	munmap(window.raw, window.raw_len);
	return done;
}

static int fill(struct backing *backing, struct node *node, int fd)
{
	struct node_stay stay;

	node_enter(&stay, node);
	backing->is_huge = fill_huge(fd, backing->len);
	node_leave(&stay);
	return backing->is_huge ? 0 : plain_fill(node, fd, 0, backing->len);
}

static int reopen_read_only(int fd)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

int backing_open(struct backing *backing, struct node *node)
{
	int fd, r;

	if (backing->fd >= 0)
		return 0;
	fd = plain_file("pmemarena-tails", MFD_ALLOW_SEALING, backing->len);
	if (fd < 0)
		return fd;
	r = fill(backing, node, fd);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0)
		r = reopen_read_only(fd);
	close(fd);
	if (r < 0)
		return r;
	backing->fd = r;
	return 0;
}

void backing_close(struct backing *backing)
{
	if (backing->fd >= 0)
		close(backing->fd);
	backing->fd = -1;
}
