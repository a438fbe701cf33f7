/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outbox: a queue in front of a socket. It knows no loop: when to flush is the session's.
 */
#include <config.h>

#include "daemon/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/conn.h"

struct letter {
	STAILQ_ENTRY(letter) link;      /* outbox.letters */
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
	outbox->full = 0;
}

void outbox_fini(struct outbox *outbox)
{
	while (!outbox_is_empty(outbox))
		drop_first(outbox);
}

/* The socket, or the kernel as a whole, has no room at the moment. */
static bool is_full(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM;
}

static int send_now(struct outbox *outbox, int sock, const void *buf, size_t length, const int *fds, int nr_fds)
{
	int r = conn_send(sock, buf, length, fds, nr_fds);

	if (!is_full(r))
		return r;
	outbox->full = r;
	return 1;
}

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

int outbox_send(struct outbox *outbox, int sock, const void *buf, size_t length, const int *fds, int nr_fds)
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

		r = send_now(outbox, sock, letter->bytes, letter->length, letter->fds, letter->nr_fds);
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
