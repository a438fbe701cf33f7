/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_opcode: what the protocol says of an opcode: whether it is a request or a reply, how many
 * items its message may have and of which kind, its flags, its name.
 */
#include <config.h>

#include "lib/wire/wire_opcode.h"

#include "lib/wire/wire.h"

/* The names of requests by opcode; NULL: there is no such request. */
static const char *const names[WIRE_OPCODES] = {
	[WIRE_HELLO] = "hello",		[WIRE_ATTACH] = "attach",
	[WIRE_RESERVE] = "reserve",	[WIRE_PUBLISH] = "publish",
	[WIRE_ABORT] = "abort",		[WIRE_FREE] = "free",
	[WIRE_OPEN] = "open",		[WIRE_CLOSE] = "close",
	[WIRE_RESIZE] = "resize",	[WIRE_RENAME] = "rename",
	[WIRE_SETATTR] = "setattr",	[WIRE_STAT] = "stat",
	[WIRE_EXTENTS] = "extents",	[WIRE_LIST] = "list",
	[WIRE_SUBSCRIBE] = "subscribe", [WIRE_CARVE] = "carve",
	[WIRE_WINDOW] = "window",	[WIRE_PIN] = "pin",
	[WIRE_USAGE] = "usage",		[WIRE_WAIT] = "wait",
	[WIRE_TOUCH] = "touch",		[WIRE_SURVEY] = "survey",
};

bool wire_opcode_is_request(uint16_t opcode)
{
	return opcode >= WIRE_HELLO && opcode < WIRE_OPCODES && names[opcode];
}

bool wire_opcode_is_reply(uint16_t opcode)
{
	return (opcode & 0xc000) == WIRE_REPLY && wire_opcode_is_request(opcode & ~WIRE_REPLY);
}

/* The protocol allows exactly one item in messages of these opcodes. */
static bool is_single(uint16_t opcode)
{
	switch (opcode) {
	case WIRE_HELLO:
	case WIRE_ATTACH:
	case WIRE_ATTACHED:
	case WIRE_EXTENTS:
	case WIRE_EXTENTED:
	case WIRE_LIST:
	case WIRE_SUBSCRIBE:
	case WIRE_SUBSCRIBED:
	case WIRE_WINDOW:
	case WIRE_WINDOWED:
	case WIRE_USAGE:
	case WIRE_USED:
	case WIRE_WAIT:
	case WIRE_WAITED:
	case WIRE_SURVEY:
		return true;
	default:
		return false;
	}
}

bool wire_opcode_is_good_count(uint16_t opcode, uint32_t count)
{
	if (is_single(opcode))
		return count == 1;
	return count <= WIRE_MAX_ITEMS &&
	       (count > 0 || opcode == WIRE_LISTED || opcode == WIRE_SURVEYED);
}

bool wire_opcode_has_results(uint16_t opcode)
{
	return opcode == WIRE_EVENT ||
	       (wire_opcode_is_reply(opcode) && opcode != WIRE_WELCOME && opcode != WIRE_ATTACHED &&
		opcode != WIRE_WINDOWED && opcode != WIRE_USED && opcode != WIRE_SURVEYED);
}

uint32_t wire_known_flags(uint16_t opcode)
{
	switch (opcode) {
	case WIRE_ATTACH:
	case WIRE_WINDOW:
		return WIRE_READ_ONLY;
	case WIRE_PIN:
		return WIRE_READ_ONLY | WIRE_WITH_ATTRIBUTES;
	case WIRE_STAT:
	case WIRE_LIST:
		return WIRE_WITH_ATTRIBUTES;
	case WIRE_RESERVE:
		return WIRE_AND_PUBLISH | WIRE_CONTIGUOUS | WIRE_LEASE | WIRE_KEEP_OPEN |
		       WIRE_REPLACE | WIRE_WITH_ATTRIBUTES | WIRE_EVICTABLE |
		       WIRE_ANY_CONTENTS | WIRE_ALL_OR_NONE;
	case WIRE_PUBLISH:
		return WIRE_REPLACE | WIRE_WITH_ATTRIBUTES | WIRE_EVICTABLE | WIRE_ALL_OR_NONE;
	case WIRE_RENAME:
		return WIRE_REPLACE | WIRE_ALL_OR_NONE;
	case WIRE_FREE:
		return WIRE_UNMAPPED | WIRE_LENT | WIRE_DONE | WIRE_ALL_OR_NONE;
	case WIRE_ABORT:
		return WIRE_UNMAPPED | WIRE_LENT | WIRE_DONE;
	case WIRE_CLOSE:
		return WIRE_UNMAPPED | WIRE_LENT | WIRE_IF_CLOSED | WIRE_DONE;
	case WIRE_OPEN:
		return WIRE_READ_ONLY | WIRE_WANT_UID | WIRE_LENT | WIRE_WITH_ATTRIBUTES;
	case WIRE_EXTENTS:
		return WIRE_LENT;
	case WIRE_SETATTR:
		return WIRE_SET_UID | WIRE_SET_GID | WIRE_SET_MODE | WIRE_WITH_ATTRIBUTES;
	case WIRE_SUBSCRIBE:
		return WIRE_UNSUBSCRIBE | WIRE_RECALLS;
	case WIRE_WAIT:
		return WIRE_UNTIL_THERE | WIRE_WITH_ATTRIBUTES;
	case WIRE_CARVE:
		return WIRE_KEEP_OPEN | WIRE_WITH_ATTRIBUTES | WIRE_EVICTABLE;
	default:
		return 0;
	}
}

const char *wire_opcode_name(uint16_t opcode)
{
	if (opcode == WIRE_EVENT)
		return "event";
	if (wire_opcode_is_reply(opcode))
		opcode &= ~WIRE_REPLY;
	return wire_opcode_is_request(opcode) ? names[opcode] : "unknown";
}
