/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plain: memory files full of plain tails. They are written through the descriptor: there a lack of
 * memory is an error number, while a store to a mapping would be a SIGBUS.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

const struct desc plain_tails[PLAIN_TAILS] = { [0 ... PLAIN_TAILS - 1] = { .kind = DESC_TAIL } };

/*
 * A memory file is born with mode 0777. Whoever is passed a read-only descriptor of it could open
 * it again for writing, so the mode becomes 0600.
 */
int plain_file(const char *name, unsigned flags, uint64_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | flags), err;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) == 0 && (len == 0 || ftruncate(fd, (off_t)len) == 0))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int fill(int fd, uint64_t from, uint64_t len)
{
	while (len > 0) {
		ssize_t done =
			pwrite(fd, plain_tails,
			       len < sizeof(plain_tails) ? len : sizeof(plain_tails), (off_t)from);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 && errno != ENOSPC ? -errno : -ENOMEM;
		from += (uint64_t)done;
		len -= (uint64_t)done;
	}
	return 0;
}

int plain_fill(struct node *node, int fd, uint64_t from, uint64_t len)
{
	struct node_stay stay;
	int r;

	node_enter(&stay, node);
	r = fill(fd, from, len);
	node_leave(&stay);
	return r;
}

int plain_take(struct node *node, int fd, uint64_t from, uint64_t len)
{
	struct node_stay stay;
	int r;

	node_enter(&stay, node);
	while ((r = fallocate(fd, 0, (off_t)from, (off_t)len)) < 0 && errno == EINTR)
		;
	r = r == 0 ? 0 : errno == ENOSPC ? -ENOMEM : -errno;
	node_leave(&stay);
	return r;
}

/* ---- huge pages ---- */

/* A writable mapping of the file for a moment, aligned so that it can be mapped by huge pages. */
struct window {
	void  *raw;
	char  *map;
	size_t raw_len;
};

static bool window_open(struct window *window, int fd, size_t len)
{
	window->raw_len = len + HUGE_PAGE;
	window->raw = mmap(NULL, window->raw_len, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (window->raw == MAP_FAILED)
		return false;
	window->map =
		(char *)(((uintptr_t)window->raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	if (mmap(window->map, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
	    MAP_FAILED)
		return true;
	munmap(window->raw, window->raw_len);
	return false;
}

/*
 * The kernel makes a huge page around a small page that is there. That one is taken through the
 * descriptor, where a lack of memory is an error number.
 */
static bool collapse(int fd, uint64_t len)
{
	struct window window;
	bool done = true;

	for (uint64_t at = 0; at < len && done; at += HUGE_PAGE)
		done = fallocate(fd, 0, (off_t)at, (off_t)BASE_PAGE) == 0;
	if (!done || !window_open(&window, fd, len))
		return false;
	done = madvise(window.map, len, MADV_COLLAPSE) == 0;
	munmap(window.raw, window.raw_len);
	return done;
}

bool plain_make_huge(struct node *node, int fd, uint64_t len)
{
	struct node_stay stay;
	bool done;

	node_enter(&stay, node);
	done = collapse(fd, len);
	node_leave(&stay);
	return done;
}
