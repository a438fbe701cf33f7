/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_internal: what the files that make up the arena share; for nobody else.
 *
 *	arena.c     open, close, upkeep                    reserve.c, change.c, release.c   what requests do
 *	settle.c    staged, then durable
 *	format.c    geometry, a new arena                  holder.c   sessions, what they have open, quarantine
 *	recover.c   from the table, adopt.c the ledger     index.c    names, handles, object slots
 *	bad.c       pages that failed                        lease.c    space taken ahead: carved, asked back
 *	room.c      why there is none
 *	check.c     memory against media, repair
 */
#ifndef PMEMARENA_ARENA_INTERNAL_H
#define PMEMARENA_ARENA_INTERNAL_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/ledger.h"
#include "daemon/arena/plane.h"
#include "daemon/arena/space.h"
#include "daemon/arena/table.h"
#include "daemon/arena/zeromap.h"
#include "daemon/media/superblock.h"

struct holder {
	TAILQ_ENTRY(holder) link;               /* arena.holders */
	struct arena *arena;                    /* borrowed; outlives its holders */
	uint64_t session;
	uint32_t uid;
	struct hold_list holds;                 /* owned */
	uint32_t entry;                         /* in the ledger */
	uint32_t *deeds;                        /* owned; entries in the ledger, in the order in which they were done */
	uint32_t nr_deeds, room_deeds;
	uint32_t nr_awaited;                    /* the first of them: of an earlier connection; it may ask for them until it is over */
	bool     is_connected;                  /* a session uses it; else it only waits for its marks to go */
	bool     is_orphan;                     /* of a daemon before; may be joined again */
	uint64_t looked;                        /* the round in which its marks were asked for last, */
	bool     was_marked;                    /* and the answer */
};

RB_HEAD(name_tree, alloc);
TAILQ_HEAD(alloc_list, alloc);

/* Base pages that went bad at once, with the record that remembers them. */
struct bad_range {
	TAILQ_ENTRY(bad_range) link;            /* arena.bad_ranges */
	struct extent range;
	uint64_t id;
	uint32_t slot;                          /* in the table; NOT_RECORDED: there was no room for it */
};
#define NOT_RECORDED UINT32_MAX

/* What is in the way of a request, in bytes; counted when asked, and then good for a tenth of a second. */
struct room {
	uint64_t when_ns;                       /* 0: never */
	uint64_t leased, reserved, quarantined;
};

struct arena {
	struct arena_identity identity;
	struct superblock sb;
	struct device *device, *meta_device;    /* owned; meta_device NULL: metadata on the device */
	struct media *meta, *data;              /* owned */
	struct table *table;                    /* these are owned */
	struct zeromap *zero;
	struct memmap *mm;
	struct space *space;
	struct ledger *ledger;
	struct plane *plane;
	struct scrubber *scrubber;              /* borrowed */
	struct quota *quota;                    /* borrowed */
	void *memmap_base;                      /* owned mapping; descriptors on the device, or NULL */
	size_t memmap_len;

	struct name_tree names;                 /* reserved and published ones */
	struct alloc **objects;                 /* owned array of owned allocs, by slot */
	uint32_t nr_objects;                    /* slots ever used are below it */
	uint32_t *free_objects;                 /* owned stack */
	uint32_t nr_free_objects, room_free_objects;
	struct alloc **owner_of_record;         /* owned array, by table slot: whose record it is; borrowed allocs */
	uint64_t next_id;
	uint32_t least_version;                 /* of pieces that recovery left on media: new versions are above it */

	TAILQ_HEAD(, holder) holders;           /* owned */
	uint64_t rounds;                        /* of quarantine_look() */
	struct alloc_list freeing;              /* retired; waits until nobody holds it */
	TAILQ_HEAD(, bad_range) bad_ranges;     /* owned */

	/* staged since the last settle */
	uint64_t txn;
	struct alloc_list retiring;             /* to be freed once the retirement is durable */
	uint32_t nr_names_retiring;             /* names that must not be claimed before the settle */
	struct alloc_list carved;               /* reservations that the ledger still has whole */
	uint32_t *unledger;                     /* owned; ledger entries that go with the settle */
	uint32_t nr_unledger, room_unledger;

	const uint32_t *nr_listeners;           /* borrowed, or NULL */
	struct arena_event *events;             /* owned ring */
	uint32_t first_event, nr_events, nr_events_settled, room_events;

	struct room room;
	uint64_t recalled_ns;                   /* room.when_ns when leases were asked back last */

	enum arena_state state;
	char reason[256];
	uint32_t verify_at;
	uint64_t look_at;                       /* the page where arena_verify_memmap() goes on */
	uint64_t attended;                      /* bytes of the data area from its start that the kernel tells us of, on device-dax */
	struct arena_stats counts;              /* the counters of it are kept here */
	struct extent scratch[ALLOC_MAX_EXTENTS];
	bool read_only;
	arena_complain_fn *complain;            /* NULL: nobody wants to know */
	void *complain_arg;
};

/* Ids set aside with one write of the superblocks; what is left of them is lost at a restart, which 64 bits can bear. */
#define IDS_AHEAD UINT64_C(65536)

/* arena.c */
void arena_drop(struct arena *arena);                                    /* NULL and half-built are fine; writes nothing */
struct arena *arena_zero(const struct arena_params *params);
int arena_open_parts(struct arena *arena, const struct arena_params *params, struct why *why);
void arena_go_offline(struct arena *arena, int err, const char *what);
uint64_t arena_page_pfns(const struct arena *arena);

/* settle.c */
int arena_take_id(struct arena *arena, uint64_t *id);                   /* -EIO */
uint32_t arena_next_version(const struct arena *arena, const struct alloc *alloc);
int arena_stage_record(struct arena *arena, struct alloc *alloc);       /* new version; its old record is staged to go */
int arena_unledger_later(struct arena *arena, uint32_t entry);          /* with the settle */
void record_of(struct record *record, const struct alloc *alloc);

/* format.c */
int resolve_device(char path[PATH_MAX], const struct arena_params *params, struct why *why);
void metadata_path(char path[PATH_MAX], const struct arena_params *params, const char *device_path);    /* "": on the device */
int open_pair(struct device **device, struct device **meta, const struct arena_params *params, struct why *why);
int read_superblock(struct superblock *sb, int *mended, struct device *device, bool read_only, struct why *why);

/* bad.c */
int bad_read(struct arena *arena);                                      /* at a start: the platform's list */
void bad_take(struct arena *arena);                                     /* while it runs: what the kernel said */
bool bad_is_busy(const struct arena *arena);                            /* the kernel would not tell us of all of it yet */

/* adopt.c */
int adopt_ledger(struct arena *arena);
int mark_alloc(struct arena *arena, const struct alloc *alloc);         /* its space is used: all extents or none */
void drop_name(struct alloc *alloc);

/* recover.c */
int recover(struct arena *arena, struct why *why);
void arena_complain(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* index.c */
int name_compare(const struct alloc *a, const struct alloc *b);
RB_PROTOTYPE(name_tree, alloc, by_name, name_compare)
int object_take(struct arena *arena, uint32_t *slot, struct why *why);  /* -ENFILE, -ENOSPC (runtime directory), -ENOMEM */
void object_set(struct arena *arena, uint32_t slot, struct alloc *alloc);       /* visible: plane and array */
void object_hide(struct arena *arena, struct alloc *alloc);             /* no handle or name leads to it any more */
void object_drop(struct arena *arena, struct alloc *alloc);             /* gone; frees it */
int object_collect_free(struct arena *arena);                           /* after recovery */
void events_add(struct arena *arena, enum arena_event_kind kind, const struct alloc *alloc);
void events_settle(struct arena *arena);

/* holder.c */
struct hold *hold_find(const struct holder *holder, const struct alloc *alloc);
int hold_add(struct arena *arena, struct holder *holder, struct alloc *alloc, bool read_only);
void hold_drop(struct arena *arena, struct hold *hold);
int holder_new(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid, uint32_t entry);
struct holder *holder_find(const struct arena *arena, uint64_t session);
void holders_free(struct arena *arena);
void quarantine_look(struct arena *arena);
void freeing_release(struct arena *arena, struct alloc *alloc);         /* when nobody holds it: its space is free and it is gone */

/* deed.c */
/* Before anything of the change is stored. Nothing happens when the caller has no name for it. -ENOSPC, -ENOMEM. */
int deed_begin(struct arena *arena, const struct caller *caller, const struct alloc *alloc, enum ledger_proof proof);
int deed_end(struct arena *arena, const struct caller *caller, int r);          /* returns @r; < 0: the deed was not done */
int deed_adopt(struct arena *arena, const struct ledger_item *item);
void deeds_drop(struct holder *holder);

/* In ledger_range.flags: it was cut off an allocation, whose id is where other ranges have their session. */
enum { RANGE_CUT = 1 };

/* reserve.c */
int check_serving(const struct arena *arena, bool new_space, struct why *why);
int check_owner(const struct caller *caller, const struct alloc *alloc, const char *what, struct why *why);
bool is_owner(const struct caller *caller, const struct alloc *alloc);
int check_name(const struct arena *arena, const char *name, uint8_t name_len, struct why *why);
int settle_if_staged(struct arena *arena, const struct alloc *alloc, bool claims_name);
int round_len(uint64_t *nr_pfns, const struct arena *arena, uint64_t len, struct why *why);
int copy_name(struct alloc *alloc, const char *name, uint8_t name_len);
enum quota_kind bytes_kind(const struct alloc *alloc);
int charge(struct arena *arena, uint32_t uid, enum quota_kind kind, uint64_t bytes, struct why *why);
void uncharge(struct arena *arena, const struct alloc *alloc);
struct ledger_range range_of(const struct alloc *alloc, enum ledger_state state);
/* @alloc has its space, and gets all else: an id, a slot, a name, its place in the ledger or a staged record. */
int reservation_build(struct arena *arena, const struct caller *caller, struct alloc *alloc, const struct arena_ask *ask, struct why *why);

/* room.c */
const struct room *room_look(struct arena *arena);
/* What space_claim() said, in words for whoever asked; returns @r. */
int explain_no_space(struct arena *arena, int r, uint64_t nr_pfns, bool contiguous, struct why *why);

/* lease.c */
/* -EINVAL: nothing is left of it, or not one piece of base pages: it cannot be @what. */
int check_uncarved(const struct alloc *alloc, const char *what, struct why *why);
/* The record of what was carved off @lease is durable: the ledger forgets that it had it. */
void lease_narrow(struct arena *arena, struct alloc *lease);
/* There is no room: leases are asked back, which takes a while (-EINPROGRESS), or there are none (-ENOSPC). */
int lease_recall(struct arena *arena, uint64_t nr_pfns, struct why *why);

/* release.c */
void reservation_end(struct arena *arena, struct alloc *alloc);         /* RESERVED becomes FREEING */

#endif
