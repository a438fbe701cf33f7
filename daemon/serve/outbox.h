/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outbox: messages that a client's socket had no room for, in order, with the descriptors that go
 * with them.
 */
#ifndef PMEMARENA_OUTBOX_H
#define PMEMARENA_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

#define OUTBOX_CARRIED 4

struct letter;

struct outbox {
	STAILQ_HEAD(, letter) letters;
	/*
	 * Messages with descriptors that were sent since the socket was last seen to hold no unread
	 * message.
	 */
	unsigned nr_carried;
	/*
	 * Why the socket took no more. -EAGAIN: wait until it is writable; any other: try again by
	 * time.
	 */
	int full;
};

void outbox_init(struct outbox *outbox);
/* frees the messages and closes their descriptors */
void outbox_fini(struct outbox *outbox);
static inline bool outbox_is_empty(const struct outbox *outbox)
{
	return STAILQ_EMPTY(&outbox->letters);
}

/*
 * Sends a message, behind those that wait. Owns and closes @fds in every case. At most
 * OUTBOX_CARRIED messages with descriptors are in the socket: the kernel counts descriptors in
 * sockets against the daemon's user, so that a client which reads nothing would take them from all
 * others. Returns 0: sent; 1: kept, see `full`; -errno: the other end is gone, or -ENOMEM.
 */
int outbox_send(struct outbox *outbox, int sock, const void *buf, size_t length, const int *fds,
		int nr_fds);
/*
 * Sends what waits, as far as the socket takes it. Returns 0: nothing is left; 1: some is left;
 * -errno: the other end is gone.
 */
int outbox_flush(struct outbox *outbox, int sock);

/*
 * Sends a message now or not at all. Returns 0: sent; 1: there is no room, and nothing is kept;
 * -errno: the other end is gone.
 */
int outbox_try(struct outbox *outbox, int sock, const void *buf, size_t length);

#endif
