/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greeting: the first message of a connection and its answer: a new session, one that goes on, or a refusal.
 */
#ifndef PMEMARENA_GREETING_H
#define PMEMARENA_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/client.h"
#include "daemon/service.h"
#include "lib/wire.h"

/* 0, or -EPROTO: it is none. */
int greeting_read(struct wire_hello *hello, const void *message, size_t length);
bool greeting_is_understood(const struct wire_hello *hello);    /* do we have a protocol version in common? */

/*
 * Give @client a seat, or with @resumed let it go on in the one that it has, and write the answer to @buf. Returns its length. *r is 0,
 * or why it is refused, as the answer says: @unwelcome if that is not 0. @hello NULL: nobody asked, the connection is the same.
 */
size_t greeting_answer(int *r, uint8_t *buf, struct service *service, struct client *client, const struct wire_hello *hello, bool resumed,
		       int unwelcome);

#endif
