/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greeting: the first message of a connection and its answer: a new session, one that goes on, or a
 * refusal.
 */
#ifndef PMEMARENA_GREETING_H
#define PMEMARENA_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/serve/client.h"
#include "daemon/service/service.h"
#include "lib/wire/wire.h"

/* Reads the HELLO in @message. Returns 0, or -EPROTO: it is no HELLO. */
int greeting_read(struct wire_hello *hello, const void *message, size_t length);
/* Do client and daemon have a protocol version in common? */
bool greeting_is_understood(const struct wire_hello *hello);

/*
 * Writes the answer to a HELLO to @buf and returns its length in bytes. Gives @client a seat (an
 * entry in the roster of sessions), or with @resumed lets it keep the one that it has. *r is 0, or
 * the -errno with which the client is refused, which the answer says too; @unwelcome, if it is not
 * 0, is taken as that error. @hello is NULL when an earlier daemon left the connection: then the
 * client sent no HELLO, and is told that another daemon has it.
 */
size_t greeting_answer(int *r, uint8_t *buf, struct service *service, struct client *client,
		       const struct wire_hello *hello, bool resumed,
		       int unwelcome);

#endif
