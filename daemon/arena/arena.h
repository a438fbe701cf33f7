/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena: one formatted device, and everything that is decided about it: who has what, where, and since when it is
 * durable. Called by the loop thread alone; no locks. It knows sessions only as holders, and no message.
 *
 * A change has two halves. arena_reserve(), arena_publish(), arena_free() ... decide at once, in memory, and stage their
 * stores; arena_settle() makes all that was staged durable with a handful of fences. A client is told after
 * the settle, never before. A settle that fails takes the arena offline: what was staged has an unknown fate.
 */
#ifndef PMEMARENA_ARENA_H
#define PMEMARENA_ARENA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/quota.h"
#include "daemon/arena/scrub.h"
#include "daemon/device/device.h"
#include "daemon/media/media.h"
#include "daemon/memmap/memmap.h"
#include "lib/why.h"

enum arena_state {
	ARENA_ONLINE,
	ARENA_DAMAGED,                  /* both copies of something are bad: serves what it has, no new allocations until repair */
	ARENA_OFFLINE,                  /* the device failed or is gone */
};

enum arena_format_when { ARENA_FORMAT_NEVER, ARENA_FORMAT_IF_BLANK };

struct arena_params {
	const char *name;               /* of the arena; at most 63 bytes */
	const char *device;             /* a path, "uuid:UUID" or "auto" */
	const char *metadata;           /* NULL: the default for the kind of device; "device", or a path */
	uint64_t    size;               /* files: created with it */
	uint64_t    page_size;          /* used by format only: 4096, 2 MiB or 1 GiB; 0: 2 MiB */
	uint64_t    nr_slots;           /* format only: table slots; 0: from the size */
	enum arena_format_when format;
	enum memmap_home memmap;
	int         numa_node;          /* -1: the device's */
	uint64_t    keep_blocks;        /* files: so many bytes of free space keep their blocks */
	bool        force;              /* open an unclean arena of another host; format over what lives there */
	bool        read_only;          /* check only: nothing is stored, nothing repaired */
	const char *runtime_dir;        /* ledger and plane live here */
	struct scrubber *scrubber;      /* borrowed; outlives the arena */
	struct quota *quota;            /* borrowed; outlives the arena */
	struct vma_budget *vma_budget;  /* borrowed: mappings of the process, shared by its arenas; NULL: one of its own */
	const uint32_t *nr_listeners;   /* borrowed: while it is 0 no events are kept; NULL: they always are */
};

struct arena;

/*
 * Write a new, empty arena. Refused, with what was found: an arena, file system or pool lives there (-EEXIST, unless force), too small (-ENOSPC with
 * the least size), sizes that do not fit together (-EINVAL with the nearest that would).
 */
int arena_format(const struct arena_params *params, struct why *why);

/*
 * Open the device, recover, rebuild everything from the table. -EUCLEAN no good superblock, -ENODATA not formatted, -EPROTONOSUPPORT a newer format,
 * -EHOSTDOWN unclean and of another host, and the errors of device_open().
 */
int arena_open(struct arena **out, const struct arena_params *params, struct why *why);
void arena_close(struct arena *arena);          /* settles, marks it clean; NULL is fine */

/* ---- what it is ---- */

struct arena_identity {
	char     name[64];
	uint8_t  uuid[16];
	uint8_t  order;
	uint64_t page_size, size, data_off;     /* bytes; size: what clients can have */
	uint64_t nr_slots;
	char     metadata[PATH_MAX];            /* "device", or the path */
};

const struct arena_identity *arena_identity(const struct arena *arena);
const struct device *arena_device(const struct arena *arena);
enum media_granularity arena_granularity(const struct arena *arena);
enum arena_state arena_state(const struct arena *arena, const char **reason);   /* reason: "" when online */
int arena_plane_fd(const struct arena *arena);          /* O_RDONLY description of the validity plane; borrowed */

/* ---- sessions ---- */

/*
 * A session takes part in this arena under its number (< 2^60), which is never used twice on this host until it reboots. A session that is resumed
 * finds its holder, with its reservations and opens, as it was. -ENOMEM.
 */
int arena_join(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid);
/* The session is over: its reservations go, its opens end; space it may still have mapped is quarantined by its marks. */
void arena_leave(struct holder *holder);
/* Sessions that the ledger knows and nobody joined again within the grace time are left by this. Call once, later. */
void arena_drop_orphans(struct arena *arena);
/* A descriptor for the session to keep: marked with its number. The caller owns *fd. */
int arena_attach(int *fd, struct holder *holder, bool read_only);

struct caller {
	uint32_t uid, gid;
	const gid_t *groups;            /* borrowed */
	int nr_groups;
	struct holder *holder;          /* of this arena */
	uint64_t deed;                  /* what the session calls this change, a number that it uses once; 0: it will not ask for it again */
};

/* ---- what a session may not have been told of, when the daemon was killed or the connection was lost ---- */

struct arena_deed {
	uint64_t id;
	uint32_t slot;
	struct alloc *alloc;            /* what it was done to, as it is now; NULL: it is gone */
};

/* Was caller->deed done? Then it is not done again. */
bool arena_find_deed(struct arena_deed *out, const struct arena *arena, const struct caller *caller);
/* The session was told of deeds [@key, @key + @nr). */
void arena_forget_deeds(struct holder *holder, uint64_t key, uint64_t nr);
/* It was told of all, but for those that it may still ask for. */
void arena_forget_told_deeds(struct holder *holder);
/* Its connection was lost: it may ask for any of those that are there. */
void arena_await_deeds(struct holder *holder);

/* ---- requests; each may be refused with a message, and has then changed nothing ---- */

#define ARENA_TOKEN_MAX ((UINT64_C(1) << 48) - 1)

struct arena_ask {
	const char *name;               /* NULL: none; not terminated */
	uint8_t  name_len;
	uint64_t len;                   /* bytes */
	uint32_t mode;                  /* 0: 0600 */
	uint64_t token;                 /* publish: of arena_publish() */
	bool     publish, contiguous, lease;
	bool     keep_open;             /* with publish: the caller's holder has it open afterwards (always so without) */
};

/*
 * Errors as in pmemarena.h; -EAGAIN: there is room, but it is being scrubbed: ask again after the next arena_collect() that
 * returned true. -EINPROGRESS: there is none, but clients were asked to give leases back: ask again for a while. With ask->publish the allocation is
 * staged to be permanent.
 */
int arena_reserve(struct alloc **out, struct arena *arena, const struct caller *caller, const struct arena_ask *ask, struct why *why);
/* @token: a number <= ARENA_TOKEN_MAX by which its owner knows that it was this request that made it; 0: none. */
int arena_publish(struct arena *arena, const struct caller *caller, struct alloc *alloc, uint64_t token, struct why *why);
/*
 * A part of what the caller reserved becomes an allocation of its own, permanent: ask->len bytes at @offset of the device, in units of base
 * pages where the reservation is smaller than a compound page, else of those. -EINVAL: not (all) in one piece of it.
 */
int arena_carve(struct alloc **out, struct arena *arena, const struct caller *caller, struct alloc *lease, const struct arena_ask *ask,
		uint64_t offset, struct why *why);
int arena_abort(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool unmapped, struct why *why);
int arena_free_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool unmapped, struct why *why);
int arena_open_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool read_only, struct why *why);
/* -EINVAL it is reserved: published or aborted is how that ends. */
int arena_close_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool unmapped);
int arena_resize(struct arena *arena, const struct caller *caller, struct alloc *alloc, uint64_t len, struct why *why);   /* also -EAGAIN, -EINPROGRESS */
int arena_rename(struct arena *arena, const struct caller *caller, struct alloc *alloc, const char *name, uint8_t name_len, struct why *why);

enum arena_attr { ARENA_SET_UID = 1, ARENA_SET_GID = 2, ARENA_SET_MODE = 4 };
int arena_setattr(struct arena *arena, const struct caller *caller, struct alloc *alloc, unsigned which, uint32_t uid, uint32_t gid,
		  uint32_t mode, struct why *why);

/* Everything staged becomes durable. 0; -errno: the arena is offline from now on. Cheap when nothing is staged. */
int arena_settle(struct arena *arena);

/* ---- looking; NULL when there is none ---- */

struct alloc *arena_find(const struct arena *arena, uint32_t slot, uint64_t id);        /* reserved or published */
/* One that the session has open, also when it was freed since. NULL: not open in this session. */
struct alloc *arena_find_held(const struct arena *arena, const struct holder *holder, uint32_t slot, uint64_t id);
struct alloc *arena_find_name(const struct arena *arena, const char *name, uint8_t name_len);
/* The allocation at a byte offset of the device (data area). Via the memmap. */
struct alloc *arena_find_offset(const struct arena *arena, uint64_t offset);
/*
 * Published ones only: the first in a slot >= @slot (the list's cursor without a prefix is the last slot + 1), or the first with a
 * name >= @name (> with @after).
 */
struct alloc *arena_next_slot(const struct arena *arena, uint32_t slot);
struct alloc *arena_next_name(const struct arena *arena, const char *name, uint8_t name_len, bool after);

uint64_t arena_alloc_bytes(const struct alloc *alloc);
/* Extent @i in bytes on the device. */
struct extent arena_extent(const struct arena *arena, const struct alloc *alloc, uint32_t i);

/* ---- upkeep ---- */

/* Take what the scrubber has done for any arena of it. true: some arena has more clean space than before. */
bool arena_collect(struct scrubber *scrubber);
/* Now and then (about each 100 ms while arena_is_busy(), each few seconds else): quarantine, memmap upkeep, presence of the device. */
void arena_tick(struct arena *arena);
bool arena_is_busy(const struct arena *arena);
/* One step of the slow verifier: compare some table slots with memory, mend what a client scribbled over. Returns how many were mended. */
uint64_t arena_verify_step(struct arena *arena, uint32_t nr_slots);

enum arena_event_kind { ARENA_PUBLISHED = 1, ARENA_FREED, ARENA_RENAMED, ARENA_RESIZED, ARENA_CHANGED, ARENA_POISONED,
			ARENA_RECALL, ARENA_WENT_OFFLINE };

/* What happened since last asked, settled only; by value, since the allocation may be gone. */
struct arena_event {
	enum arena_event_kind kind;
	uint64_t id, len;
	uint32_t slot, uid, gid, mode;
	uint8_t  name_len;
	char     name[ALLOC_MAX_NAME + 1];
};
bool arena_next_event(struct arena_event *event, struct arena *arena);

struct arena_stats {
	uint64_t size, used, leased, reserved, quarantined, free, known_zero, largest_free, poisoned;      /* bytes */
	uint64_t free_split;            /* of free: in split pages, for small allocations of their owners */
	uint64_t free_extents;
	uint64_t nr_published, nr_reserved, nr_freeing;
	uint64_t slots_total, slots_used;
	uint64_t recalls;               /* requests that found no room and had leases asked back */
	uint64_t settles, records_written, records_mended, damaged, scrubbed_bytes;
	uint64_t holders, holds;
	double   fragmentation;         /* 1 - largest_free / free; 0 when nothing is free */
	struct memmap_stats memmap;
};
void arena_stats(const struct arena *arena, struct arena_stats *stats);

/* One section (128 MiB) for the picture. -ENOENT past the end. */
struct arena_section { bool active; uint32_t nr_pages, nr_used, nr_split, nr_poisoned, nr_scrubbing; };
int arena_section(const struct arena *arena, uint64_t section, struct arena_section *out);

/* ---- check ---- */

/* Each difference is a sentence; returns how many there were, or -errno. */
typedef void arena_complain_fn(void *arg, const char *what);
/* Every descriptor: against the allocations, the bad pages and what the memmap knows. Some 20 us a section of 128 MiB. */
int64_t arena_check_memmap(struct arena *arena, arena_complain_fn *complain, void *arg);
/* One step of the slow verifier: the next sections, without the allocations' side. Nobody but the daemon can spoil them: nothing is mended. */
uint64_t arena_verify_memmap(struct arena *arena, uint64_t nr_sections, arena_complain_fn *complain, void *arg);
/* Table, copies and zero map against memory, online. */
int64_t arena_check(struct arena *arena, arena_complain_fn *complain, void *arg);
/* Offline, read-only, or mending: whatever is on the device. @nr_mended may be NULL. */
int64_t arena_check_device(const struct arena_params *params, bool repair, uint64_t *nr_mended, arena_complain_fn *complain, void *arg, struct why *why);
/* Make a damaged arena whole: unreadable records are given up, their space is scrubbed before anyone gets it. Returns how many. */
int64_t arena_repair(struct arena *arena, bool dry_run, arena_complain_fn *complain, void *arg);

/* The base pages of a byte range of the device have gone bad: mark them, tell, never hand them out again. 0, -EINVAL outside, -ENOMEM. */
int arena_poison(struct arena *arena, uint64_t offset, uint64_t len, struct why *why);

#endif
