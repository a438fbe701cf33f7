/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_internal: what an arena is made of, for the files of this folder and for nobody else. Each
 * file has a header of its own; README.md has the order of the files.
 */
#ifndef PMEMARENA_ARENA_INTERNAL_H
#define PMEMARENA_ARENA_INTERNAL_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"
#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_window.h"
#include "daemon/books/catalog.h"
#include "daemon/books/ledger.h"
#include "daemon/books/plane.h"
#include "daemon/space/space.h"
#include "daemon/books/table.h"
#include "daemon/books/touches.h"
#include "daemon/books/zeromap.h"
#include "daemon/media/superblock.h"

/*
 * How far the end of a session has come. It is done in steps: a session may have held a hundred
 * thousand allocations, and all others wait for each step.
 */
enum holder_end {
	END_NOT_YET,                            /* the session is connected, or may come back */
	/* its reservations become FREEING, one by one; it is on arena.ending */
	END_RESERVATIONS,
	/* somebody may have its allocations mapped; it is on arena.over */
	END_MARKED,
	/* nobody has: its holds are dropped one by one; it is on arena.ending */
	END_HOLDS,
};

/* A holder: one session as this arena sees it. */
struct holder {
	TAILQ_ENTRY(holder) link;               /* on arena.holders */
	RB_ENTRY(holder) by_session;            /* in arena.by_session */
	/* on arena.ending or arena.over, when the session is over */
	TAILQ_ENTRY(holder) by_end;
	struct arena *arena;                    /* borrowed; outlives its holders */
	uint64_t session;
	uint32_t uid;
	struct hold_list holds;                 /* owned */
	uint32_t entry;                         /* its item in the ledger */
	/* owned; items of the ledger, in the order of the changes */
	uint32_t *deeds;
	uint32_t nr_deeds, room_deeds;
	/*
	 * how many of the deeds, from the first on, are of an earlier connection: the session may
	 * still ask for them
	 */
	uint32_t nr_awaited;
	/* a connection uses it; else it waits for the grace time or for its marks */
	bool     is_connected;
	/* the process that connected, for `pmemarenactl holders`; the ledger has it too */
	struct ledger_who who;
	/* it was given a descriptor, by this daemon or perhaps by the one before */
	bool     may_be_marked;
	/* its user is charged a session for it: it is over or awaited, and mapped */
	bool     is_charged;
	/* [read_only]: descriptors given out since its mark was last seen gone */
	uint8_t  nr_attached[2];
	enum holder_end end;
	/* with END_RESERVATIONS: the hold to look at next */
	struct hold *ending;
	/* it is of the daemon before, and may still be joined again */
	bool     is_orphan;
	/* the round (arena.rounds) in which was_marked was found out */
	uint64_t looked;
	/* had anybody its descriptor, or a mapping made through it? */
	bool     was_marked;
	/* borrowed; the window through which the process maps the arena; NULL: none */
	struct window *window;
};

TAILQ_HEAD(window_list, window);

RB_HEAD(holder_tree, holder);
TAILQ_HEAD(holder_list, holder);
RB_HEAD(name_tree, alloc);
TAILQ_HEAD(alloc_list, alloc);
RB_HEAD(clock_tree, clock);

/* Base pages that went bad at once, and the record that remembers them across restarts. */
struct bad_range {
	TAILQ_ENTRY(bad_range) link;            /* on arena.bad_ranges */
	struct extent range;
	uint64_t id;
	/* of the table; NOT_RECORDED: there was no room for the record */
	uint32_t slot;
};
#define NOT_RECORDED UINT32_MAX

/*
 * How many bytes are in the way of a request that found no space. It is counted when somebody asks,
 * and used for a tenth of a second.
 */
struct room {
	uint64_t when_ns;                       /* when it was counted; 0: never */
	uint64_t leased, reserved, quarantined;
};

struct arena {
	struct arena_identity identity;
	struct superblock sb;
	struct host host;                       /* the host that this daemon runs on */
	/*
	 * Allocations with an id below it may be mapped by processes of other hosts; 0: none.
	 */
	uint64_t abroad_limit;
	/* of the heartbeat and of claims; when the heartbeat was stored last */
	uint32_t interval_ms;
	uint64_t beaten_ns;
	/* owned; meta_device is NULL if the metadata is on the device */
	struct device *device, *meta_device;
	struct media *meta, *data;              /* owned; the metadata and the data area, mapped */
	/* with the metadata apart: the superblock of the data device */
	struct superblock label;
	/* owned; where `label` is written; NULL: the metadata is on the device */
	struct media *label_media;
	uint64_t stamped;                       /* ledger_changes() at the last stamp_end() */
	bool is_stamping;                       /* between stamp_begin() and stamp_end() */
	/* opened by force, with parts of different age: its zero map is not believed */
	bool is_distrusted;
	struct table *table;                    /* owned, as the five that follow */
	struct zeromap *zero;
	struct memmap *mm;
	struct space *space;
	struct ledger *ledger;
	struct plane *plane;
	struct catalog *catalog;
	struct scrubber *scrubber;              /* borrowed */
	struct quota *quota;                    /* owned; what users have of this arena */
	/* owned mapping of descriptors on the device; NULL: they are in memory */
	void *memmap_base;
	size_t memmap_len;

	struct name_tree names;                 /* of reserved and published allocations */
	struct alloc **objects;                 /* owned array of owned allocations, by slot */
	uint32_t nr_objects;                    /* all slots that were ever used are below it */
	/* owned stack of slots below nr_objects that are free */
	uint32_t *free_objects;
	uint32_t nr_free_objects, room_free_objects;
	/* owned array, by table slot: the allocation whose record is there; borrowed */
	struct alloc **owner_of_record;
	uint64_t next_id;
	/* recovery left pieces up to this version on media: new ones are above it */
	uint32_t least_version;

	struct holder_list holders;             /* owned, all of them */
	struct holder_tree by_session;          /* the same holders */
	/* of them those that are over: being taken apart, or waiting for marks */
	struct window_list windows;             /* owned; each pins what its process uses */
	/* how often an allocation was hidden from processes that would pin it */
	uint64_t hides;
	/*
	 * Of the last reading of all pins: arena.hides before it; its number and its tick; how many
	 * pins it found; a window whose pins could not be read, or NULL.
	 */
	uint64_t hides_seen, pin_scan, pins_round, nr_pins;
	const struct window *pins_missing;
	/* when the pins were read last, and how long that took; CLOCK_MONOTONIC */
	uint64_t pins_read_ns, pins_cost_ns;
	struct holder_list ending, over;
	uint64_t rounds;                        /* how often ending_look() was called */
	/* questions to the kernel about marks that are left in this round */
	uint32_t looks_left;
	/* when the questions of this round end even if some are left */
	uint64_t look_until_ns;
	/* FREEING allocations whose record is gone: they wait until nobody holds them */
	/* owned array of borrowed allocs that changed: they enter the catalog once durable */
	struct alloc **uncataloged;
	uint32_t nr_uncataloged, room_uncataloged;
	struct alloc_list freeing;
	TAILQ_HEAD(, bad_range) bad_ranges;     /* owned */

	/* ---- what was staged since the last settle ---- */
	/* the number of the transaction that is being staged */
	uint64_t txn;
	/* FREEING allocations whose record goes with the settle */
	struct alloc_list retiring;
	/*
	 * Borrowed; while a change runs that takes a name over: the allocation that has had it, and
	 * that goes with the same settle. Else NULL.
	 */
	struct alloc *giving_way;
	/* owned; NULL: none is open */
	struct bundle *bundle;
	/* how many names stay taken until the settle retires the records that have them */
	uint32_t nr_names_retiring;
	/* reservations that lost parts, and that the ledger still has whole */
	struct alloc_list carved;
	/* owned; items of the ledger that are removed after the settle */
	uint32_t *unledger;
	uint32_t nr_unledger, room_unledger;

	/* borrowed; events are kept while it is not 0. NULL: always */
	const uint32_t *nr_listeners;
	/*
	 * While an allocation is freed that was moved to another arena: what it is there, for the
	 * event. An id of 0: it is freed for another reason.
	 */
	struct arena_place moved_to;
	struct arena_event *events;             /* owned ring */
	uint32_t first_event, nr_events, nr_events_settled, room_events;

	/* owned; the clocks of evictable allocations, each with at least one */
	struct clock_tree clocks;
	/* owned; NULL: no process that notes what it uses has had a window yet */
	struct touches *touches;
	/* a request may evict allocations of every user, not only of its own */
	bool     evict_any;
	/* how long what was used through a window waits after the window is gone */
	uint64_t device_grace_ns;
	/* percent of the arena above which some are evicted ahead of need; 0: never */
	uint32_t evict_above;

	struct room room;
	/* room.when_ns at the time when leases were last asked back */
	uint64_t recalled_ns;

	enum arena_state state;
	char reason[256];
	bool is_drained;                        /* no new space is handed out */
	/* the table slot where arena_verify_step() goes on */
	uint32_t verify_at;
	/* the compound page where arena_verify_memmap() goes on */
	uint64_t look_at;
	/*
	 * On device-dax: so many bytes of the data area, from its start, were read once, so that
	 * the kernel tells this process when memory there fails.
	 */
	uint64_t attended;
	struct arena_stats counts;              /* its counters; arena_stats() counts the rest */
	/*
	 * room for the extents of one allocation while they are gathered: how many there will be is
	 * not known before, and an array on the heap would have to be as long as the longest
	 */
	struct extent scratch[ALLOC_MAX_EXTENTS];
	bool read_only;
	/* told of each difference that recovery finds; NULL: nobody */
	arena_complain_fn *complain;
	void *complain_arg;
};

static inline uint64_t arena_page_pfns(const struct arena *arena)
{
	return UINT64_C(1) << arena->sb.order;
}

/*
 * Returns the version of the next record of @alloc. It is above its own; above those of the pieces
 * that recovery left on media: a piece with the same id and version would be taken for a part of
 * the new record; and above that of the allocation whose name it takes over.
 */
static inline uint32_t arena_next_version(const struct arena *arena, const struct alloc *alloc)
{
	uint32_t least = arena->least_version;

	if (arena->giving_way && arena->giving_way->version > least)
		least = arena->giving_way->version;
	return (alloc->version > least ? alloc->version : least) + 1;
}

/*
 * Ids that are set aside with one write of the superblocks. Those that are not used before a
 * restart are lost; 64 bits can bear that.
 */
#define IDS_AHEAD UINT64_C(65536)
/*
 * Ids that are passed over when the metadata was taken by force and may be older than the data:
 * more than can have been given out since. An id that was given out twice would let an old handle
 * lead to a new allocation.
 */
#define IDS_LOST (UINT64_C(1) << 40)

/* arena.c */
/* Frees an arena without storing anything. NULL and half-built ones are fine. */
void arena_drop(struct arena *arena);
/* Returns an arena with nothing open; NULL: out of memory. arena_drop() frees it. */
struct arena *arena_zero(const struct arena_params *params);
/*
 * Opens the devices, maps metadata and data, and runs recovery. On failure the caller frees what
 * was opened with arena_drop(). Errors of arena_open().
 */
int arena_open_parts(struct arena *arena, const struct arena_params *params, struct why *why);

#endif
