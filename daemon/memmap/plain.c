/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plain: memory files full of plain tails. They are filled through the descriptor: a lack of memory is an error number there, and a SIGBUS for one
 * who fills them through a mapping.
 */
#include <config.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/memmap/memmap_internal.h"

const struct desc plain_tails[PLAIN_TAILS] = { [0 ... PLAIN_TAILS - 1] = { .kind = DESC_TAIL } };

/* 0777 is what a memory file is born with: whoever is passed it could open it anew for writing. */
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
		ssize_t done = pwrite(fd, plain_tails, len < sizeof(plain_tails) ? len : sizeof(plain_tails), (off_t)from);

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
