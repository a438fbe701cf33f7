/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_opcode: what the protocol says of an opcode. Its flags and its name are for everybody and
 * stand in wire.h; what is here only the reader of messages asks.
 */
#ifndef PMEMARENA_WIRE_OPCODE_H
#define PMEMARENA_WIRE_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

/* May a client send it? An event is neither a request nor a reply. */
bool wire_opcode_is_request(uint16_t opcode);
/* Is it the reply to a request that is known? */
bool wire_opcode_is_reply(uint16_t opcode);
/* May a message of @opcode, which is known, have @count items? */
bool wire_opcode_is_good_count(uint16_t opcode, uint32_t count);
/* Are the items of its messages struct wire_result? */
bool wire_opcode_has_results(uint16_t opcode);

#endif
