/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: the messages between a client and the daemon, as bytes. The functions encode, decode and
 * validate; they hold no descriptor, allocate nothing and know no arena. doc/PROTOCOL.md says the
 * same in words, and what each request does.
 *
 * A message is one SOCK_SEQPACKET packet of at most WIRE_MAX bytes: a header, then `count` items of
 * variable size, each of a multiple of 8 bytes and aligned to 8. All numbers are little-endian. A
 * sender sets unused bytes to zero; this version ignores them unless a comment says otherwise.
 *
 *	client                                   daemon
 *	  WIRE_HELLO {versions, resume}   ->
 *	                                  <-     WIRE_WELCOME {session, secret, limits},
 *	                                           then one item for each arena
 *	  WIRE_ATTACH {arena, mode}       ->
 *	                                  <-     WIRE_ATTACHED, with two descriptors:
 *	                                           the device in that mode, the plane
 *	  WIRE_WINDOW {arena, mode}       ->
 *	                                  <-     WIRE_WINDOWED, with three descriptors:
 *	                                           the device, the catalog, the pins; and
 *	                                           the touches for who asked for WIRE_EVICTS
 *	  WIRE_RESERVE x n (tag 7)        ->
 *	  WIRE_STAT x n    (tag 8)        ->     (pipelined: no need to wait)
 *	                                  <-     WIRE_RESERVED x n (tag 7)
 *	                                  <-     WIRE_STATTED x n  (tag 8)
 *	                                  <-     WIRE_EVENT x n    (tag 0)
 *
 * A WELCOME on a connection that is up already says that another daemon took the connection over,
 * with its session. PROTOCOL.md tells what a client does then.
 *
 * The daemon begins the messages of a session in the order in which they came, but a reply may
 * overtake an earlier one: a reserve or a resize may wait until freed space is scrubbed
 * (overwritten with zeroes), and later messages do not wait for it. The tag says which request a
 * reply belongs to. A reply has as many items as its request, in the same order, each with a result
 * of its own; only WIRE_LISTED has as many items as allocations were found.
 *
 * Words. *Session*: what goes on when a connection is lost; it owns reservations and open
 * allocations. *Plane*: a file in shared memory with the id of the allocation that lives in each
 * slot; a client looks there whether a handle is still valid. *Lease*: a reservation that a cache
 * takes ahead of need. *Carve*: make a part of a lease an allocation of its own. *Lent*: somebody
 * outside of the session may have the allocation mapped (a child, a device), so the session cannot
 * say when it is unmapped. *Recall*: the daemon asks caches to give leases back.
 */
#ifndef PMEMARENA_WIRE_H
#define PMEMARENA_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/wire/wire_item.h"

#define WIRE_MAGIC      0x31414d50u     /* "PMA1" */
#define WIRE_VERSION    1
#define WIRE_MAX        65536u          /* bytes of a whole message */
#define WIRE_MAX_ITEMS  256u
#define WIRE_MAX_NAME   255u
#define WIRE_MAX_TEXT   511u            /* bytes of a sentence for a person */
#define WIRE_MAX_ATTRIBUTES 256u        /* bytes that an owner can attach to an allocation */
/* A reply carries this many extents at most; WIRE_EXTENTS fetches the others. */
#define WIRE_MAX_INLINE_EXTENTS 16u

enum wire_opcode {
	WIRE_HELLO = 1,         /* a session begins or goes on; its item is struct wire_hello */
	/* get the descriptors of an arena; one item: arena, flags (WIRE_READ_ONLY or 0) */
	WIRE_ATTACH,
	/*
	 * arena, len, name, mode; flags WIRE_AND_PUBLISH (make it permanent in the same step),
	 * WIRE_CONTIGUOUS, WIRE_LEASE, WIRE_KEEP_OPEN, WIRE_REPLACE, WIRE_EVICTABLE,
	 * WIRE_ANY_CONTENTS; arg: the program's token.
	 * -EEXIST: a published allocation has the name; -EBUSY: a reservation has it
	 */
	WIRE_RESERVE,
	/*
	 * make a reservation permanent: handle; arg: the program's token; flag WIRE_REPLACE: under
	 * the name of the item; WIRE_EVICTABLE
	 */
	WIRE_PUBLISH,
	/* give a reservation back: handle; flags WIRE_UNMAPPED, WIRE_LENT, WIRE_DONE */
	WIRE_ABORT,
	/* end an allocation: name, or handle when there is no name; flags as of WIRE_ABORT */
	WIRE_FREE,
	/*
	 * name, or handle when there is no name; flags WIRE_READ_ONLY, WIRE_LENT, WIRE_WANT_UID
	 * (-EPERM unless the user in `uid` owns it)
	 */
	WIRE_OPEN,
	WIRE_CLOSE,             /* handle; flags as of WIRE_ABORT, WIRE_IF_CLOSED */
	WIRE_RESIZE,            /* handle, len: the new length */
	/*
	 * handle, name (empty: the allocation becomes unnamed), flag WIRE_REPLACE; -EEXIST, -EBUSY
	 * as of WIRE_RESERVE
	 */
	WIRE_RENAME,
	/* handle; flags WIRE_SET_UID, _GID, _MODE say which of uid, gid, mode to set */
	WIRE_SETATTR,
	WIRE_STAT,              /* name, or handle */
	/* handle; arg: index of the first extent wanted; flag WIRE_LENT; one item */
	WIRE_EXTENTS,
	/*
	 * arena; name: prefix; arg: cursor (0 at first); len: the most results wanted (0: any
	 * number); one item
	 */
	WIRE_LIST,
	/* ask for events: arena; name: prefix; flags WIRE_UNSUBSCRIBE, WIRE_RECALLS; one item */
	WIRE_SUBSCRIBE,
	/*
	 * make a part of a reservation an allocation of its own: handle; arg: where the part begins
	 * on the device; len: of the part; name, mode, flags WIRE_KEEP_OPEN, WIRE_EVICTABLE
	 */
	WIRE_CARVE,
	/*
	 * get a window, one mapping of a whole arena's data: arena; flags WIRE_READ_ONLY; slot: pin
	 * words wanted; one item. Or take up again one that is there: id, and its secret in len and
	 * arg (wire_pack_secret()), with the descriptor of its pins.
	 */
	WIRE_WINDOW,
	/*
	 * store a pin in a window (window.h): name, or handle; flags WIRE_READ_ONLY; arg: the index
	 * of the pin word, which is PINS_TAKEN
	 */
	WIRE_PIN,
	WIRE_USAGE,             /* arena; one item: how full it is, and what this user has of it */
	/*
	 * wait until a name is published: arena, name; arg: for at most so many milliseconds; flag
	 * WIRE_UNTIL_THERE; one item. The result is that of a stat. -ENOENT: nobody is writing it;
	 * -ETIMEDOUT
	 */
	WIRE_WAIT,
	/* says that something evictable was used, so that it is evicted later: name, or handle */
	WIRE_TOUCH,
	/*
	 * which arenas there are now, as in a WELCOME; one item, of which nothing is used. The
	 * reply has an item for each.
	 */
	WIRE_SURVEY,
	WIRE_OPCODES,           /* one more than the last request's number */

	WIRE_REPLY = 0x8000,    /* reply opcode = request opcode | WIRE_REPLY */
	WIRE_WELCOME    = WIRE_HELLO | WIRE_REPLY,
	WIRE_ATTACHED   = WIRE_ATTACH | WIRE_REPLY,
	WIRE_RESERVED   = WIRE_RESERVE | WIRE_REPLY,
	WIRE_PUBLISHED  = WIRE_PUBLISH | WIRE_REPLY,
	WIRE_ABORTED    = WIRE_ABORT | WIRE_REPLY,
	WIRE_FREED      = WIRE_FREE | WIRE_REPLY,
	WIRE_OPENED     = WIRE_OPEN | WIRE_REPLY,
	WIRE_CLOSED     = WIRE_CLOSE | WIRE_REPLY,
	WIRE_RESIZED    = WIRE_RESIZE | WIRE_REPLY,
	WIRE_RENAMED    = WIRE_RENAME | WIRE_REPLY,
	WIRE_SETATTRED  = WIRE_SETATTR | WIRE_REPLY,
	WIRE_STATTED    = WIRE_STAT | WIRE_REPLY,
	WIRE_EXTENTED   = WIRE_EXTENTS | WIRE_REPLY,
	WIRE_LISTED     = WIRE_LIST | WIRE_REPLY,
	WIRE_SUBSCRIBED = WIRE_SUBSCRIBE | WIRE_REPLY,
	WIRE_CARVED     = WIRE_CARVE | WIRE_REPLY,
	WIRE_WINDOWED   = WIRE_WINDOW | WIRE_REPLY,
	WIRE_PINNED     = WIRE_PIN | WIRE_REPLY,
	WIRE_USED       = WIRE_USAGE | WIRE_REPLY,
	WIRE_WAITED     = WIRE_WAIT | WIRE_REPLY,
	WIRE_TOUCHED    = WIRE_TOUCH | WIRE_REPLY,
	WIRE_SURVEYED   = WIRE_SURVEY | WIRE_REPLY,
	/*
	 * sent without a request: tag 0; items are struct wire_result whose flags are enum
	 * wire_event_kind
	 */
	WIRE_EVENT      = 0xc000,
};

enum wire_flags {
	WIRE_AND_PUBLISH     = 1u << 0,
	WIRE_CONTIGUOUS  = 1u << 1,
	WIRE_READ_ONLY   = 1u << 2,
	WIRE_WANT_UID    = 1u << 3,
	WIRE_UNMAPPED    = 1u << 4,     /* abort, free, close: this client has unmapped all of it */
	WIRE_SET_UID     = 1u << 5,
	WIRE_SET_GID     = 1u << 6,
	WIRE_SET_MODE    = 1u << 7,
	WIRE_UNSUBSCRIBE = 1u << 8,
	/*
	 * reserve: a cache takes the space ahead of need; it counts against the user's bound for
	 * leases
	 */
	WIRE_LEASE       = 1u << 9,
	/*
	 * carve, and reserve with WIRE_AND_PUBLISH: the session has the allocation open afterwards
	 * (a reserve without WIRE_AND_PUBLISH always leaves it open)
	 */
	WIRE_KEEP_OPEN   = 1u << 10,
	WIRE_RECALLS     = 1u << 11,    /* subscribe: send WIRE_EVENT_RECALL and no other event */
	/*
	 * Others than this session may have it mapped and keep it. From here on the daemon ignores
	 * WIRE_UNMAPPED of this session for it: the session cannot speak for the others.
	 */
	WIRE_LENT        = 1u << 12,
	/*
	 * close: the client reports that it has unmapped what it closed or freed before. If it was
	 * opened again since, it stays open.
	 */
	WIRE_IF_CLOSED   = 1u << 13,
	/*
	 * abort, free, close: whoever had it mapped, in this session or outside of it, is done with
	 * it. It ends WIRE_LENT and implies WIRE_UNMAPPED.
	 */
	WIRE_DONE        = 1u << 14,
	/*
	 * publish, rename, and reserve with WIRE_AND_PUBLISH: frees, in the same step, the
	 * published allocation that has the name. A publish then takes the name from its item.
	 */
	WIRE_REPLACE     = 1u << 15,
	/*
	 * reserve, publish, free, rename, in each item of the message: all items succeed, or none
	 * has an effect
	 */
	WIRE_ALL_OR_NONE = 1u << 16,
	/*
	 * reserve with WIRE_AND_PUBLISH, publish, carve: the daemon may free it to make room for
	 * others, while nobody has it open or pinned
	 */
	WIRE_EVICTABLE   = 1u << 18,
	/*
	 * reserve without WIRE_LEASE, and with WIRE_AND_PUBLISH only for the owner alone: the space
	 * need not read as zeroes; it may have what the same user stored there earlier
	 */
	WIRE_ANY_CONTENTS = 1u << 19,
	/*
	 * reserve with WIRE_AND_PUBLISH, publish, carve, setattr: the item has attributes, behind
	 * its name, which the allocation gets (instead of what it had). stat, open, pin, list: the
	 * results shall have them, behind their texts.
	 */
	WIRE_WITH_ATTRIBUTES = 1u << 20,
	/* wait: if nobody has reserved the name yet, go on waiting, since somebody may */
	WIRE_UNTIL_THERE = 1u << 21,
};

enum wire_event_kind {
	WIRE_EVENT_PUBLISHED = 1,
	WIRE_EVENT_FREED,
	WIRE_EVENT_RENAMED,
	WIRE_EVENT_RESIZED,
	WIRE_EVENT_SETATTRED,
	WIRE_EVENT_POISONED,
	WIRE_EVENT_RECALL,
	WIRE_EVENT_ARENA_OFFLINE,
	WIRE_EVENT_LOST /* events were dropped */,
	/* freed to make room; to a session without WIRE_EVICTS it is WIRE_EVENT_FREED */
	WIRE_EVENT_EVICTED,
	/*
	 * To sessions with WIRE_SURVEYS alone, with the arena's name: it can be used now, told to
	 * who listens to any arena; it was removed (to other sessions WIRE_EVENT_LOST).
	 */
	WIRE_EVENT_ARENA_ADDED,
	WIRE_EVENT_ARENA_REMOVED,
	/*
	 * It is in another arena now: nr_extents is that arena, cursor the id and version the slot
	 * there; to a session without WIRE_SURVEYS it is WIRE_EVENT_FREED.
	 */
	WIRE_EVENT_MOVED,
};

enum wire_features {
	/*
	 * The daemon remembers each change of the session until the client has the reply. A client
	 * that lost the connection may ask again: nothing is done twice.
	 */
	WIRE_REPEATS = 1u << 0,
	/* the daemon knows WIRE_CARVE, WIRE_LEASE and WIRE_RECALLS */
	WIRE_CARVES  = 1u << 1,
	/*
	 * The daemon knows WIRE_LENT. Towards an older one a client that has lent something closes
	 * it without WIRE_UNMAPPED; with a newer one that alone does not mean "lent".
	 */
	WIRE_LENDS   = 1u << 2,
	/* the daemon knows WIRE_WINDOW, WIRE_PIN and WIRE_DONE */
	WIRE_WINDOWS = 1u << 3,
	/* the daemon knows WIRE_USAGE */
	WIRE_USAGES  = 1u << 4,
	/* the daemon knows WIRE_REPLACE, and WIRE_FREE by name */
	WIRE_REPLACES = 1u << 5,
	/*
	 * The daemon knows WIRE_EVICTABLE and WIRE_TOUCH, and a WIRE_WINDOWED brings one descriptor
	 * more: that of the touches.
	 */
	WIRE_EVICTS  = 1u << 6,
	/* the daemon knows WIRE_WITH_ATTRIBUTES */
	WIRE_ATTRIBUTES = 1u << 7,
	/* the daemon knows WIRE_ANY_CONTENTS */
	WIRE_CONTENTS = 1u << 8,
	/* the daemon knows WIRE_WAIT */
	WIRE_WAITS = 1u << 9,
	/* the daemon knows WIRE_ALL_OR_NONE */
	WIRE_BUNDLES = 1u << 10,
	/* the daemon knows WIRE_SURVEY, and tells of arenas that come and go */
	WIRE_SURVEYS = 1u << 11,
};

/*
 * Writing. The caller gives a buffer of WIRE_MAX bytes, aligned to 8, which is filled from the
 * front. wire_begin() puts the header; each wire_add_*() appends one item, or returns -EMSGSIZE and
 * leaves the buffer as it was when the item does not fit (-ENAMETOOLONG: a name of more than
 * WIRE_MAX_NAME bytes; -EINVAL: an item of the wrong size for this message); wire_end() writes
 * length and count into the header and returns the length. The functions convert the byte order:
 * the bytes are little-endian on big-endian hosts too.
 */
struct wire_writer {
	uint8_t *buf;                   /* borrowed; aligned to 8, WIRE_MAX bytes */
	uint32_t length, count;
};

void wire_begin(struct wire_writer *w, void *buf, uint16_t opcode, uint64_t tag);
int wire_add_request(struct wire_writer *w, const struct wire_request *request, const char *name,
		     size_t name_len);
int wire_add_result(struct wire_writer *w, const struct wire_result *result,
		    const struct wire_extent *extents, const char *text, size_t text_len);
/*
 * As the two above, which add none, with the item's attributes: attributes_len bytes (of a request:
 * if its flags have WIRE_WITH_ATTRIBUTES).
 */
int wire_add_request_with(struct wire_writer *w, const struct wire_request *request,
			  const char *name, size_t name_len, const void *attributes);
int wire_add_result_with(struct wire_writer *w, const struct wire_result *result,
			 const struct wire_extent *extents, const char *text, size_t text_len,
			 const void *attributes);
/* item: a hello, welcome, arena, window or usage */
int wire_add_raw(struct wire_writer *w, const void *item, size_t size);
size_t wire_end(struct wire_writer *w);
/*
 * These put the secret of a window into request.len and request.arg, in which it travels as bytes,
 * and get it from there, on hosts of either byte order.
 */
void wire_pack_secret(struct wire_request *request, const uint8_t secret[16]);
void wire_unpack_secret(uint8_t secret[16], const struct wire_request *request);
/* changes a message that is written already */
void wire_set_tag(void *message, uint64_t tag, uint64_t repeats);
/*
 * A message cannot hold 256 results that all have long names or many extents. Call this before a
 * result is added after which @nr_after others will follow: it lowers result->nr_inline and
 * attributes_len, and returns how many bytes of the text to give, so that all of them still fit.
 * The client fetches missing extents with WIRE_EXTENTS. A name that does not fit is left out, and
 * so are attributes, but in a WIRE_STATTED it makes that result -EMSGSIZE, because the client asked
 * for it. (A list is ended earlier by its maker,
 * before a name has to be left out.)
 */
size_t wire_fit_result(const struct wire_writer *w, struct wire_result *result, size_t text_len,
		       uint32_t nr_after);

/*
 * Reading. wire_open() checks magic, version, opcode, length and count. Each wire_next_*() checks
 * and returns one item: 1 an item, 0 the end of the message, -EPROTO the sender violates the
 * protocol, and the rest of the message must not be used. What is returned points into the message
 * and lives as long as its buffer: a name is not terminated by a NUL, attributes stand behind it
 * (name + name_len, text + text_len), and extents are read with wire_extent_at(), which converts
 * their byte order.
 */
struct wire_reader {
	struct wire_header header;
	const uint8_t *at, *end;
	uint32_t left;
};

int wire_open(struct wire_reader *r, const void *buf, size_t length);
int wire_next_request(struct wire_reader *r, struct wire_request *request, const char **name);
int wire_next_result(struct wire_reader *r, struct wire_result *result,
		     const struct wire_extent **extents, const char **text);
int wire_next_raw(struct wire_reader *r, void *item, size_t size);
struct wire_extent wire_extent_at(const struct wire_extent *extents, uint32_t i);

/* which enum wire_flags a request of @opcode may have */
uint32_t wire_known_flags(uint16_t opcode);
/* "reserve" for a request, its reply too; "event"; "unknown"; for logs and statistics */
const char *wire_opcode_name(uint16_t opcode);

#endif
