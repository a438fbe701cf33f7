/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outbox: messages that a client's socket had no room for, in order, with the descriptors that go with them.
 */
#ifndef PMEMARENA_OUTBOX_H
#define PMEMARENA_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

struct letter;

struct outbox {
	STAILQ_HEAD(, letter) letters;
	int full;                       /* why the socket took no more: -EAGAIN (wait until it is writable), else try again by time */
};

void outbox_init(struct outbox *outbox);
void outbox_fini(struct outbox *outbox);        /* drops what is in it */
static inline bool outbox_is_empty(const struct outbox *outbox)
{
	return STAILQ_EMPTY(&outbox->letters);
}

/*
 * Send, behind what is there. Takes the descriptors. 0: sent. 1: kept, see `full`. -errno: the other end is gone, or -ENOMEM.
 */
int outbox_send(struct outbox *outbox, int sock, const void *buf, size_t length, const int *fds, int nr_fds);
/* As much of it as the socket takes: 0 all is gone, 1 some is left, -errno as above. */
int outbox_flush(struct outbox *outbox, int sock);

/* Send now or not at all: 0; 1: there is no room; -errno. */
int outbox_try(struct outbox *outbox, int sock, const void *buf, size_t length);

#endif
