/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outbox: a queue of messages that a socket did not take. It knows no loop: the session says when
 * to try again.
 */
#include <config.h>

#include "daemon/serve/outbox.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/wire/conn.h"

struct letter {
	STAILQ_ENTRY(letter) link;      /* on outbox.letters */
	int      fds[CONN_MAX_FDS];     /* owned */
	int      nr_fds;
	size_t   length;
	uint8_t  bytes[];
};

static void close_fds(const int *fds, int nr)
{
	for (int i = 0; i < nr; i++)
		close(fds[i]);
}

static void drop_first(struct outbox *outbox)
{
	struct letter *letter = STAILQ_FIRST(&outbox->letters);

	STAILQ_REMOVE_HEAD(&outbox->letters, link);
	close_fds(letter->fds, letter->nr_fds);
	free(letter);
}

void outbox_init(struct outbox *outbox)
{
	STAILQ_INIT(&outbox->letters);
	outbox->nr_carried = 0;
	outbox->full = 0;
}

void outbox_fini(struct outbox *outbox)
{
	while (!outbox_is_empty(outbox))
		drop_first(outbox);
}

/* Is @r an error that passes: the socket, or the kernel as a whole, has no room at the moment? */
static bool is_full(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM;
}

/*
 * May one more message with descriptors be sent? The kernel limits descriptors under way, for all
 * connections of the daemon together, and a client that does not read its messages would use them
 * up. So after OUTBOX_CARRIED of them the kernel is asked whether the client has read all.
 */
static bool can_carry(struct outbox *outbox, int sock)
{
	int unread = 0;

	if (outbox->nr_carried < OUTBOX_CARRIED)
		return true;
	if (ioctl(sock, SIOCOUTQ, &unread) == 0 && unread > 0)
		return false;
	outbox->nr_carried = 0;
	return true;
}

/* Returns 0: sent; 1: no room at the moment; -errno: the connection has failed. */
static int send_now(struct outbox *outbox, int sock, const void *buf, size_t length, const int *fds,
		    int nr_fds)
{
	int r = -ETOOMANYREFS;

	if (nr_fds == 0 || can_carry(outbox, sock))
		r = conn_send(sock, buf, length, fds, nr_fds);
	if (r == 0 && nr_fds > 0)
		outbox->nr_carried++;
	if (!is_full(r))
		return r;
	outbox->full = r;
	return 1;
}

/* Queues a copy of the message and takes over its descriptors. Returns 1, or -ENOMEM. */
static int keep(struct outbox *outbox, const void *buf, size_t length, const int *fds, int nr_fds)
{
	struct letter *letter = malloc(sizeof(*letter) + length);

	if (!letter)
		return -ENOMEM;
	memcpy(letter->bytes, buf, length);
	letter->length = length;
	letter->nr_fds = nr_fds;
	for (int i = 0; i < nr_fds; i++)
		letter->fds[i] = fds[i];
	STAILQ_INSERT_TAIL(&outbox->letters, letter, link);
	return 1;
}

int outbox_send(struct outbox *outbox, int sock, const void *buf, size_t length, const int *fds,
		int nr_fds)
{
	int r = 1;

	if (outbox_is_empty(outbox))
		r = send_now(outbox, sock, buf, length, fds, nr_fds);
	if (r == 1)
		r = keep(outbox, buf, length, fds, nr_fds);
	if (r <= 0)
		close_fds(fds, nr_fds);
	return r;
}

int outbox_flush(struct outbox *outbox, int sock)
{
	int r;

	while (!outbox_is_empty(outbox)) {
		struct letter *letter = STAILQ_FIRST(&outbox->letters);

		r = send_now(outbox, sock, letter->bytes, letter->length, letter->fds,
			     letter->nr_fds);
		if (r != 0)
			return r;
		drop_first(outbox);
	}
	return 0;
}

int outbox_try(struct outbox *outbox, int sock, const void *buf, size_t length)
{
	return outbox_is_empty(outbox) ? send_now(outbox, sock, buf, length, NULL, 0) : 1;
}
