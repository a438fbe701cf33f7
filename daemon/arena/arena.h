/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena: one formatted device, and everything that is decided about it: who has which space, and
 * since when that is durable. The loop thread alone calls it; there are no locks. It knows sessions
 * only as holders, and no messages.
 *
 * A change has two halves. arena_reserve(), arena_publish(), arena_free_alloc() and the like decide
 * in memory and stage their stores; arena_settle() makes everything that was staged durable at
 * once. A client is told after the settle, never before. When a settle fails the arena goes
 * offline, since nobody can know which of the stores arrived.
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
	/* of a file: so many bytes of free space keep their blocks */
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
/* What is charged in this arena, and its shares. Borrowed. */
const struct quota *arena_quota(const struct arena *arena);

/* ---- sessions ---- */

/*
 * Lets the session @session of user @uid take part in this arena. The number is < 2^60 and is not
 * used for another session on this host until it reboots. A session that is resumed gets the holder
 * that it had, with its reservations and opens. -ENOMEM.
 */
int arena_join(struct holder **out, struct arena *arena, uint64_t session, uint32_t uid);
/*
 * The session is over: its reservations are given up and what it has open is closed. Space that
 * somebody may still have mapped through its descriptor is kept until the kernel says that nobody
 * has.
 */
void arena_leave(struct holder *holder);
/*
 * As arena_leave(), for a session that goes on in other arenas and may take part here again: it
 * then finds nothing open. What it had open counts as closed, and is kept until nobody can have it
 * mapped.
 */
void arena_expel(struct holder *holder);
/* Returns the holder of @session; NULL: the session takes no part in this arena. */
struct holder *arena_find_holder(const struct arena *arena, uint64_t session);
/*
 * Has the session left, while arena_step() has not given up all of its reservations yet? If it took
 * part again now, it would find the rest of them: the caller waits.
 */
bool arena_holder_is_leaving(const struct holder *holder);
/* Does the session have a reservation, or anything open for writing? */
bool arena_holder_writes(const struct holder *holder);
/*
 * Ends, as arena_leave() does, all sessions of the daemon before that nobody resumed. Call it once,
 * at the end of the grace time.
 */
void arena_drop_orphans(struct arena *arena);
/*
 * Does one slice of the work that arena_leave(), arena_expel() or arena_drop_orphans() began: a
 * session may have held a hundred thousand allocations, and other sessions must not wait for all of
 * them. Returns true if there is more.
 */
bool arena_step(struct arena *arena);
bool arena_is_ending(const struct arena *arena);        /* Would arena_step() find work? */
/*
 * Opens the device once more for the session to keep, and puts the session's mark on the new
 * description: a lock that lasts as long as somebody has the descriptor or a mapping made through
 * it. The caller owns *fd. -EMFILE: the session has had some of this mode already, and they are
 * still open or mapped somewhere.
 */
int arena_attach(int *fd, struct holder *holder, bool read_only);

/* Who asks for a change. */
struct caller {
	uint32_t uid, gid;
	const gid_t *groups;            /* borrowed */
	int nr_groups;
	/* of this arena; NULL: an administrator, who has no session */
	struct holder *holder;
	/*
	 * The number under which the session may ask later whether this change was done; it uses a
	 * number once. 0: it will not ask, and nothing is written into the ledger for it.
	 */
	uint64_t deed;
	/* the session calls arena_lend() before it lends an allocation */
	bool lends;
};

/* ---- deeds: changes whose answer a session may not have got ---- */

struct arena_deed {
	uint64_t id;
	uint32_t slot;
	struct alloc *alloc;            /* what was changed, as it is now; NULL: it is gone */
};

/*
 * Was the change with the number caller->deed carried out? Then *out says on what, and the request,
 * which is a repetition, must not be carried out again.
 */
bool arena_find_deed(struct arena_deed *out, const struct arena *arena,
		     const struct caller *caller);
/* The session has the answers to the deeds @key to @key + @nr - 1: the ledger forgets them. */
void arena_forget_deeds(struct holder *holder, uint64_t key, uint64_t nr);
/* The session has all answers, but for those of an earlier connection that it may still ask for. */
void arena_forget_told_deeds(struct holder *holder);
/*
 * The connection of the session was lost: it may ask for any deed that the ledger has now, until
 * arena_forget_deeds() names it.
 */
void arena_await_deeds(struct holder *holder);

/* ---- requests: a refusal has a sentence in *why and has changed nothing ---- */

#define ARENA_TOKEN_MAX ((UINT64_C(1) << 48) - 1)

struct arena_ask {
	const char *name;               /* NULL: none; not terminated */
	uint8_t  name_len;
	uint64_t len;                   /* bytes */
	uint32_t mode;                  /* permission bits; 0 means 0600 */
	uint64_t token;                 /* with publish, as in arena_publish() */
	bool     publish, contiguous, lease;
	/* with publish: frees, in the same settle, the published allocation that has the name */
	bool     replace;
	/* with publish: the session has it open afterwards; a reservation always is */
	bool     keep_open;
	/* with publish: bytes of the owner's own, at most ALLOC_MAX_ATTRIBUTES. Borrowed */
	const void *attributes;
	uint16_t attributes_len;
};

/*
 * Reserves ask->len bytes, or with ask->publish makes an allocation that is permanent after the
 * next settle. -EAGAIN: there is space, but it is being scrubbed; ask again when arena_collect()
 * has returned true. -EINPROGRESS: there is no space, and clients were asked to give back leases;
 * ask again for a while. Other errors are those of pma_reserve() in pmemarena.h.
 */
int arena_reserve(struct alloc **out, struct arena *arena, const struct caller *caller,
		  const struct arena_ask *ask, struct why *why);
/*
 * Makes the reservation @alloc permanent, with the next settle. @token is a number <=
 * ARENA_TOKEN_MAX by which its owner later recognises the allocation as the one that this request
 * made; 0: none.
 */
int arena_publish(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		  uint64_t token, struct why *why);
/*
 * As arena_publish(), under @name, and frees in the same settle the published allocation that has
 * the name. -EACCES also: the caller may not free that one; -EBUSY: the name is reserved.
 */
int arena_publish_over(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		       const char *name, uint8_t name_len, uint64_t token, struct why *why);
/*
 * Makes ask->len bytes at byte @offset of the device, which lie in the caller's reservation @lease,
 * a permanent allocation of its own. Both are multiples of the compound page, or of the base page
 * where the reservation is smaller than a compound page. -EINVAL: they do not lie in one extent of
 * the reservation.
 */
int arena_carve(struct alloc **out, struct arena *arena, const struct caller *caller,
		struct alloc *lease, const struct arena_ask *ask, uint64_t offset, struct why *why);
/*
 * Here and below, @unmapped means: the caller says that it has no mapping of @alloc left. Its space
 * then need not wait until the kernel says so. Once the allocation was lent, the caller cannot
 * know, and @unmapped is ignored.
 */
int arena_abort(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		bool unmapped, struct why *why);
int arena_free_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		     bool unmapped, struct why *why);
int arena_open_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		     bool read_only, struct why *why);
/* -EINVAL: @alloc is reserved. Publish or abort it: closed, it would have nobody to end it. */
int arena_close_alloc(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		      bool unmapped);
/*
 * Did the session close @alloc, or free it, while its hold is still there, because it may have
 * @alloc mapped?
 */
bool arena_is_closed(const struct caller *caller, const struct alloc *alloc);
/*
 * The opposite of arena_lend(): the program says that nobody to whom it lent @alloc uses it any
 * more. From then on its own word, that it has unmapped @alloc, counts again.
 */
void arena_take_back(struct arena *arena, const struct caller *caller, struct alloc *alloc);
/*
 * Notes that processes other than the caller's program may have @alloc mapped, and may keep it
 * mapped when the program is done with it. The note lasts as long as the session, whatever is
 * closed and opened again, and also holds for what is carved off or cut off later. -EBADF: the
 * session does not have @alloc open.
 */
int arena_lend(struct arena *arena, const struct caller *caller, struct alloc *alloc);
/* Sets the size of @alloc to @len bytes, rounded up to pages. Also -EAGAIN, -EINPROGRESS. */
int arena_resize(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		 uint64_t len, struct why *why);
int arena_rename(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		 const char *name, uint8_t name_len, struct why *why);
/* As arena_rename(), and frees in the same settle the published allocation that has the name. */
int arena_rename_over(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		      const char *name, uint8_t name_len, struct why *why);

/*
 * Gives the reservation @alloc the attributes that it is published with: @len bytes of the owner's
 * own, instead of what it had. They are in memory alone until arena_publish() makes both permanent
 * with one record; so the caller publishes next, and when that fails calls this with 0 bytes.
 * -EINVAL more than ALLOC_MAX_ATTRIBUTES, or it is published; -EACCES; -ENOMEM.
 */
int arena_give_attributes(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			  const void *attributes, uint16_t len, struct why *why);

enum arena_attr {
	ARENA_SET_UID = 1,
	ARENA_SET_GID = 2,
	ARENA_SET_MODE = 4,
	ARENA_SET_ATTRIBUTES = 8,               /* of what is published: -EINVAL for others */
};
struct arena_attrs {
	unsigned which;                 /* bits of arena_attr: which of the fields below to set */
	uint32_t uid, gid, mode;
	const void *attributes;                 /* borrowed; NULL: none */
	uint16_t attributes_len;
};
int arena_setattr(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		  const struct arena_attrs *to, struct why *why);

/*
 * Makes everything that was staged durable; it costs little when nothing was. -EIO and other
 * -errno: the arena is offline from now on.
 */
int arena_settle(struct arena *arena);

/* ---- windows: see window.h and lib/wire/window.h ---- */

struct arena_window_ask {
	/* open: a number that nothing else has; resume: the number of the window */
	uint64_t number;
	uint8_t  secret[16];            /* for arena_window_resume() only */
	bool     read_only;             /* for arena_window_open() only */
	uint32_t nr_words;              /* for arena_window_open() only; 0: PINS_WORDS */
};
struct arena_window {
	uint64_t number;
	uint8_t  secret[16];
	uint32_t nr_words;
	bool     is_resumed;
	int      device_fd, pins_fd;    /* open only: the caller closes them */
};
/*
 * Opens a window for the caller's session. -EBUSY: the session has one, or a process has locked the
 * byte of the mark; -EINVAL: too many words; -EDQUOT: its user is above a limit; -EIO, -ENOMEM,
 * errors of memfd_create() and of opening the device.
 */
int arena_window_open(struct arena_window *out, struct arena *arena, const struct caller *caller,
		      const struct arena_window_ask *ask, struct why *why);
/*
 * Gives the caller's session a window that is there. @pins_fd is the file of its pins, which stays
 * the caller's, or -1. -ENOENT: there is no such window, or the secret is another; -EACCES: the
 * window is another user's; -EBUSY: the session has another one; -ESTALE: @pins_fd is not the file
 * of its pins.
 */
int arena_window_resume(struct arena_window *out, struct arena *arena, const struct caller *caller,
			const struct arena_window_ask *ask, int pins_fd, struct why *why);
/* Is there a window of an earlier daemon whose pins have not come yet? */
bool arena_awaits_pins(const struct arena *arena);
/*
 * Pins @alloc in word @index of the window of the caller's session. Returns errors as
 * arena_open_alloc() does; -EBADF: the session has no window; -EINVAL: the word is not PINS_TAKEN.
 */
int arena_pin(struct arena *arena, const struct caller *caller, struct alloc *alloc, bool read_only,
	      uint64_t index, struct why *why);

/* ---- finding allocations; NULL: there is none ---- */

/* Finds a reserved or published one. */
struct alloc *arena_find(const struct arena *arena, uint32_t slot, uint64_t id);
/* Finds an allocation that the session of @holder has open, even if somebody has freed it since. */
struct alloc *arena_find_held(const struct arena *arena, const struct holder *holder, uint32_t slot,
			      uint64_t id);
struct alloc *arena_find_name(const struct arena *arena, const char *name, uint8_t name_len);
/*
 * Finds the allocation at byte @offset of the device: the descriptor of the base page there names
 * it.
 */
struct alloc *arena_find_offset(const struct arena *arena, uint64_t offset);
/*
 * Both find published allocations only: the first in a slot >= @slot (a listing goes on at the last
 * slot + 1), or the first with a name >= @name, or, with @after, a name > @name.
 */
struct alloc *arena_next_slot(const struct arena *arena, uint32_t slot);
struct alloc *arena_next_name(const struct arena *arena, const char *name, uint8_t name_len,
			      bool after);

/* Returns extent @i of @alloc in bytes of the device. */
struct extent arena_extent(const struct arena *arena, const struct alloc *alloc, uint32_t i);

/* ---- upkeep ---- */

/*
 * Takes the pages that @scrubber has zeroed back into the free space of their arenas. Returns true
 * if some arena has more clean space than before, so that who waits for space asks again.
 */
bool arena_collect(struct scrubber *scrubber);
/*
 * Regular work: looks at freed space that may be mapped, at the memmap, at bad pages, and whether
 * the device is still there. Call it about each 100 ms while arena_is_busy(), else each few
 * seconds.
 */
void arena_tick(struct arena *arena);
/*
 * A client can make the file of an arena longer. Cuts the file back to its length, and returns by
 * how many bytes.
 */
uint64_t arena_cut(struct arena *arena);
/* Is there work that arena_tick() should look at soon? */
bool arena_is_busy(const struct arena *arena);
/*
 * The slow verifier: compares @nr_slots table slots with memory and writes the bad copies anew.
 * Returns how many it wrote. Each call goes on where the last one stopped.
 */
uint64_t arena_verify_step(struct arena *arena, uint32_t nr_slots);

enum arena_event_kind {
	ARENA_PUBLISHED = 1,
	ARENA_FREED,
	ARENA_RENAMED,
	ARENA_RESIZED,
	ARENA_CHANGED,
	ARENA_POISONED,
	ARENA_RECALL,
	ARENA_WENT_OFFLINE
};

/*
 * One change, for those who watch the arena, after the settle that made it durable. It is a copy,
 * since the allocation may be gone by the time it is read.
 */
struct arena_event {
	enum arena_event_kind kind;
	uint64_t id, len;
	uint32_t slot, uid, gid, mode;
	uint8_t  name_len;
	char     name[ALLOC_MAX_NAME + 1];
};
bool arena_next_event(struct arena_event *event, struct arena *arena);

/* What was found wrong when this daemon took the arena up, and what was done about it. */
struct arena_start {
	uint64_t when_ns;               /* CLOCK_REALTIME */
	/* records and words of the zero map of which one copy was bad: made from the other */
	uint64_t mended;
	/* records that both copies have lost, or that cannot be: the arena is damaged */
	uint64_t damaged;
	/* records of which a cut had left a part: dropped, since nobody was told of them */
	uint64_t unfinished;
	/*
	 * items of the ledger that were not whole, or cannot be: dropped. It is 0 unless something
	 * else wrote to the file.
	 */
	uint64_t ledger_broken;
	/* items of the ledger that the table has made needless: dropped */
	uint64_t ledger_outdated;
};

struct arena_stats {
	struct arena_start start;
	/* when something was mended last (CLOCK_REALTIME); 0: never */
	uint64_t mended_ns;
	/* bytes */
	uint64_t size, used, leased, reserved, quarantined, free, known_zero, largest_free,
		poisoned;
	/* bytes of `free` that lie in split pages: for small allocations of one user each */
	uint64_t free_split;
	/* bytes that are free and may be mapped on another host: they wait for that host */
	uint64_t withheld;
	uint64_t free_extents;
	uint64_t nr_published, nr_reserved, nr_freeing;
	uint64_t slots_total, slots_used;
	/* requests that found no room, and for which leases were asked back */
	uint64_t recalls;
	uint64_t settles, records_written, records_mended, scrubbed_bytes;
	uint64_t holders, holds;
	/* those of `holders` whose session is over while something may be mapped */
	uint64_t ended;
	/* pins: pin words that were in use when the pins were read last */
	uint64_t windows, pins;
	uint64_t cataloged;             /* allocations that are found without a message */
	double   fragmentation;         /* 1 - largest_free / free; 0 when nothing is free */
	struct memmap_stats memmap;
};
void arena_stats(const struct arena *arena, struct arena_stats *stats);

/*
 * How full an arena is, and what @uid has of it: for the user itself. What has to be counted is
 * counted at most ten times a second.
 */
struct arena_usage {
	uint64_t size, free, largest_free, leased, reserved, quarantined;       /* bytes */
	/* as the quota counts, in this arena; a limit of 0: there is none */
	uint64_t used[QUOTA_KINDS], limit[QUOTA_KINDS];
};
void arena_usage(struct arena_usage *usage, struct arena *arena, uint32_t uid);

/* What a user has of an arena, in bytes. */
struct arena_user {
	uint32_t uid;
	uint64_t reserved, leased;
	/* published, and open in a session of the user */
	uint64_t open;
	/* freed, and kept from being free by a session of the user, or was the user's own */
	uint64_t quarantined;
};
/*
 * Writes those users to @top that have the most, most first. *nr is how many it has room for, and
 * becomes how many there are; *rest is the sum of all others. Returns 0 or -ENOMEM.
 */
int arena_users(struct arena_user *top, uint32_t *nr, struct arena_user *rest,
		const struct arena *arena);

/* What is known of the session behind a hold. */
enum arena_holder_state {
	ARENA_HOLDER_CONNECTED,         /* the session goes on */
	/* the daemon was restarted, and the session has not come back yet */
	ARENA_HOLDER_AWAITED,
	/* the session is over, and what it held is being given up */
	ARENA_HOLDER_ENDING,
	/* it is over, and somebody has its descriptor or a mapping made through it */
	ARENA_HOLDER_MARK,
};
struct arena_holder {
	enum arena_holder_state state;
	uint64_t session;
	uint32_t uid;
	/* of the process that connected last; 0: not known */
	int      pid;
	char     command[COMMAND_SIZE];       /* the name of that process then; "": not known */
	/* when the session took part in the arena first (CLOCK_REALTIME); 0: not known */
	uint64_t since_ns;
};
void arena_describe_holder(struct arena_holder *out, const struct holder *holder);
/*
 * Notes who connected, as the kernel says, for arena_describe_holder(): in the ledger too, so that
 * the next daemon knows it.
 */
void arena_introduce(struct holder *holder, int pid, const char *command);
/* Returns the first allocation in a slot >= @slot, in whatever state; NULL: there is none. */
struct alloc *arena_next_object(const struct arena *arena, uint32_t slot);

/* Calls @each for each session that is over while something of it may still be mapped. */
struct arena_ended {
	uint64_t session, holds;
	/* the byte of its mark; the one behind it is that of its read-only descriptors */
	uint64_t mark;
	uint32_t uid;
};
void arena_each_ended(const struct arena *arena,
		      void (*each)(void *arg, const struct arena_ended *ended), void *arg);

/*
 * Calls @each for each session that has, or may have, a descriptor of the device or a mapping
 * through it. @descriptors: how many it was given since it was seen without any; 0 where a daemon
 * before gave them.
 */
void arena_each_marked(const struct arena *arena,
		       void (*each)(void *arg, uint32_t uid, unsigned descriptors), void *arg);

/* Counts one section (128 MiB) for the drawing of `pmemarenactl map`. -ENOENT: past the end. */
struct arena_section {
	bool active;
	uint32_t nr_pages, nr_used, nr_split, nr_poisoned, nr_scrubbing;
};
int arena_section(const struct arena *arena, uint64_t section, struct arena_section *out);

/* ---- check ---- */

/*
 * Each check calls @complain (unless NULL) with a sentence for each difference, and returns the
 * number of differences, or -errno.
 */
typedef void arena_complain_fn(void *arg, const char *what);
/*
 * Compares every descriptor of the memmap with the allocations and the bad pages. It takes some 20
 * us a section of 128 MiB.
 */
int64_t arena_check_memmap(struct arena *arena, arena_complain_fn *complain, void *arg);
/*
 * The slow verifier: looks at the next @nr_sections sections of descriptors. It does not go from
 * the allocations to their descriptors, as arena_check_memmap() does. It repairs nothing: no client
 * can write to descriptors, so that a wrong one is a fault of the daemon.
 */
uint64_t arena_verify_memmap(struct arena *arena, uint64_t nr_sections, arena_complain_fn *complain,
			     void *arg);
/*
 * Compares table, superblocks and zero map on media with what is in memory, while the arena serves.
 */
int64_t arena_check(struct arena *arena, arena_complain_fn *complain, void *arg);
/*
 * Checks a device that nobody serves, without storing anything; with @repair it also repairs it,
 * and *nr_mended (unless NULL) is how much was written anew.
 */
int64_t arena_check_device(const struct arena_params *params, bool repair, uint64_t *nr_mended,
			   arena_complain_fn *complain, void *arg, struct why *why);
/*
 * Makes a damaged arena whole: records that cannot be read are given up, and their space is
 * scrubbed before anybody gets it. With @dry_run it only says what it would do.
 */
int64_t arena_repair(struct arena *arena, bool dry_run, arena_complain_fn *complain, void *arg);

/*
 * Bytes @offset to @offset + @len - 1 of the device have gone bad: marks their base pages, records
 * them, tells those who watch, and never hands them out again. -EINVAL: not in the data area;
 * -ENOMEM; -EIO.
 */
int arena_poison(struct arena *arena, uint64_t offset, uint64_t len, struct why *why);

#endif
