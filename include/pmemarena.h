/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena: named, owned, durable allocations of persistent memory that many processes of a host share.
 *
 *	struct pma *pma;
 *	struct pma_handle handle;
 *	struct pma_map *map;
 *
 *	pma_connect(&pma, NULL);                               the daemon, over its socket
 *	pma_create(&handle, pma, "greeting", 4096, 0);         one durable extent, named, reads as zeroes
 *	pma_map(&map, pma, handle, PMA_MAP_WRITE);             plain memory from here on
 *	pma_memcpy(map, pma_map_address(map), "hello", 6);     copied and persistent at return
 *	pma_unmap(map);
 *	pma_disconnect(pma);
 *
 * Errors. Every function that can fail returns 0 or a negative errno. pma_message() has the sentence for a person that came with
 * the last failure of the calling thread. Any call that talks to the daemon may also return
 *	-ENOTCONN  the connection is lost and could not be made again in time, or three daemons in a row ended while they had this request;
 *	           what was under way may or may not have been done,
 *	-ESTALE    the daemon was replaced while this request was under way, and the session is a new one (it came back too late, or the
 *	           runtime directory was lost): nobody can tell what became of it. Look (pma_stat, pma_open) and, if need be, ask again,
 *	-ENOMEM    no memory in this process,
 *	-EPROTO    the other end does not speak this protocol,
 *	-EIO       the arena is offline (its device failed or was taken away).
 *
 * Threads. A struct pma may be used by any number of threads at once; a call blocks only its own thread. Two exceptions:
 * pma_disconnect() must be the last call, and pma_dispatch() runs callbacks on the thread that called it. Maps may be
 * used by many threads as memory may.
 *
 * fork. A child must not use its parent's struct pma (-EPERM; it may pma_disconnect() its copy, which ends nothing), and connects for
 * itself; its inherited mappings stay valid, may be unmapped with pma_unmap() or munmap(), and keep the space from being given to others for
 * as long as they exist. (A process made by clone(2) without libc's knowledge is not seen: do not free what it has mapped.)
 *
 * When the daemon goes away, mappings and their data stay. The next call connects again (pma_options_set_reconnect_ms()) and takes up the
 * same session: handles, reservations and opens are as before, and a request that was under way is done once, whatever the daemon had done of it
 * when it was killed: the library asks again under the same token, and the daemon answers what it did.
 *
 * The trust domain is the arena: the daemon enforces who may open, free or change an allocation, and the kernel keeps read-only openers
 * from writing, but on device-dax a client with write access to one allocation of an arena could, if it wanted, map others of the same
 * arena. Use several arenas between parties that do not trust each other.
 */
#ifndef PMEMARENA_H
#define PMEMARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PMA_PUBLIC __attribute__((visibility("default")))
#else
#define PMA_PUBLIC
#endif

#define PMA_VERSION_MAJOR 0
#define PMA_VERSION_MINOR 1
#define PMA_MAX_NAME      255   /* bytes; any but 0 */
#define PMA_MAX_BATCH     256   /* operations a message */
#define PMA_MAX_TOKEN     0xffffffffffffULL

/* Opaque. */
struct pma;                     /* a connection and its session */
struct pma_cache;               /* space taken ahead */
struct pma_options;
struct pma_map;                 /* an allocation mapped into this process */

/*
 * Names an allocation for ever: ids are never used twice, so a handle to something freed is invalid and can never mean
 * somebody else's data. Plain data: may be copied, stored and passed to other processes.
 */
struct pma_handle {
	uint32_t arena;         /* index in this daemon; see pma_arena_find() */
	uint32_t slot;
	uint64_t id;            /* 0: no handle */
};

#define PMA_HANDLE_NONE ((struct pma_handle){ 0, 0, 0 })

/* ---- connect ---- */

/* Options with their defaults; freed by pma_options_free(). -ENOMEM. */
PMA_PUBLIC int pma_options_new(struct pma_options **out);
PMA_PUBLIC void pma_options_free(struct pma_options *options);
/* Default: $PMEMARENA_SOCKET, else /run/pmemarena/pmemarena.sock. -ENOMEM, -ENAMETOOLONG. */
PMA_PUBLIC int pma_options_set_socket(struct pma_options *options, const char *path);
/* How long a call waits for a lost daemon to come back before it fails with -ENOTCONN. Default 5000; 0: not at all. */
PMA_PUBLIC int pma_options_set_reconnect_ms(struct pma_options *options, uint32_t timeout_ms);
/* Spin for up to this long for a reply before sleeping. Default 0. */
PMA_PUBLIC int pma_options_set_busy_poll_us(struct pma_options *options, uint32_t busy_poll_us);

/*
 * Connect and open a session. @options may be NULL and may be freed afterwards. -ENOENT or -ECONNREFUSED no daemon at the socket, -EACCES not
 * allowed to connect (group pmemarena), -EDQUOT too many sessions of this user, -EPROTONOSUPPORT no common protocol version.
 */
PMA_PUBLIC int pma_connect(struct pma **out, const struct pma_options *options);
/*
 * End the session: its reservations are aborted, its opens closed. Maps must have been unmapped; one that was not stays
 * mapped and keeps its space from being reused. NULL is fine.
 */
PMA_PUBLIC void pma_disconnect(struct pma *pma);

/* The sentence that came with this thread's last failed call; "" if there was none. Valid until the thread's next call. */
PMA_PUBLIC const char *pma_message(void);

/*
 * For a caller's own event loop: readable when pma_dispatch() has something to do. It stays the same over a reconnection.
 * pma_dispatch() handles what has arrived and never blocks; 0 or -ENOTCONN.
 */
PMA_PUBLIC int pma_get_fd(struct pma *pma);
PMA_PUBLIC int pma_dispatch(struct pma *pma);

/* ---- arenas ---- */

enum pma_granularity { PMA_BYTE, PMA_CACHE_LINE, PMA_PAGE };

struct pma_arena {
	uint32_t index;
	uint8_t  uuid[16];
	char     name[64];
	char     device[96];    /* path on the daemon's side */
	uint64_t page_size;     /* the allocation unit, bytes: smaller allocations share one, by owner */
	uint64_t size;          /* bytes that clients can have */
	uint64_t align;         /* a mapping's offset and length on the device are multiples of it */
	bool     is_dax;
	enum pma_granularity granularity;       /* what a store must be flushed by to be durable */
};

/* Arenas are numbered from 0; the first is the default of every call that takes none. */
PMA_PUBLIC uint32_t pma_arena_count(struct pma *pma);
PMA_PUBLIC int pma_arena_get(struct pma_arena *out, struct pma *pma, uint32_t index);           /* -ENOENT */
/* By name, or by UUID as text. -ENOENT. */
PMA_PUBLIC int pma_arena_find(uint32_t *index, struct pma *pma, const char *name_or_uuid);

/* ---- allocations, one by one ---- */

enum pma_flags {
	PMA_CONTIGUOUS = 1u << 1,       /* reserve: one extent or -ENOSPC */
	PMA_READ_ONLY  = 1u << 2,       /* open: maps will be read-only, enforced by the kernel. Opened both ways, it is open for writing */
	PMA_ZEROED     = 1u << 3,       /* cache reserve: reads as zeroes, whatever this cache had there before */
};

/*
 * Reserve @len bytes in arena 0, rounded up to whole base pages (below the arena's page size) or whole pages, under @name (NULL: none),
 * mode 0600. The bytes read as zeroes. The space is yours until pma_publish() makes it permanent or pma_abort(), or your death, gives it
 * back; nobody else can open it by then, but the name is taken. Blocks until the daemon answers, which may wait for freed space to be scrubbed, or up to two
 * seconds for space that others took ahead.
 *
 * 0, or -EINVAL @len is 0 or larger than the arena or @name too long, -EEXIST @name is taken, -ENOSPC not enough free pages (the message has the
 * largest free extent), -EDQUOT over quota (the message has used and limit), -ENFILE the arena's table is full, -EUCLEAN the arena
 * is damaged and takes no new allocations until it is repaired.
 */
PMA_PUBLIC int pma_reserve(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len, uint32_t flags);
/* Make a reservation permanent: when this returns 0 it survives power loss. It stays open. -EINVAL it is published, -ENOENT, -EACCES not yours. */
PMA_PUBLIC int pma_publish(struct pma *pma, struct pma_handle handle);
/* Give a reservation back; unmap it first. -EINVAL it is published (use pma_free()), -ENOENT, -EACCES not yours, -EBUSY still mapped through @pma. */
PMA_PUBLIC int pma_abort(struct pma *pma, struct pma_handle handle);
/* pma_reserve() and pma_publish() in one message. Errors of both. */
PMA_PUBLIC int pma_create(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len, uint32_t flags);
/*
 * Open by name, or with @name NULL the allocation that *out names. @flags: 0 or PMA_READ_ONLY. Opening twice is fine and counts once.
 * -ENOENT no such name or id, -EACCES its mode does not allow it. pma_stat() tells the owner: check it where a squatted
 * name would hurt, or use pma_open_owned().
 */
PMA_PUBLIC int pma_open(struct pma_handle *out, struct pma *pma, const char *name, uint32_t flags);
/* The same, refused with -EPERM unless @uid owns it. */
PMA_PUBLIC int pma_open_owned(struct pma_handle *out, struct pma *pma, const char *name, uint32_t flags, uint32_t uid);
/* Done with it. -EBUSY still mapped through @pma, -EINVAL it is reserved: publish or abort it. Idempotent: 0 also when it was not open. */
PMA_PUBLIC int pma_close(struct pma *pma, struct pma_handle handle);
/*
 * Free: gone at return, durably, with its name; the space is reused when nobody has it open or mapped any more. Owner or root only.
 * It need not be open. -ENOENT, -EACCES, -EBUSY still mapped through @pma, -EINVAL it is not published: pma_abort().
 */
PMA_PUBLIC int pma_free(struct pma *pma, struct pma_handle handle);
/*
 * Grow or shrink to @len bytes. Contents up to the smaller length stay; new bytes read as zeroes. Existing maps keep showing what they
 * showed; map again to see the rest. What is cut off is reused when nobody has it mapped any more. Owner or root only.
 * Errors of pma_reserve() and pma_free(). One below the arena's page size shares its page and grows only into what is free behind it there
 * (-ENOSPC). One of whole pages stays so: it keeps one whole page however small @len is; pma_stat() has what it has.
 */
PMA_PUBLIC int pma_resize(struct pma *pma, struct pma_handle handle, uint64_t len);
/* @name NULL: it becomes unnamed. -EEXIST taken, -ENOENT, -EACCES. */
PMA_PUBLIC int pma_rename(struct pma *pma, struct pma_handle handle, const char *name);
/*
 * As chown(2): only root changes the uid; the owner may choose among its groups; -1 leaves one as it is. -EPERM, -ENOENT, -EDQUOT, -EBUSY it
 * shares a page with others of its owner.
 */
PMA_PUBLIC int pma_set_owner(struct pma *pma, struct pma_handle handle, uint32_t uid, uint32_t gid);
/* As chmod(2), bits 0666: who else may open it. -EPERM, -ENOENT, -EINVAL other bits. */
PMA_PUBLIC int pma_set_mode(struct pma *pma, struct pma_handle handle, uint32_t mode);

struct pma_stat {
	struct pma_handle handle;
	uint64_t len;                   /* bytes */
	uint32_t uid, gid, mode;
	uint32_t nr_extents;
	uint64_t version;               /* grows with every change */
	uint64_t created_ns;            /* CLOCK_REALTIME */
	bool     is_reserved;           /* not published yet */
	bool     is_poisoned;           /* a page of it is bad */
	char     name[PMA_MAX_NAME + 1];
};

/* Anyone who may connect may look. -ENOENT. */
PMA_PUBLIC int pma_stat(struct pma_stat *out, struct pma *pma, struct pma_handle handle);
PMA_PUBLIC int pma_stat_name(struct pma_stat *out, struct pma *pma, uint32_t arena, const char *name);

/*
 * Published allocations of an arena, those whose names begin with @prefix in the order of names, or with @prefix NULL all of them, in no
 * order. Up to *nr entries are written and *nr set to how many. *cursor is 0 at first and 0 again at the end. What is
 * created or freed meanwhile may or may not be seen; everything else is seen exactly once. -ESTALE the cursor is older than the daemon and leads
 * nowhere any more: begin anew.
 */
PMA_PUBLIC int pma_list(struct pma_stat *out, size_t *nr, uint64_t *cursor, struct pma *pma, uint32_t arena, const char *prefix);

struct pma_extent { uint64_t off, len; };       /* bytes on the arena's device */

/*
 * The extents in order, for callers that register memory elsewhere (GPU, RDMA, vhost, QEMU): at most *nr from the @first on; *nr becomes how
 * many were written. -EBADF not open in this session, -ENOENT stale. pma_device_fd() gives the descriptor that they are offsets into: borrowed
 * until pma_disconnect(). On device-dax map multiples of pma_arena.align only: the kernel rounds other offsets down and does not say so.
 *
 * The library cannot know what is done with an extent: the space of an allocation whose extents were asked for is not given to others before it
 * was freed or closed *and* this session is over and the descriptor and all mappings made through it are gone.
 */
PMA_PUBLIC int pma_extents(struct pma_extent *out, size_t *nr, struct pma *pma, struct pma_handle handle, size_t first);
PMA_PUBLIC int pma_device_fd(struct pma *pma, uint32_t arena, bool read_only);  /* >= 0, or -errno */

/* ---- allocations, many at once ---- */

enum pma_opcode { PMA_OP_RESERVE = 1, PMA_OP_CREATE, PMA_OP_PUBLISH, PMA_OP_ABORT, PMA_OP_FREE, PMA_OP_OPEN, PMA_OP_CLOSE,
		  PMA_OP_RESIZE, PMA_OP_RENAME, PMA_OP_STAT };

struct pma_op {
	enum pma_opcode opcode;
	int      result;                /* out: 0 or -errno of this one */
	struct pma_handle handle;       /* in; RESERVE, CREATE, and OPEN and STAT by name: .arena is in, all of it out */
	const char *name;               /* RESERVE, CREATE, RENAME: may be NULL; OPEN, STAT: NULL is by handle; borrowed */
	uint64_t len;                   /* in: RESERVE, CREATE, RESIZE; out: what it has now */
	uint32_t flags;                 /* enum pma_flags */
	uint32_t mode;                  /* RESERVE, CREATE: 0 means 0600 */
	struct pma_stat *stat;          /* STAT: out; may be NULL elsewhere */
	uint64_t token;                 /* RESERVE, CREATE, PUBLISH: see below; 0: none */
	bool     was_done;              /* RESERVE, CREATE, PUBLISH: out; by an earlier request under the same token */
};

/*
 * Tokens, for a program that may die between asking and knowing. CREATE and PUBLISH keep the token, durably, with what they make, until it is
 * freed or given to another user. RESERVE and CREATE of a name that is taken by an allocation of this user (this very uid) with this token, and PUBLISH of such an
 * allocation, succeed with was_done: it is open, len and handle are its own, and nothing was changed. So a program that gives each thing that it makes a token of its
 * own, remembers it, and asks again after a restart, makes it once. A token has at most 48 bits (PMA_MAX_TOKEN); RESERVE and CREATE with
 * one need a name (-EINVAL). RESERVE does not keep it: it is given again to PUBLISH.
 */

/*
 * Do @nr operations in order. Neighbours of one opcode travel in one message, up to PMA_MAX_BATCH, and share the cost of being made durable.
 * 0 when each was answered: look at each result; else the error of the connection, and operations whose result is not known have it too.
 */
PMA_PUBLIC int pma_run(struct pma *pma, struct pma_op *ops, size_t nr);

/* ---- memory ---- */

enum pma_map_flags { PMA_MAP_READ = 0, PMA_MAP_WRITE = 1 };

/*
 * Map an allocation that this session has open or reserved, all its extents as one contiguous range. PMA_MAP_WRITE needs it not
 * opened with PMA_READ_ONLY (-EACCES). The caller owns *out; pma_unmap(). A mapping keeps the space from being reused, also after a free
 * by somebody else: then it shows the old contents until it is unmapped. -ENOENT the handle is stale, -EBADF not open in this session.
 */
PMA_PUBLIC int pma_map(struct pma_map **out, struct pma *pma, struct pma_handle handle, uint32_t flags);
PMA_PUBLIC void pma_unmap(struct pma_map *map);                 /* NULL is fine */
PMA_PUBLIC void *pma_map_address(const struct pma_map *map);
PMA_PUBLIC size_t pma_map_length(const struct pma_map *map);    /* bytes */
PMA_PUBLIC struct pma_handle pma_map_handle(const struct pma_map *map);

/*
 * Durability of stores to a mapping, by the means that its device needs. Ranges must lie in @map (-EINVAL). flush begins, drain
 * waits for all flushes of this thread, persist is both. memcpy and memset store and persist, past the cache where that is faster.
 * -EIO the page is bad or the device is gone (page-granular devices only: others have no way to say so but SIGBUS).
 */
PMA_PUBLIC int pma_persist(struct pma_map *map, const void *addr, size_t len);
PMA_PUBLIC int pma_flush(struct pma_map *map, const void *addr, size_t len);
PMA_PUBLIC int pma_drain(struct pma_map *map);
PMA_PUBLIC int pma_memcpy(struct pma_map *map, void *dst, const void *src, size_t len);
PMA_PUBLIC int pma_memset(struct pma_map *map, void *dst, int byte, size_t len);

/*
 * Does the allocation still exist? A look into shared memory, no message. False once it was freed; true never means that it is open here.
 * False too for an arena that could not be attached.
 */
PMA_PUBLIC bool pma_is_valid(struct pma *pma, struct pma_handle handle);

/* ---- a cache: space taken ahead ---- */

/*
 * A cache takes space from the arena ahead of need, in leases, and hands out pieces of it within this process: a reserve and a release are some
 * tens of nanoseconds and no message, but for every 256th or so of base pages, which takes another lease. A piece is mapped memory from the start. It
 * can be published: then it is an allocation like any other, with a handle and perhaps a name, and survives power loss; many in one call cost one round
 * trip. What is not published is gone with the process, and given back to the arena then.
 *
 * When others need room the daemon asks for leases back, and those of which no piece is in use go back at once: a cache has a thread for
 * that, which sleeps otherwise, and a session of its own (it counts in the user's quota of sessions).
 *
 * Threads: all of them may use one cache. fork: a child must not use it (-EPERM) and may pma_cache_close() its copy, which gives nothing back; maps
 * of pieces go on in the child as other maps do.
 */

struct pma_piece {
	void    *address;               /* its memory, writable until pma_cache_release() */
	uint64_t len;                   /* bytes: what was asked for, rounded up to base pages, or to the arena's pages from one of these on */
	struct pma_map *map;            /* for pma_persist() and the like; borrowed until pma_cache_release(), not to be unmapped */
	void    *lease;                 /* these two are the library's */
	uint32_t unit;
};

/*
 * A cache of arena @arena that has at most @max_bytes at a time that are not published, in use or idle. Takes nothing yet. -ENOENT no such arena,
 * -EINVAL @max_bytes is less than 4 KiB or more than the arena, -EOPNOTSUPP the daemon is too old, -EAGAIN no thread, and the errors of pma_connect().
 */
PMA_PUBLIC int pma_cache_open(struct pma_cache **out, struct pma *pma, uint32_t arena, uint64_t max_bytes);
/* Everything that was not published goes back, also what was not released: its memory is gone. Before pma_disconnect(). NULL is fine. */
PMA_PUBLIC void pma_cache_close(struct pma_cache *cache);
/*
 * A piece of at least @len bytes. It reads as zeroes if this cache never handed it out before; else it has what was in it then, unless @flags has
 * PMA_ZEROED (zeroes, persistent). It never has anybody else's data. Blocks only when another lease has to be taken: then also the errors of
 * pma_reserve(). -ENOBUFS: the cache's bound is reached, -EINVAL @len is 0 or above the bound.
 */
PMA_PUBLIC int pma_cache_reserve(struct pma_piece *out, struct pma_cache *cache, uint64_t len, uint32_t flags);
/*
 * Done with its memory. A piece that was not published can be handed out again; of a published one nothing changes but that its address is not
 * used here any more. As with free(3), *piece must be one that is not released yet; most mistakes are seen (-EINVAL). -EBUSY it is being published.
 */
PMA_PUBLIC int pma_cache_release(struct pma_cache *cache, struct pma_piece *piece);

struct pma_publication {
	struct pma_piece *piece;        /* borrowed; stays in use until it is released */
	const char *name;               /* NULL: none */
	uint32_t mode;                  /* 0: 0600 */
	int      result;                /* out: 0, or -EEXIST the name is taken, -EDQUOT, -ENFILE, -ENOENT the session was lost and its leases with it, ... */
	struct pma_handle handle;       /* out: it is open in the cache's session, as after pma_publish() */
};

/*
 * Make @nr pieces permanent. What is in them must be persistent already (pma_persist()). 0 when each was answered: look at each result. One that is
 * refused stays a piece as it was. One whose fate is unknown (-ENOTCONN, -ESTALE, -EIO) is not handed out again after its release. -EINVAL: one of
 * them is no unpublished piece, and nothing was done.
 *
 * The space of one that was published and is then freed, by anyone, is used again when no other piece of its lease is in use here: release
 * what you are done with.
 */
PMA_PUBLIC int pma_cache_publish(struct pma_cache *cache, struct pma_publication *what, size_t nr);
/* Give back leases of which no piece is in use. Blocks. The daemon has this done by itself when others need room. */
PMA_PUBLIC void pma_cache_trim(struct pma_cache *cache);

struct pma_cache_stat {
	uint64_t leased, in_use, max_bytes;     /* bytes that are not published: of all leases, of pieces, the bound */
	uint64_t nr_refills, nr_recalls;        /* leases taken; times that they were asked back */
};

PMA_PUBLIC void pma_cache_stat(struct pma_cache_stat *out, struct pma_cache *cache);

/* ---- events ---- */

enum pma_event_kind { PMA_EVENT_PUBLISHED = 1, PMA_EVENT_FREED, PMA_EVENT_RENAMED, PMA_EVENT_RESIZED, PMA_EVENT_CHANGED,
		      PMA_EVENT_POISONED, PMA_EVENT_RECALL, PMA_EVENT_ARENA_OFFLINE, PMA_EVENT_LOST };

struct pma_event {
	enum pma_event_kind kind;       /* PMA_EVENT_LOST: some were dropped, look anew */
	struct pma_handle handle;
	uint64_t len;
	uint32_t uid, gid, mode;
	const char *name;               /* "": none; valid during the callback */
};

/*
 * Call @callback from pma_dispatch() for each event of allocations whose names begin with @prefix (NULL or "": all, also unnamed). One
 * subscription an arena; a second replaces the first; callback NULL ends it. The callback may call the library, but for
 * pma_dispatch() and pma_disconnect(). After the daemon was away there is a PMA_EVENT_LOST. -ENOENT no such arena, -EINVAL @prefix is too long.
 */
PMA_PUBLIC int pma_subscribe(struct pma *pma, uint32_t arena, const char *prefix,
			     void (*callback)(const struct pma_event *event, void *arg), void *arg);

/* ---- admin: what pmemarenactl uses ---- */

/*
 * One call on the admin socket (@socket NULL: $PMEMARENA_ADMIN_SOCKET, else /run/pmemarena/admin.sock): JSON-RPC 2.0, @params a JSON
 * object as text or NULL. 0 and the result as JSON text in *result (free()), or -errno and the daemon's message in pma_message();
 * -EREMOTE the daemon answered with an error (its code in *code when @code is not NULL).
 */
PMA_PUBLIC int pma_admin_call(char **result, int *code, const char *socket, const char *method, const char *params);
/*
 * The same for a method that goes on sending: after its reply, @line gets the params of one notification after the other, as JSON text, until it
 * returns false (0), or the daemon goes away (-ENOTCONN). The text is valid during the call.
 */
PMA_PUBLIC int pma_admin_watch(const char *socket, const char *method, const char *params,
			       bool (*line)(const char *json, void *arg), void *arg);

/* The library's version, "0.1.0". */
PMA_PUBLIC const char *pma_version(void);

#ifdef __cplusplus
}
#endif

#endif
