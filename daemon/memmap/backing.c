/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backing: one memory file of plain tails that every deduplicated compound page shows. It is mapped
 * through a read-only description, so that not even mprotect() makes a shared tail writable. A new
 * file is all zeroes, and that is what plain tails are: it can be mapped at once, and gets its
 * memory, huge pages and its last seal later, off the path of requests.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

/* Gives the file its memory: as huge pages, or, where that fails, as small ones. */
static int fill(struct backing *backing, struct node *node)
{
	backing->is_huge = plain_make_huge(node, backing->write_fd, backing->len);
	return backing->is_huge ? 0 : plain_fill(node, backing->write_fd, 0, backing->len);
}

static int reopen_read_only(int fd)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

int backing_open(struct backing *backing)
{
	int fd, r;

	if (backing->fd >= 0)
		return 0;
	fd = plain_file("pmemarena-tails", MFD_ALLOW_SEALING, backing->len);
	if (fd < 0)
		return fd;
	r = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0 ? -errno : reopen_read_only(fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	backing->fd = r;
	backing->write_fd = fd;
	return 0;
}

int backing_fill(struct backing *backing, struct node *node)
{
	int r;

	if (backing->write_fd < 0)
		return 0;
	r = fill(backing, node);
	if (r == 0 && fcntl(backing->write_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0)
		return r;
	close(backing->write_fd);
	backing->write_fd = -1;
	return backing->is_huge;
}

void backing_close(struct backing *backing)
{
	if (backing->fd >= 0)
		close(backing->fd);
	if (backing->write_fd >= 0)
		close(backing->write_fd);
	backing->fd = backing->write_fd = -1;
}
