/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: the messages between a client and the daemon, as bytes. Encodes, decodes and validates; holds no descriptor,
 * allocates nothing, knows no arena. doc/PROTOCOL.md says the same in words.
 *
 * A message is one SOCK_SEQPACKET packet of at most WIRE_MAX bytes: a header, then `count` items of variable size, each a
 * multiple of 8 bytes long and aligned to 8. All numbers are little-endian, all unused bytes are zero and ignored
 * by this version unless said otherwise.
 *
 *	client                                   daemon
 *	  WIRE_HELLO {versions, resume}   ->
 *	                                  <-     WIRE_WELCOME {session, token, limits}, then one item an arena
 *	  WIRE_ATTACH {arena, mode}       ->
 *	                                  <-     WIRE_ATTACHED, with two descriptors: the device in that mode, the plane
 *	  WIRE_RESERVE x n (tag 7)        ->
 *	  WIRE_STAT x n    (tag 8)        ->     (pipelined: no need to wait)
 *	                                  <-     WIRE_RESERVED x n (tag 7)
 *	                                  <-     WIRE_STATTED x n  (tag 8)
 *	                                  <-     WIRE_EVENT x n    (tag 0)
 *
 * A WELCOME on a connection that is up says that another daemon took it over, with its session: PROTOCOL.md tells what a client does
 * then.
 *
 * The daemon begins a session's messages in the order in which they came, but replies may overtake each other: a reserve or a
 * resize may wait for space to be scrubbed, and later messages do not wait for it. The tag
 * says which request a reply belongs to. A reply has as many items as the request, in its order, each with its own result,
 * but for WIRE_LISTED, which has as many as there were.
 */
#ifndef PMEMARENA_WIRE_H
#define PMEMARENA_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC      0x31414d50u     /* "PMA1" */
#define WIRE_VERSION    1
#define WIRE_MAX        65536u          /* bytes a message */
#define WIRE_MAX_ITEMS  256u
#define WIRE_MAX_NAME   255u
#define WIRE_MAX_TEXT   511u            /* bytes of a message for a person */
#define WIRE_MAX_INLINE_EXTENTS 16u     /* a reply carries the first ones; WIRE_EXTENTED as many as fit, to fetch the others */

enum wire_opcode {
	WIRE_HELLO = 1,         /* struct wire_hello */
	WIRE_ATTACH,            /* item: arena, flags (WIRE_READ_ONLY or 0); one item */
	WIRE_RESERVE,           /* arena, len, name, mode, flags (WIRE_PUBLISH: permanent at once; WIRE_CONTIGUOUS); arg: token */
	WIRE_COMMIT,            /* handle: publish it; arg: token */
	WIRE_ABORT,             /* handle; flags WIRE_UNMAPPED */
	WIRE_FREE,              /* handle; flags WIRE_UNMAPPED */
	WIRE_OPEN,              /* name, or handle when there is no name; flags WIRE_READ_ONLY, WIRE_WANT_UID (uid) */
	WIRE_CLOSE,             /* handle; flags WIRE_UNMAPPED */
	WIRE_RESIZE,            /* handle, len */
	WIRE_RENAME,            /* handle, name (none: it becomes unnamed); -EEXIST when taken */
	WIRE_SETATTR,           /* handle; flags WIRE_SET_UID, _GID, _MODE; uid, gid, mode */
	WIRE_STAT,              /* name, or handle */
	WIRE_EXTENTS,           /* handle; arg: index of the first extent wanted; one item */
	WIRE_LIST,              /* arena; name: prefix; arg: cursor (0 at first); len: at most so many results (0: any); one item */
	WIRE_SUBSCRIBE,         /* arena; name: prefix; flags: WIRE_UNSUBSCRIBE, WIRE_RECALLS; one item */
	WIRE_CARVE,             /* handle: a reservation; arg: offset on the device, len: of its part; name, mode, flags WIRE_KEEP_OPEN */
	WIRE_OPCODES,           /* one past the last request */

	WIRE_REPLY = 0x8000,    /* reply opcode = request opcode | WIRE_REPLY */
	WIRE_WELCOME    = WIRE_HELLO | WIRE_REPLY,
	WIRE_ATTACHED   = WIRE_ATTACH | WIRE_REPLY,
	WIRE_RESERVED   = WIRE_RESERVE | WIRE_REPLY,
	WIRE_COMMITTED  = WIRE_COMMIT | WIRE_REPLY,
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
	WIRE_EVENT      = 0xc000,       /* unasked; tag 0; items are struct wire_result, flags: enum wire_event_kind */
};

enum wire_flags {
	WIRE_PUBLISH     = 1u << 0,
	WIRE_CONTIGUOUS  = 1u << 1,
	WIRE_READ_ONLY   = 1u << 2,
	WIRE_WANT_UID    = 1u << 3,
	WIRE_UNMAPPED    = 1u << 4,     /* this client has no mapping of it left */
	WIRE_SET_UID     = 1u << 5,
	WIRE_SET_GID     = 1u << 6,
	WIRE_SET_MODE    = 1u << 7,
	WIRE_UNSUBSCRIBE = 1u << 8,
	WIRE_LEASE       = 1u << 9,     /* reserve: space taken ahead, counted as leased */
	WIRE_KEEP_OPEN   = 1u << 10,    /* reserve with WIRE_PUBLISH, carve: the session has it open afterwards (without PUBLISH always) */
	WIRE_RECALLS     = 1u << 11,    /* subscribe: to nothing but WIRE_EVENT_RECALL */
};

enum wire_event_kind {
	WIRE_EVENT_PUBLISHED = 1, WIRE_EVENT_FREED, WIRE_EVENT_RENAMED, WIRE_EVENT_RESIZED, WIRE_EVENT_SETATTRED,
	WIRE_EVENT_POISONED, WIRE_EVENT_RECALL, WIRE_EVENT_ARENA_OFFLINE, WIRE_EVENT_LOST /* events were dropped */,
};

enum wire_features {
	WIRE_REPEATS = 1u << 0,         /* what the session changes is remembered until it was told: asked again, nothing is done twice */
	WIRE_CARVES  = 1u << 1,         /* WIRE_CARVE, WIRE_LEASE and WIRE_RECALLS are known */
};

struct wire_header {                    /* 32 bytes */
	uint32_t magic;
	uint16_t version;
	uint16_t opcode;
	uint32_t length;                /* of the whole message */
	uint32_t count;                 /* items */
	uint64_t tag;                   /* request: from 1, greater with each message (hello: 0); reply: the request's */
	uint64_t repeats;               /* request: the tag under which it was sent first; 0: this is the first time */
};

struct wire_hello {                     /* 64 bytes: the only item of WIRE_HELLO */
	uint16_t min_version, max_version;
	uint32_t reserved;
	uint64_t features;              /* enum wire_features that the client wants */
	uint64_t session;               /* resume this one; 0: a new one */
	uint8_t  token[16];             /* the session's secret, from its WELCOME */
	uint8_t  unused[24];
};

struct wire_welcome {                   /* 64 bytes: the first item of WIRE_WELCOME; `count` is 1 + arenas */
	int32_t  result;                /* 0; -EPROTONOSUPPORT, -EDQUOT, -EBUSY: then there are no arenas */
	uint16_t version;
	uint16_t nr_arenas;
	uint64_t features;              /* those that the session has */
	uint64_t session;
	uint8_t  token[16];
	uint64_t last_tag;              /* resumed: the highest tag of a request that may have had an effect; what the client sent
					 * after it was not done, and comes again under a new tag. 0 in a new session */
	uint32_t resumed;               /* 1: the session goes on as it was */
	uint32_t max_items;
	uint64_t read_tag;              /* resumed: the last request that was received; later ones are still on this connection, if it is the old one */
};

struct wire_arena {                     /* 256 bytes: one an arena; the item of WIRE_ATTACHED is one too */
	int32_t  result;                /* WIRE_ATTACHED: 0, or why not, and no descriptors */
	uint32_t index;                 /* struct pma_handle.arena */
	uint8_t  uuid[16];
	char     name[64];              /* terminated */
	uint64_t page_size;             /* the compound page, bytes */
	uint64_t size;                  /* bytes that clients can have */
	uint64_t data_off;              /* where they start on the device */
	uint64_t device_size;
	uint64_t align;                 /* a mapping's offset and length are multiples of it */
	uint32_t is_dax;
	uint32_t granularity;           /* 0 byte, 1 cache line, 2 page */
	uint64_t nr_slots;              /* entries of the validity plane */
	uint32_t state;                 /* 0 online, 1 degraded (no new allocations until repair), 2 offline */
	uint32_t reserved;
	char     device[96];            /* path, cut when longer; terminated */
	uint64_t unused;
};

struct wire_request {                   /* 64 bytes, then the name, padded with zeroes to 8 */
	uint16_t size;                  /* of the item with its name and padding */
	uint16_t name_len;              /* <= WIRE_MAX_NAME; any bytes but 0 */
	uint32_t flags;                 /* enum wire_flags; unknown ones are refused with -EINVAL */
	uint32_t arena;
	uint32_t slot;
	uint64_t id;
	uint64_t len;                   /* bytes */
	uint64_t arg;
	uint32_t uid, gid, mode;
	uint32_t reserved[3];
};

struct wire_extent { uint64_t off, len; };      /* bytes on the device */

struct wire_result {                    /* 96 bytes, then nr_inline extents, then text, padded to 8 */
	uint16_t size;
	uint16_t nr_inline;
	int32_t  result;                /* 0 or a negative Linux errno */
	uint32_t arena;
	uint32_t slot;
	uint64_t id;
	uint64_t len;                   /* usable bytes, a multiple of 4 KiB */
	uint32_t uid, gid, mode;
	uint32_t flags;                 /* enum wire_stat_flags; events: enum wire_event_kind */
	uint32_t nr_extents;            /* in all */
	uint16_t text_len;              /* result 0: the name; refused: a message for a person */
	uint16_t reserved;
	uint64_t version;               /* grows with every change of the record */
	uint64_t created_ns;            /* CLOCK_REALTIME */
	uint64_t cursor;                /* WIRE_LISTED, on its last item: ask again with this as arg; 0: the end */
	uint64_t unused[2];
};

enum wire_stat_flags { WIRE_IS_RESERVED = 1u << 0, WIRE_IS_POISONED = 1u << 1, WIRE_IS_LEASED = 1u << 2,
		       WIRE_WAS_DONE = 1u << 3 /* reserve, commit: by an earlier request under the same token */ };

_Static_assert(sizeof(struct wire_header) == 32, "wire");
_Static_assert(sizeof(struct wire_hello) == 64, "wire");
_Static_assert(sizeof(struct wire_welcome) == 64, "wire");
_Static_assert(sizeof(struct wire_arena) == 256, "wire");
_Static_assert(sizeof(struct wire_request) == 64, "wire");
_Static_assert(sizeof(struct wire_result) == 96, "wire");

/*
 * Writing: a buffer of WIRE_MAX bytes is filled from the front. wire_begin() puts the header, each wire_add_*()
 * appends an item (-EMSGSIZE when it does not fit; the buffer is as before), wire_end() settles length and count and
 * returns the length. Byte order is converted here: on big-endian hosts too the bytes are little-endian.
 */
struct wire_writer {
	uint8_t *buf;                   /* borrowed; 8-aligned, WIRE_MAX bytes */
	uint32_t length, count;
};

void wire_begin(struct wire_writer *w, void *buf, uint16_t opcode, uint64_t tag);
int wire_add_request(struct wire_writer *w, const struct wire_request *request, const char *name, size_t name_len);
int wire_add_result(struct wire_writer *w, const struct wire_result *result, const struct wire_extent *extents,
		    const char *text, size_t text_len);
int wire_add_raw(struct wire_writer *w, const void *item, size_t size);       /* hello, welcome, arena */
size_t wire_end(struct wire_writer *w);
void wire_set_tag(void *message, uint64_t tag, uint64_t repeats);       /* of a message that is written already */
/*
 * 256 results with long names or many extents are more than a message holds. Before adding a result that @nr_after others follow: lowers
 * result->nr_inline, and returns how much of the text to give, so that all of them still fit. The client fetches extents
 * with WIRE_EXTENTS; names are of use in WIRE_STATTED and WIRE_LISTED only, where one that does not fit makes that
 * result -EMSGSIZE (a list ends early instead, before it comes to that).
 */
size_t wire_fit_result(const struct wire_writer *w, struct wire_result *result, size_t text_len, uint32_t nr_after);

/*
 * Reading: wire_open() checks magic, version, opcode, length and count; wire_next_*() check and return one item
 * after the other. 1 an item, 0 the end, -EPROTO the sender does not keep the protocol. What is returned points into
 * the message: names are not terminated, extents are read with wire_extent_at().
 */
struct wire_reader {
	struct wire_header header;
	const uint8_t *at, *end;
	uint32_t left;
};

int wire_open(struct wire_reader *r, const void *buf, size_t length);
int wire_next_request(struct wire_reader *r, struct wire_request *request, const char **name);
int wire_next_result(struct wire_reader *r, struct wire_result *result, const struct wire_extent **extents,
		     const char **text);
int wire_next_raw(struct wire_reader *r, void *item, size_t size);
struct wire_extent wire_extent_at(const struct wire_extent *extents, uint32_t i);

uint32_t wire_known_flags(uint16_t opcode);     /* the enum wire_flags that mean something in such a request */
const char *wire_opcode_name(uint16_t opcode);  /* "reserve"; for logs and metrics; "unknown" */

#endif
