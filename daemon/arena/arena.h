/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena: one formatted device, and everything that is decided about it: who has which space, and
 * since when that is durable. The loop thread alone calls it; there are no locks. It knows sessions
 * only as holders, and no messages.
 *
 * This header has how an arena is made, opened and closed, and what it is; each other noun has a
 * header of its own, arena_NOUN.h.
 *
 * A change has two halves. arena_reserve(), arena_publish(), arena_free_alloc() and the like (all
 * in arena_change.h) decide in memory and stage their stores; arena_settle() makes everything that
 * was staged durable at once. A client is told after the settle, never before. When a settle fails
 * the arena goes offline, since nobody can know which of the stores arrived.
 */
#ifndef PMEMARENA_ARENA_H
#define PMEMARENA_ARENA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/quota.h"
#include "daemon/space/scrub.h"
#include "daemon/device/device.h"
#include "daemon/host.h"
#include "daemon/media/media.h"
#include "daemon/memmap/memmap.h"
#include "lib/wire/why.h"

enum arena_state {
	ARENA_ONLINE,
	/*
	 * Both copies of a record are bad, or two records contradict each other: the arena serves
	 * what it has and makes no new allocations until a repair.
	 */
	ARENA_DAMAGED,
	ARENA_OFFLINE,                  /* its device failed or is gone */
};

enum arena_format_when { ARENA_FORMAT_NEVER, ARENA_FORMAT_IF_BLANK };

struct arena_params {
	const char *name;               /* the name of the arena; at most 63 bytes */
	const char *device;             /* a path, "uuid:UUID" or "auto" */
	/* a path, "device" (on the device itself), or NULL: as is usual for the kind of device */
	const char *metadata;
	uint64_t    size;               /* bytes; a file that does not exist is created with it */
	uint64_t    page_size;          /* for a format only: 4096, 2 MiB or 1 GiB; 0: 2 MiB */
	/* for a format only: the number of table slots; 0: chosen from the size */
	uint64_t    nr_slots;
	enum arena_format_when format;
	enum memmap_home memmap;
	/* where descriptors get their memory; -1: on the node of the device */
	int         numa_node;
	/* of a file: how many bytes of free space keep their blocks */
	uint64_t    keep_blocks;
	/* open an arena that another host left open; format over what is there */
	bool        force;
	const struct host *host;        /* this one; borrowed. NULL: read from the system */
	/*
	 * Which hosts may have it, words with blanks between them; "": no other one. NULL: a tool
	 * asks, on whatever host.
	 */
	const char *hosts;
	uint32_t    interval_ms;        /* of heartbeats, of hosts that share it; 0: 1000 */
	/* for a check only: nothing is stored and nothing is repaired */
	bool        read_only;
	const char *runtime_dir;        /* the folder of the ledger and the plane */
	struct scrubber *scrubber;      /* borrowed; outlives the arena */
	struct quota *quota;            /* borrowed; outlives the arena */
	/*
	 * The mappings that all arenas of this process may have together; borrowed. NULL: the arena
	 * has a budget of its own.
	 */
	struct vma_budget *vma_budget;
	/* borrowed; while it is 0, events are not kept. NULL: events are always kept */
	const uint32_t *nr_listeners;
};

struct arena;

/*
 * Writes a new, empty arena. It refuses with a sentence that says what was found: -EEXIST, an
 * arena, a file system or something else lives there and params->force is not set; -ENOSPC, the
 * device is too small, with the least size; -EINVAL, sizes that do not fit together, with the
 * nearest that would. Errors of device_open().
 */
int arena_format(const struct arena_params *params, struct why *why);

/*
 * Gives an arena, as a rule a copy of one, a UUID of its own; *was and *is are the old and the new
 * one. Names, ids, owners and contents stay. Nobody may be serving it. A call that was cut short
 * must be repeated: until then arena_open() refuses the arena with -EUCLEAN. Errors of
 * arena_open(); -EUCLEAN also: it is damaged.
 */
int arena_reidentify(uint8_t was[16], uint8_t is[16], const struct arena_params *params,
		     struct why *why);

/*
 * Opens the device, reads the table, and rebuilds from it everything that is kept in memory.
 * -EUCLEAN: no superblock is good; -ENODATA: not formatted; -EPROTONOSUPPORT: a newer format;
 * -EHOSTDOWN: another host had it and did not close it; -ESTALE: one part is older than the others;
 * errors of device_open(). Each comes with a sentence in *why.
 */
int arena_open(struct arena **out, const struct arena_params *params, struct why *why);
/* Settles, marks the arena as closed in order, and frees it. NULL is fine. */
void arena_close(struct arena *arena);

/* ---- what an arena is ---- */

struct arena_identity {
	char     name[64];
	uint8_t  uuid[16];
	uint8_t  order;
	uint64_t page_size, size, data_off;     /* bytes; size: of the data area */
	uint64_t nr_slots;
	char     metadata[PATH_MAX];            /* "device", or the path of the metadata */
};

const struct arena_identity *arena_identity(const struct arena *arena);
const struct device *arena_device(const struct arena *arena);
enum media_granularity arena_granularity(const struct arena *arena);
/* *reason: a sentence; "" while it is online */
enum arena_state arena_state(const struct arena *arena, const char **reason);
/* An O_RDONLY descriptor of the validity plane, for clients; borrowed. */
int arena_plane_fd(const struct arena *arena);
/* The catalog, for clients; read-only and the arena's own: duplicate it to keep it. */
int arena_catalog_fd(const struct arena *arena);
/*
 * Returns the descriptor of the touches, in which clients note what they get. The first call makes
 * them; the arena keeps the descriptor. -ENOMEM; errors of memfd_create().
 */
int arena_touches_fd(int *fd, struct arena *arena);

/* ---- shares ---- */

/*
 * Limits @uid, if @is_limited, to half of this arena: of its slots (QUOTA_ALLOCATIONS) or of its
 * bytes (QUOTA_LEASED_BYTES). The quota of all arenas together holds too. Without such a share one
 * user could keep all others out of an arena. @uid UINT32_MAX: all users for whom nothing else was
 * set. -ENOMEM.
 */
int arena_set_share(struct arena *arena, uint32_t uid, enum quota_kind kind, bool is_limited);
/* Removes all shares, before a reload sets them anew; charges stay. */
void arena_clear_shares(struct arena *arena);
/* Returns the quota of this arena: what is charged here, and the shares. Borrowed. */
const struct quota *arena_quota(const struct arena *arena);

/*
 * Says what is evicted when a request finds no space: evictable allocations of its own user, or
 * with @from_any those of all users. When more than @above percent of the arena is used (0: never)
 * some are evicted ahead of need.
 */
void arena_set_eviction(struct arena *arena, bool from_any, uint32_t above);
/*
 * What a process had pinned, reserved or open through a window waits @seconds longer after the
 * kernel said that the window is gone: a device may still write there (window.c).
 */
void arena_set_device_grace(struct arena *arena, uint32_t seconds);

#endif
