/* SPDX-License-Identifier: BSD-3-Clause */
/* inbox: the file in which a message is that was taken from a socket; see the header for why. */
#include <config.h>

#include "daemon/service/inbox.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/books/runfile.h"

_Static_assert(sizeof(struct inbox) == 64 + WIRE_MAX, "the message begins a cache line");

/*
 * The file gets all of its memory now. A page that were missing at a receive would make the kernel
 * fail the copy after it has taken the message from the socket.
 */
static int map(struct inbox **out, int fd)
{
	void *at;
	int r = -posix_fallocate(fd, 0, (off_t)sizeof(struct inbox));

	if (r < 0)
		return r;
	at = mmap(NULL, sizeof(struct inbox), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		  0);
	if (at == MAP_FAILED)
		return -errno;
	*out = at;
	return 0;
}

int inbox_open(struct inbox **out, const char *dir, struct why *why)
{
	int fd, r = runfile_open_named(&fd, dir, "inbox", O_RDWR | O_CREAT, why);

	if (r < 0)
		return r;
	r = map(out, fd);
	close(fd);
	return r < 0 ? why_set(why, r,
			       "%s/inbox: %s; the runtime directory needs room for %zu bytes more",
			       dir, strerror(-r), sizeof(struct inbox))
		     : 0;
}

void inbox_close(struct inbox *inbox)
{
	if (inbox)
		munmap(inbox, sizeof(*inbox));
}

uint64_t inbox_taken(const struct inbox *inbox, uint64_t session)
{
	const struct wire_header *header =
		(const struct wire_header *)(const void *)inbox->message;

	return session && inbox->session == session && le32toh(header->magic) == WIRE_MAGIC
		       ? le64toh(header->tag)
		       : 0;
}
