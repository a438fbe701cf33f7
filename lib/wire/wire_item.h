/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_item: the header of a message and its items as they lie in it. Files include wire.h, which
 * has this one and says what the words mean.
 */
#ifndef PMEMARENA_WIRE_ITEM_H
#define PMEMARENA_WIRE_ITEM_H

#include <assert.h>
#include <stdint.h>

struct wire_header {                    /* 32 bytes */
	uint32_t magic;
	uint16_t version;
	uint16_t opcode;
	uint32_t length;                /* of the whole message */
	uint32_t count;                 /* number of items */
	/*
	 * in a request: from 1, greater with each message (0 in a hello); in a reply: the tag of
	 * its request
	 */
	uint64_t tag;
	/*
	 * in a request that is sent again: the tag under which it was sent first; 0: it is sent the
	 * first time
	 */
	uint64_t repeats;
};

struct wire_hello {                     /* 64 bytes: the only item of WIRE_HELLO */
	uint16_t min_version, max_version;
	uint32_t reserved;
	uint64_t features;              /* enum wire_features that the client wants */
	uint64_t session;               /* the session to go on with; 0: begin a new one */
	uint8_t  secret[16];             /* the session's secret, from its WELCOME */
	uint8_t  unused[24];
};

/* 64 bytes: the first item of WIRE_WELCOME, whose `count` is 1 + the number of arenas */
struct wire_welcome {
	/* 0; or -EPROTONOSUPPORT, -EDQUOT, -EBUSY: refused, and no arenas follow */
	int32_t  result;
	uint16_t version;
	uint16_t nr_arenas;
	uint64_t features;              /* those features that the session has from now on */
	uint64_t session;
	uint8_t  secret[16];
	/*
	 * After a resume: the highest tag of a request that may have had an effect. Whatever the
	 * client sent with a higher tag was not done: the client sends it again under a new tag. 0
	 * in a new session.
	 */
	uint64_t last_tag;
	/* 1: the session that the client asked for goes on; 0: this is a new one */
	uint32_t resumed;
	uint32_t max_items;
	/*
	 * After a resume: the tag of the last request that was received. On a connection that
	 * another daemon took over, later requests are still in the socket and will be answered.
	 */
	uint64_t read_tag;
};

enum wire_arena_state { WIRE_ARENA_ONLINE, WIRE_ARENA_DAMAGED, WIRE_ARENA_OFFLINE };

/* 256 bytes: one for each arena in a WIRE_WELCOME, and the only item of WIRE_ATTACHED */
struct wire_arena {
	/* WIRE_ATTACHED: 0, or why no descriptors came (negative errno) */
	int32_t  result;
	uint32_t index;                 /* the number in struct pma_handle.arena */
	uint8_t  uuid[16];
	char     name[64];              /* ends in a NUL */
	/* bytes of a compound page, the unit of large allocations */
	uint64_t page_size;
	uint64_t size;                  /* bytes that clients can allocate */
	uint64_t data_off;              /* where these bytes begin on the device */
	uint64_t device_size;
	/* the device accepts mappings whose offset and length are multiples of this */
	uint64_t align;
	uint32_t is_dax;
	/* what a store is flushed by: 0 byte, 1 cache line, 2 page */
	uint32_t granularity;
	uint64_t nr_slots;              /* entries of the validity plane */
	/* enum wire_arena_state; a damaged arena takes no new allocations until it is repaired */
	uint32_t state;
	uint32_t node_and_1;            /* NUMA node of the memory, plus 1; 0: unknown */
	/* the path of the device, cut when it is longer; ends in a NUL */
	char     device[96];
	uint64_t unused;
};

/* 64 bytes: the only item of WIRE_WINDOWED */
struct wire_window {
	/* 0, or why no descriptors came (negative errno) */
	int32_t  result;
	uint32_t arena;
	uint64_t window;                /* the daemon's number, by which it is taken up again */
	uint8_t  secret[16];
	uint32_t nr_words;              /* how many pin words the window has */
	uint32_t resumed;               /* 1: an earlier window goes on; 0: this is a new one */
	uint8_t  unused[24];
};

enum wire_charge { WIRE_CHARGE_BYTES, WIRE_CHARGE_ALLOCATIONS, WIRE_CHARGE_LEASED, WIRE_CHARGES };

/* 128 bytes: the only item of WIRE_USED */
struct wire_usage {
	int32_t  result;
	uint32_t arena;
	uint64_t size, free, largest_free;              /* bytes */
	/* bytes that are not free, by reason: of all users, and some tenths of a second old */
	uint64_t leased, reserved, quarantined;
	/* of the session's user, by enum wire_charge; a limit of 0: there is none */
	uint64_t used[WIRE_CHARGES], limit[WIRE_CHARGES];
	uint64_t unused[3];
};

/* 64 bytes, then the name, then the attributes, then zeroes up to a multiple of 8 */
struct wire_request {
	uint16_t size;                  /* bytes of the item with its name and its padding */
	/* at most WIRE_MAX_NAME; the name may have any bytes but 0 */
	uint16_t name_len;
	/* enum wire_flags; a flag that the opcode does not know is refused with -EINVAL */
	uint32_t flags;
	uint32_t arena;
	uint32_t slot;
	uint64_t id;
	uint64_t len;                   /* bytes */
	uint64_t arg;
	uint32_t uid, gid, mode;
	uint16_t attributes_len;        /* with WIRE_WITH_ATTRIBUTES; else it means nothing */
	uint16_t unused;
	uint32_t reserved[2];
};

struct wire_extent { uint64_t off, len; };      /* bytes on the device */

/*
 * 96 bytes, then nr_inline extents, then the text, then the attributes, then zeroes up to a
 * multiple of 8
 */
struct wire_result {
	uint16_t size;
	uint16_t nr_inline;
	int32_t  result;                /* 0 or a negative Linux errno */
	uint32_t arena;
	uint32_t slot;
	uint64_t id;
	uint64_t len;                   /* usable bytes, a multiple of 4 KiB */
	uint32_t uid, gid, mode;
	uint32_t flags;                 /* enum wire_stat_flags; events: enum wire_event_kind */
	/* how many extents the whole allocation has, also those that are not in this message */
	uint32_t nr_extents;
	/* if result is 0 the text is the name, else a sentence for a person */
	uint16_t text_len;
	uint16_t attributes_len;        /* 0 if result is not 0, or none were asked for */
	uint64_t version;               /* grows with every change of the record */
	uint64_t created_ns;            /* CLOCK_REALTIME */
	/*
	 * WIRE_LISTED, in its last item: the `arg` with which to ask for the next page; 0: this was
	 * the last page
	 */
	uint64_t cursor;
	uint64_t unused[2];
};

enum wire_stat_flags {
	WIRE_IS_RESERVED = 1u << 0,
	WIRE_IS_POISONED = 1u << 1,
	WIRE_IS_LEASED = 1u << 2,
	WIRE_WAS_DONE = 1u << 3, /* reserve, publish: by an earlier request under the same token */
	/*
	 * It has attributes. If they were asked for and are not in the result, the message had no
	 * room for them: a stat will tell.
	 */
	WIRE_HAS_ATTRIBUTES = 1u << 8,
	WIRE_IS_EVICTABLE = 1u << 9
};

_Static_assert(sizeof(struct wire_header) == 32, "wire");
_Static_assert(sizeof(struct wire_hello) == 64, "wire");
_Static_assert(sizeof(struct wire_welcome) == 64, "wire");
_Static_assert(sizeof(struct wire_arena) == 256, "wire");
_Static_assert(sizeof(struct wire_window) == 64, "wire");
_Static_assert(sizeof(struct wire_usage) == 128, "wire");
_Static_assert(sizeof(struct wire_request) == 64, "wire");
_Static_assert(sizeof(struct wire_result) == 96, "wire");

#endif
