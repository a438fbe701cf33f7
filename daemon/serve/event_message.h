/* SPDX-License-Identifier: BSD-3-Clause */
/* event_message: the messages that the daemon sends to clients which listen to events. */
#ifndef PMEMARENA_EVENT_MESSAGE_H
#define PMEMARENA_EVENT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/arena/arena_event.h"
#include "daemon/serve/client.h"

/*
 * Writes one WIRE_EVENT message to @buf (WIRE_MAX bytes) with those of the @nr @events of arena
 * number @arena that @client listens for. Returns its length in bytes, 0 if there is none of
 * interest. *nr_told is the number of events in it.
 */
size_t event_message_encode(uint8_t *buf, size_t *nr_told, const struct client *client,
			    uint32_t arena, const struct arena_event *events, size_t nr);
/*
 * Writes the WIRE_EVENT message that tells a client that events were lost to @buf (WIRE_MAX bytes).
 * Returns its length in bytes.
 */
size_t event_message_lost(uint8_t *buf);

#endif
