/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inbox: the buffer into which all messages of clients are received, in a mapped file of the
 * runtime directory. recvmsg() takes a message out of the socket; a daemon that is killed before it
 * has noted the message's tag (seat.read_tag) leaves it in neither place, and the client, whose
 * connection the next daemon goes on with, would wait for the answer for ever. The kernel writes
 * the message into this file instead, so that the next daemon finds there what was taken.
 *
 * Nothing is trusted that is not of this boot: a session's number is not used again before a
 * reboot, and the number of the session stands beside its message.
 */
#ifndef PMEMARENA_INBOX_H
#define PMEMARENA_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"
#include "lib/wire/wire.h"

struct inbox {
	/* of the session from whose socket the message is; 0: of a connection without a session */
	uint64_t session;
	uint8_t  unused[56];
	uint8_t  message[WIRE_MAX];     /* aligned to 64 */
};

/*
 * Opens or creates <dir>/inbox, mode 0600, and maps it. Call it after roster_open(), whose lock
 * keeps other daemons out. Errors of runfile_open_named() and mmap(); -ENOSPC: the directory is
 * full.
 */
int inbox_open(struct inbox **out, const char *dir, struct why *why);
void inbox_close(struct inbox *inbox);          /* The file stays. NULL is fine. */

/*
 * To be called before each receive: the next message will be of @session. What was there before
 * does not count from here on.
 */
static inline void inbox_expect(struct inbox *inbox, uint64_t session)
{
	struct wire_header *header = (struct wire_header *)(void *)inbox->message;

	/* In this order: the message of before must never stand beside the new number. */
	__atomic_store_n(&header->magic, 0, __ATOMIC_RELEASE);
	header->tag = 0;
	__atomic_store_n(&inbox->session, session, __ATOMIC_RELEASE);
}

/*
 * Returns the tag of the message that the daemon before took last, if it is of @session; else 0.
 * Only until the first inbox_expect() of this daemon.
 */
uint64_t inbox_taken(const struct inbox *inbox, uint64_t session);

#endif
