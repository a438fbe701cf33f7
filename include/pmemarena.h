/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena: named, owned, durable allocations of persistent memory that many processes of a host
 * share.
 *
 *	struct pma *pma;
 *	struct pma_handle handle;
 *	struct pma_mapping *map;
 *	int r = pma_connect(&pma, NULL);                               the daemon, by its socket
 *
 *	if (r == 0)
 *		r = pma_create(&handle, pma, "greeting", 4096, 0);     durable, reads as zeroes
 *	if (r == -EEXIST)
 *		r = pma_open(&handle, pma, "greeting", 0);             this program ran before
 *	if (r == 0)
 *		r = pma_map(&map, pma, handle, PMA_MAP_WRITE);         plain memory from here on
 *	if (r == 0)
 *		r = pma_memcpy(map, pma_map_address(map), "hello", 6); copied and persistent
 *	if (r < 0)
 *		fprintf(stderr, "%s\n", pma_message());
 *
 * Errors. Every function that can fail returns 0 or a negative errno. pma_message() has the
 * sentence for a person that came with the last failure of the calling thread. What this process
 * lacks itself is never told as a fault of the daemon, and after it the same call may be made
 * again. Any call that talks to the daemon may also return
 *	-ENOTCONN  the connection is lost and could not be made again in time, or three daemons in
 *	           a row ended while they had this request; what was under way may or may not have
 *	           been done. pma_message() says why: perhaps this process had no descriptor or no
 *	           memory to connect with,
 *	-ESTALE    the session was lost while this request was under way, and there is a new one
 *	           (the daemon was replaced and this process came back too late, the runtime
 *	           directory was lost, or this process could not receive and had to hang up):
 *	           nobody can tell what became of the request. Look (pma_stat, pma_open) and, if
 *	           need be, ask again,
 *	-ENOMEM    no memory in this process, or in the kernel for a message: nothing was done,
 *	-EMFILE, -ENFILE  no descriptor is free in this process (RLIMIT_NOFILE), on this host
 *	           (fs.file-max): raise the limit, or close some, and ask again,
 *	-EAGAIN    this process locks all that it maps (mlockall) and may not lock so much
 *	           (RLIMIT_MEMLOCK),
 *	-EPROTO    the other end does not speak this protocol,
 *	-EIO       the arena is offline (its device failed or was taken away). What is not found
 *	           there, or was changed last, is answered so as well: only the daemon that
 *	           serves the arena next knows what became of it.
 *
 * Threads. A struct pma may be used by any number of threads at once; a call blocks only its own
 * thread. Two exceptions: pma_disconnect() must be the last call, and pma_dispatch() runs callbacks
 * on the thread that called it. Maps may be used by many threads as memory may.
 *
 * fork. A child must not use its parent's struct pma (-EPERM; it may pma_disconnect() its copy,
 * which ends nothing), and connects for itself; its inherited mappings stay valid, may be unmapped
 * with pma_unmap() or munmap(), and keep the space from being given to others for as long as they
 * exist, also when it is the child's child that has them, or one made by clone(2): at pma_unmap()
 * the kernel is asked whether anybody else has the mapping. If so, or if it cannot be asked (no
 * /proc, no descriptor or memory left), the allocation is *lent*: what this session says of its
 * mappings is not heard any more, and its space is not given to others before it was freed and this
 * session is over and all mappings are gone, whatever is closed and opened until then. The child of
 * a vfork(), and threads, have the mappings of their parent and none of their own. What the library
 * cannot see is memory that is used by other means than a mapping in a process, or by a copy that
 * the program made of a mapping (mremap(2) with an old size of 0): end that, as the registration of
 * memory with a device, before pma_unmap(), or ask for the extents, which lends.
 *
 * When the daemon goes away, mappings and their data stay. The next call connects again
 * (pma_options_set_reconnect_ms()) and takes up the same session: handles, reservations and opens
 * are as before, and a request that was under way is done once, whatever the daemon had done of it
 * when it was killed: the library asks again under the same token, and the daemon answers what it
 * did.
 *
 * The trust domain is the arena: the daemon enforces who may open, free or change an allocation,
 * and the kernel keeps read-only openers from writing, but on device-dax a client with write access
 * to one allocation of an arena could, if it wanted, map others of the same arena. Use several
 * arenas between parties that do not trust each other: each says in the daemon's configuration who
 * may use it, and who may only read it. An arena that this user may not use is not there: every
 * call that names it, also by a handle, is -ENOENT with one sentence for that and for a number that
 * no arena has, and its place among the others is empty. Of one that this user may only read
 * everything that would change it, PMA_MAP_WRITE and opening without PMA_READ_ONLY among it, is
 * -EACCES. When the right is taken away while a program runs, what it had reserved there ends and
 * what it had open is closed, while what it has mapped stays mapped until it unmaps.
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
#define PMA_MAX_MESSAGE   512   /* bytes of a sentence, with the NUL that ends it */
#define PMA_MAX_TOKEN     0xffffffffffffULL
#define PMA_MAX_ATTRIBUTES 256  /* bytes of the program's own with an allocation */

/* Opaque. */
struct pma;                     /* a connection and its session */
struct pma_cache;               /* a store of leased space, see pma_cache_open() */
struct pma_options;
struct pma_mapping;             /* an allocation mapped into this process */
struct pma_window;              /* a whole arena mapped into this process, see pma_window_open() */

/*
 * Names an allocation for ever: an id is never used twice, so the handle of something that was
 * freed is invalid and can never name somebody else's data. It is plain data and may be copied,
 * stored and passed to other processes.
 */
struct pma_handle {
	uint32_t arena;         /* number of the arena in this daemon; see pma_arena_find() */
	uint32_t slot;
	uint64_t id;            /* 0: this names no allocation */
};

#ifdef __cplusplus
#define PMA_HANDLE_NONE (pma_handle{ 0, 0, 0 })
#else
#define PMA_HANDLE_NONE ((struct pma_handle){ 0, 0, 0 })
#endif

/* ---- connect ---- */

/*
 * Makes options that have their defaults; the caller frees them with pma_options_free(). -ENOMEM.
 */
PMA_PUBLIC int pma_options_new(struct pma_options **out);
PMA_PUBLIC void pma_options_free(struct pma_options *options);
/*
 * Sets where the daemon listens. Default: $PMEMARENA_SOCKET, else /run/pmemarena/pmemarena.sock.
 * The text is copied. -ENOMEM, -ENAMETOOLONG.
 */
PMA_PUBLIC int pma_options_set_socket(struct pma_options *options, const char *path);
/*
 * Sets how long a call waits, in milliseconds, for a lost daemon to come back before the call fails
 * with -ENOTCONN. Default 5000; 0: not at all.
 */
PMA_PUBLIC int pma_options_set_reconnect_ms(struct pma_options *options, uint32_t timeout_ms);
/*
 * Sets for how long, in microseconds, a call looks for its reply again and again before it sleeps.
 * That saves the time of a wake-up and costs processor time. Default 0.
 */
PMA_PUBLIC int pma_options_set_busy_poll_us(struct pma_options *options, uint32_t busy_poll_us);

/*
 * Connects and opens a session. The caller ends it with pma_disconnect(). @options may be NULL and
 * may be freed afterwards. -ENOENT or -ECONNREFUSED no daemon at the socket, -EACCES this user may
 * not connect (group pmemarena), -EDQUOT this user has too many sessions, -EPROTONOSUPPORT the
 * daemon and the library have no protocol version in common, -EINVAL the kernel is too old (before
 * Linux 4.14). -ENOMEM, -EMFILE, -ENFILE and -EAGAIN are about this process. After an error there
 * is nothing to disconnect.
 */
PMA_PUBLIC int pma_connect(struct pma **out, const struct pma_options *options);
/*
 * Ends the session: its reservations are aborted, what it has open is closed. Mappings should have
 * been unmapped before; one that was not stays mapped, and its space is not given to others before
 * it is unmapped. @pma may be NULL.
 */
PMA_PUBLIC void pma_disconnect(struct pma *pma);

/*
 * The sentence that explains the last failed call of this thread; "" if there was none. Valid until
 * the thread's next call; not to be freed.
 */
PMA_PUBLIC const char *pma_message(void);

/*
 * For a program's own event loop. pma_get_fd() returns a descriptor that becomes readable when
 * pma_dispatch() has something to do; it stays the same when the connection is made anew, and the
 * library closes it. -EMFILE, -ENFILE, -ENOMEM, or -ENOSPC this user watches as many descriptors
 * with epoll(7) as it may (fs.epoll.max_user_watches). pma_dispatch() handles what has arrived and
 * never blocks; 0, or -ENOTCONN the connection is lost: it is made again by the next call, or by
 * pma_dispatch() when the descriptor is readable.
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
	/*
	 * The unit of large allocations, in bytes. Smaller allocations of one owner share a page.
	 */
	uint64_t page_size;
	uint64_t size;          /* bytes that clients can have */
	/* The offset and the length of a mapping on the device are multiples of this. */
	uint64_t align;
	bool     is_dax;
	enum pma_granularity granularity;       /* the unit in which stores are made durable */
	/* where the bytes that clients can have begin on the device, and its size; in bytes */
	uint64_t data_off, device_size;
};

/*
 * Arenas are numbered from 0, with the same numbers for every user; calls that take no arena use
 * number 0. The count includes arenas that this user may not use: for them pma_arena_get() returns
 * -ENOENT, and a loop goes on with the next number. What the user is newly allowed to use appears
 * after the next pma_connect().
 */
PMA_PUBLIC uint32_t pma_arena_count(struct pma *pma);
/*
 * Describes the arena number @index. -ENOENT there is no such arena, or this user may not use it.
 */
PMA_PUBLIC int pma_arena_get(struct pma_arena *out, struct pma *pma, uint32_t index);
/* Finds the number of an arena by its name, or by its UUID as text. -ENOENT. */
PMA_PUBLIC int pma_arena_find(uint32_t *index, struct pma *pma, const char *name_or_uuid);

/*
 * How full an arena is, and what the session's own user has of it. The numbers of one call belong
 * together but for `leased`, `reserved` and `quarantined`, which may be some tenths of a second
 * old; all of them may be others by the time that they are read.
 */
struct pma_charge {
	uint64_t used;
	uint64_t limit;                 /* the most that it may come to be; 0: there is no limit */
};
struct pma_usage {
	uint64_t size;                  /* bytes that clients can have in all */
	uint64_t free;                  /* bytes that nobody has */
	uint64_t largest_free;          /* the largest extent of these */
	/* of all users: taken ahead; reserved; freed, and perhaps still mapped or pinned */
	uint64_t leased, reserved, quarantined;
	struct pma_charge bytes, allocations, leased_bytes;     /* this user's, in this arena */
};
/*
 * Asks for the usage of an arena; one message. -ENOENT no such arena, or not for this user; -EIO
 * the arena is offline; -EOPNOTSUPP the daemon is older than this call; or the errors of a
 * connection. On failure *out is not written.
 */
PMA_PUBLIC int pma_usage_get(struct pma_usage *out, struct pma *pma, uint32_t arena);

/* ---- allocations, one by one ---- */

enum pma_flags {
	PMA_CONTIGUOUS = 1u << 1,       /* reserve: one extent, or the call fails with -ENOSPC */
	/*
	 * open: mappings will be read-only, which the kernel enforces. An allocation that is opened
	 * both ways is open for writing.
	 */
	PMA_READ_ONLY = 1u << 2,
	/* cache reserve: the piece reads as zeroes, whatever this cache had there before */
	PMA_ZEROED = 1u << 3,
	/*
	 * abort, free, close: the caller's word that everybody is done with it: this process, all
	 * children, and all devices that were told where it is (pma_extents()). Its space can be
	 * used again at once, although it was lent. If that is not true, they will see and
	 * overwrite somebody else's data.
	 */
	PMA_DONE = 1u << 4,
	/*
	 * create, publish, rename: if a published allocation has the name, it is freed in the same
	 * step. See pma_replace().
	 */
	PMA_REPLACE = 1u << 5,
};

/*
 * Reserve @len bytes in arena 0, rounded up to whole base pages (below the arena's page size) or
 * whole pages, under @name (NULL: none), mode 0600. The bytes read as zeroes. The space is yours
 * until pma_publish() makes it permanent or pma_abort(), or your death, gives it back; nobody else
 * can open it by then, but the name is taken. Blocks until the daemon answers, which may wait for
 * freed space to be scrubbed, or up to two seconds for space that others took ahead.
 *
 * 0, or -EINVAL @len is 0 or larger than the arena or @name too long, -EEXIST a published
 * allocation has @name, -EBUSY a reservation has it: somebody is writing it, and will publish or
 * abort it, -ENOSPC not enough free pages (the message has the largest free extent), -EDQUOT over
 * quota (the message has used and limit), -ENFILE the arena's table is full, -EUCLEAN the arena is
 * damaged and takes no new allocations until it is repaired.
 */
PMA_PUBLIC int pma_reserve(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len,
			   uint32_t flags);
/*
 * Makes a reservation permanent: when this returns 0 the allocation survives power loss. It stays
 * open. -EINVAL it is published already, -ENOENT, -EACCES it is not the caller's.
 */
PMA_PUBLIC int pma_publish(struct pma *pma, struct pma_handle handle);
/*
 * Publishes a reservation under @name, in the place of the published allocation that has @name, if
 * there is one. Whoever asks for @name sees the one or the other at every moment, never neither and
 * never both, also after a power loss. The old one is freed as by pma_free(): who has it open,
 * pinned or mapped keeps it as it is, and pma_is_valid() says false of its handle. Until then both
 * take space, and both count against the owner's quota. The name that the reservation had before is
 * free again.
 *
 * pma_create() does the same with PMA_REPLACE in @flags, and pma_rename_flags() with an allocation
 * that is published already; in pma_run() the flag goes with CREATE, PUBLISH (then with a name) and
 * RENAME.
 *
 * 0, or -EACCES the old one is not the caller's: only its owner or root may free it, -EBUSY @name
 * is reserved and not published yet, -ENOSPC also that a name was replaced 2^32 times, -EOPNOTSUPP
 * the daemon is too old, and the errors of pma_publish(). After an error nothing has changed.
 */
PMA_PUBLIC int pma_replace(struct pma *pma, struct pma_handle handle, const char *name);
/*
 * Gives a reservation back; unmap it first. -EINVAL it is published (use pma_free()), -ENOENT,
 * -EACCES it is not the caller's, -EBUSY it is still mapped through @pma.
 */
PMA_PUBLIC int pma_abort(struct pma *pma, struct pma_handle handle);
/*
 * Does pma_reserve() and pma_publish() in one message. Returns the errors of both; after an error
 * nothing is reserved.
 */
PMA_PUBLIC int pma_create(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len,
			  uint32_t flags);
/* The same in arena number @arena. -ENOENT also: there is none, or not for this user. */
PMA_PUBLIC int pma_reserve_in(struct pma_handle *out, struct pma *pma, uint32_t arena,
			      const char *name, uint64_t len, uint32_t flags);
PMA_PUBLIC int pma_create_in(struct pma_handle *out, struct pma *pma, uint32_t arena,
			     const char *name, uint64_t len, uint32_t flags);
/*
 * Opens the allocation called @name in arena 0, or with @name NULL the one that *out names. @flags:
 * 0 or PMA_READ_ONLY. Opening it twice is fine and counts once. -ENOENT no such name or id, -EACCES
 * its mode does not allow it. Any user may have taken a name first: where that would hurt, compare
 * the owner that pma_stat() tells, or use pma_open_owned().
 */
PMA_PUBLIC int pma_open(struct pma_handle *out, struct pma *pma, const char *name, uint32_t flags);
/* The same in arena number @arena, and by name (-EINVAL without one). */
PMA_PUBLIC int pma_open_in(struct pma_handle *out, struct pma *pma, uint32_t arena,
			   const char *name, uint32_t flags);
/* As pma_open(), but -EPERM unless the user @uid owns the allocation. */
PMA_PUBLIC int pma_open_owned(struct pma_handle *out, struct pma *pma, const char *name,
			      uint32_t flags, uint32_t uid);
/*
 * Closes an allocation that this session has open. 0 also when it was not open. -EBUSY it is still
 * mapped through @pma, -EINVAL it is a reservation: publish or abort it. After -ENOTCONN the
 * library treats it as closed; whether the daemon closed it is not known.
 */
PMA_PUBLIC int pma_close(struct pma *pma, struct pma_handle handle);
/*
 * Frees an allocation: when this returns 0, it and its name are gone, also after power loss. Its
 * space is used again when nobody has it open or mapped any more. Only its owner or root may free
 * it; it need not be open. -ENOENT, -EACCES, -EBUSY it is still mapped through @pma, -EINVAL it is
 * not published (use pma_abort()).
 */
PMA_PUBLIC int pma_free(struct pma *pma, struct pma_handle handle);
/*
 * The same with @flags: 0 or PMA_DONE. -EOPNOTSUPP with PMA_DONE the daemon is too old; -EBUSY also
 * that it is a piece of a cache's lease, which stays mapped.
 */
PMA_PUBLIC int pma_abort_flags(struct pma *pma, struct pma_handle handle, uint32_t flags);
PMA_PUBLIC int pma_close_flags(struct pma *pma, struct pma_handle handle, uint32_t flags);
PMA_PUBLIC int pma_free_flags(struct pma *pma, struct pma_handle handle, uint32_t flags);
/*
 * Grows or shrinks an allocation to @len bytes. Contents up to the smaller length stay; new bytes
 * read as zeroes. Existing mappings keep showing what they showed; map again to see the rest. Space
 * that is cut off is used again when nobody has it mapped any more. Only its owner or root may do
 * this. Errors of pma_reserve() and pma_free(). An allocation smaller than the arena's page size
 * shares its page with others and grows only into free space behind it in that page (-ENOSPC). An
 * allocation of whole pages remains one: it keeps one whole page however small @len is; pma_stat()
 * tells its length.
 */
PMA_PUBLIC int pma_resize(struct pma *pma, struct pma_handle handle, uint64_t len);
/*
 * Gives an allocation another name; with @name NULL it becomes unnamed. -EEXIST the name is taken,
 * -EBUSY it is reserved, -ENOENT, -EACCES.
 */
PMA_PUBLIC int pma_rename(struct pma *pma, struct pma_handle handle, const char *name);
/*
 * The same with @flags: 0 or PMA_REPLACE, see pma_replace(). -EINVAL with PMA_REPLACE it is a
 * reservation.
 */
PMA_PUBLIC int pma_rename_flags(struct pma *pma, struct pma_handle handle, const char *name,
				uint32_t flags);
/*
 * As chown(2): only root changes the uid; the owner may choose among its own groups; -1 leaves a
 * value as it is. -EPERM, -ENOENT, -EDQUOT, -EBUSY the allocation shares a page with others of its
 * owner.
 */
PMA_PUBLIC int pma_set_owner(struct pma *pma, struct pma_handle handle, uint32_t uid, uint32_t gid);
/*
 * As chmod(2), bits 0666: says who else may open the allocation. -EPERM, -ENOENT, -EINVAL other
 * bits.
 */
PMA_PUBLIC int pma_set_mode(struct pma *pma, struct pma_handle handle, uint32_t mode);

/*
 * Attributes are bytes of the program's own with an allocation, at most PMA_MAX_ATTRIBUTES: how
 * long what it holds is, its layout, a checksum. The daemon stores them with the allocation and
 * does not look into them. They are given when it is published (PMA_OP_CREATE and PMA_OP_PUBLISH in
 * pma_run()), become durable in the same step, and go when it is freed; a resize or another name
 * leaves them as they are. pma_get(), pma_stat(), pma_list() and an open in pma_run() tell them: to
 * everyone who may use or read the arena, as the name. A daemon that is older than this knows none;
 * then nothing has any, and to set some is -EOPNOTSUPP.
 *
 * Sets other ones, for the owner and root: @len bytes at @attributes instead of all that were
 * there; 0: none. Whoever gets or opens the allocation later sees these; a pin keeps those that it
 * has. -EPERM, -ENOENT, -EINVAL too many, or it is only reserved (publish gives them), -ENFILE the
 * table of the arena has no room for a longer record, -EOPNOTSUPP.
 */
PMA_PUBLIC int pma_set_attributes(struct pma *pma, struct pma_handle handle, const void *attributes,
				  size_t len);

struct pma_info {
	struct pma_handle handle;
	uint64_t len;                   /* bytes */
	uint32_t uid, gid, mode;
	uint32_t nr_extents;
	uint64_t version;               /* grows with every change */
	uint64_t created_ns;            /* CLOCK_REALTIME */
	bool     is_reserved;           /* not published yet */
	bool     is_poisoned;           /* a page of it has a media error */
	char     name[PMA_MAX_NAME + 1];
	uint32_t attributes_len;        /* 0: it has none */
	uint8_t  attributes[PMA_MAX_ATTRIBUTES];
};

/* Describes an allocation. Everyone who may use or read the arena may ask. -ENOENT. */
PMA_PUBLIC int pma_stat(struct pma_info *out, struct pma *pma, struct pma_handle handle);
PMA_PUBLIC int pma_stat_name(struct pma_info *out, struct pma *pma, uint32_t arena,
			     const char *name);

/*
 * Lists the published allocations of an arena: with @prefix those whose names begin with it, in the
 * order of names; with @prefix NULL all of them, in no order. The caller gives room for *nr
 * entries, and *nr becomes how many were written. *cursor is 0 at the first call and is 0 again
 * after the last page. An allocation that is created or freed meanwhile may or may not be seen;
 * every other one is seen exactly once. -ESTALE the cursor comes from an earlier run of the daemon:
 * begin again with 0.
 */
PMA_PUBLIC int pma_list(struct pma_info *out, size_t *nr, uint64_t *cursor, struct pma *pma,
			uint32_t arena, const char *prefix);

struct pma_extent { uint64_t off, len; };       /* bytes on the arena's device */

/*
 * Tells the extents of an allocation in order, for programs that register memory elsewhere (GPU,
 * RDMA, vhost, QEMU): at most *nr of them, beginning with number @first; *nr becomes how many were
 * written. -EBADF it is not open in this session, -ENOENT it does not exist any more. Offsets are
 * those of the descriptor from pma_device_fd(), which the library closes at pma_disconnect(). On
 * device-dax map only multiples of pma_arena.align: the kernel rounds other offsets down without an
 * error.
 *
 * The library cannot know what a program does with an extent, so this call *lends* the allocation:
 * its space is not given to others before three things have happened: it was freed, this session is
 * over, and the descriptor and all mappings made through it are gone. Closing and opening it again,
 * or a restart of the daemon, does not change that. What ends it earlier is the program's word,
 * PMA_DONE with pma_free_flags() and the like. Who looks up many allocations uses a window.
 */
PMA_PUBLIC int pma_extents(struct pma_extent *out, size_t *nr, struct pma *pma,
			   struct pma_handle handle, size_t first);
/* Returns a descriptor of the arena's device, which the library owns, or a negative errno. */
PMA_PUBLIC int pma_device_fd(struct pma *pma, uint32_t arena, bool read_only);

/* ---- allocations, many at once ---- */

enum pma_opcode {
	PMA_OP_RESERVE = 1,
	PMA_OP_CREATE,
	PMA_OP_PUBLISH,
	PMA_OP_ABORT,
	PMA_OP_FREE,
	PMA_OP_OPEN,
	PMA_OP_CLOSE,
	PMA_OP_RESIZE,
	PMA_OP_RENAME,
	PMA_OP_STAT
};

struct pma_op {
	enum pma_opcode opcode;
	int      result;                /* out: 0 or a negative errno of this operation */
	/*
	 * In: what the operation is about; RESERVE, CREATE, and OPEN, STAT and FREE by name read
	 * .arena only. Out: the allocation.
	 */
	struct pma_handle handle;
	/*
	 * RESERVE, CREATE, RENAME: NULL for no name. OPEN, STAT, FREE: NULL to use the handle.
	 * PUBLISH: only with PMA_REPLACE. Borrowed.
	 */
	const char *name;
	/* in: RESERVE, CREATE, RESIZE; out: the length that it has now */
	uint64_t len;
	uint32_t flags;                 /* enum pma_flags */
	uint32_t mode;                  /* RESERVE, CREATE: 0 means 0600 */
	/* STAT: out; may be NULL elsewhere. In an OPEN it has the attributes and no name. */
	struct pma_info *stat;
	/* RESERVE, CREATE, PUBLISH: see the next comment; 0: no token */
	uint64_t token;
	/*
	 * Out, of RESERVE, CREATE, PUBLISH: an earlier request under the same token did it already.
	 */
	bool was_done;
	/*
	 * NULL, or PMA_MAX_MESSAGE bytes for the sentence of this operation, which is empty when it
	 * succeeded. Borrowed. (pma_message() has that of the first one that was refused.)
	 */
	char *message;
	/* CREATE, PUBLISH: attributes_len bytes that it has from now on; 0: none. Borrowed. */
	const void *attributes;
	size_t attributes_len;
};

/*
 * Tokens are for a program that may be killed after it asked and before it knows the answer. CREATE
 * and PUBLISH store the token, durably, with the allocation, until that is freed or given to
 * another user. If RESERVE or CREATE asks for a name that is taken by an allocation of the same uid
 * with the same token, or PUBLISH names such an allocation, the operation succeeds with was_done
 * set: the allocation is open, len and handle are its own, and nothing was changed. So a program
 * that gives each thing it makes a token of its own, remembers it, and asks again after a restart,
 * makes it once. A token has at most 48 bits (PMA_MAX_TOKEN). RESERVE and CREATE with a token need
 * a name (-EINVAL). RESERVE does not store the token: give it again to PUBLISH.
 */

/*
 * Names, many at once: a STAT by name says what is there and what is not (-ENOENT); an OPEN by name
 * opens what is there; a FREE by name frees it, where the handle of it is not known. If this
 * session has it open, it stays so until it is closed, as when another session frees it. FREE by
 * name takes no PMA_DONE (-EINVAL); -EOPNOTSUPP the daemon is too old.
 */

/*
 * Does @nr operations in order. Neighbours of one opcode travel in one message, up to
 * PMA_MAX_BATCH, and share the cost of being made durable. An operation that has a name, a flag, a
 * token or attributes which its opcode does not use is refused (-EINVAL): write all members of an
 * element that is used again. Returns 0 when each operation was answered: look at each result.
 * Otherwise returns the error of the connection, which is also the result of each operation whose
 * outcome is not known.
 */
PMA_PUBLIC int pma_run(struct pma *pma, struct pma_op *ops, size_t nr);

/* ---- memory ---- */

enum pma_map_flags { PMA_MAP_READ = 0, PMA_MAP_WRITE = 1 };

/*
 * Maps an allocation that this session has open or reserved: all its extents as one contiguous
 * range. PMA_MAP_WRITE is refused with -EACCES when it was opened with PMA_READ_ONLY. The caller
 * owns *out and ends it with pma_unmap(). As long as a mapping exists its space is not used for
 * anything else: if somebody else frees the allocation, the mapping shows the old contents until it
 * is unmapped. -EBADF it is not open in this session, also when this session freed it; -ENOENT
 * somebody else freed it; -ENOMEM also when no address space is left, or no further mapping is
 * allowed (vm.max_map_count); -EAGAIN this process locks all that it maps (mlockall) and may not
 * lock so much (RLIMIT_MEMLOCK).
 */
PMA_PUBLIC int pma_map(struct pma_mapping **out, struct pma *pma, struct pma_handle handle,
		       uint32_t flags);
/*
 * Unmaps the memory and frees @map, which must not be used again. @map may be NULL. Should the
 * kernel refuse to unmap it (vm.max_map_count), the memory stays until the process ends, and the
 * allocation is lent as after a fork.
 */
PMA_PUBLIC void pma_unmap(struct pma_mapping *map);
/* The first byte, the number of bytes, and the allocation that is mapped. */
PMA_PUBLIC void *pma_map_address(const struct pma_mapping *map);
PMA_PUBLIC size_t pma_map_length(const struct pma_mapping *map);
PMA_PUBLIC struct pma_handle pma_map_handle(const struct pma_mapping *map);

/*
 * Make stores to a mapping durable, by the means that its device needs. A range must lie inside
 * @map (-EINVAL). pma_flush() begins; pma_drain() waits for all flushes of this thread;
 * pma_persist() does both. pma_memcpy() and pma_memset() store and persist, past the processor's
 * cache where that is faster. -EIO the page is bad or the device is gone: only devices with page
 * granularity report this, and other errors of msync(2); on others the store raises SIGBUS.
 */
PMA_PUBLIC int pma_persist(struct pma_mapping *map, const void *addr, size_t len);
PMA_PUBLIC int pma_flush(struct pma_mapping *map, const void *addr, size_t len);
PMA_PUBLIC int pma_drain(struct pma_mapping *map);
PMA_PUBLIC int pma_memcpy(struct pma_mapping *map, void *dst, const void *src, size_t len);
PMA_PUBLIC int pma_memset(struct pma_mapping *map, void *dst, int byte, size_t len);

/*
 * Tells whether the allocation still exists, by a look into shared memory, without a message to the
 * daemon. False: it was freed, or the arena's shared memory could not be attached. True does not
 * mean that it is open in this session.
 */
PMA_PUBLIC bool pma_is_valid(struct pma *pma, struct pma_handle handle);

/* ---- windows: look things up without a message ---- */

/*
 * A window is one mapping of the whole data area of an arena, made once and kept for the life of
 * the process: to look allocations up by name or handle millions of times, and to register the
 * memory once with a GPU or a network card.
 *
 * Between get and put an allocation is *pinned*: whoever frees it, its space is not used for
 * anything else, and the address shows its bytes. A get finds what is published in shared memory
 * and pins it by a store there: some loads and one locked instruction, no message and no system
 * call. What is not found so (reserved, just renamed, poisoned, in very many extents) the daemon is
 * asked for, in one message for all keys of the call; the program sees no difference. Modes are
 * checked either way, as pma_open() does it, for the user and the groups that this process had when
 * it connected.
 *
 * A put is the program's word that it, and everybody to whom it gave the address (a child, a GPU),
 * is done. What a process has pinned when it dies waits until the kernel says that its mapping is
 * gone, in children too.
 *
 * PMA_WINDOW_WRITE makes the whole area writable for this process, and not only what it pinned: one
 * stray store then damages anybody's data in the arena, and no mode protects it. Without it a stray
 * store raises SIGSEGV. Open a window for writing only where the program itself must store, or a
 * device in its name, and where the parties of the arena trust each other so far; to write now and
 * then, pma_map() what is to be written.
 *
 * When the daemon goes away, hits go on, and pins stay. The next call that needs the daemon
 * connects again and takes the window up again; a program that only hits should watch pma_get_fd(),
 * since until then nothing that was freed since is used again. A connection has one window an
 * arena.
 *
 * Threads: all may use one window at once; pma_window_close() must be the last call. fork: a child
 * must not use its parent's window (-EPERM), and may close its copy; the mapping of the data is
 * inherited, the pins are not.
 */
enum pma_window_flags {
	PMA_WINDOW_WRITE = 1u << 0,     /* see above what that means */
	/*
	 * All pages are made present now, not when they are first used. A file takes memory or
	 * blocks for all of its length then.
	 */
	PMA_WINDOW_POPULATE = 1u << 1
};

/*
 * Opens a window on arena number @arena, with room for @nr_pins pins at a time (0: 512; at most
 * 65536). The caller ends it with pma_window_close(), before pma_disconnect(). -ENOENT no such
 * arena, -EACCES this user may only read it, -EBUSY this connection has a window there already,
 * -EINVAL, -EOPNOTSUPP the daemon is too old, -EAGAIN this process locks all that it maps
 * (mlockall) and may not lock so much.
 */
PMA_PUBLIC int pma_window_open(struct pma_window **out, struct pma *pma, uint32_t arena,
			       unsigned flags, uint32_t nr_pins);
/*
 * Unmaps it. All that is pinned through it is put, so no address of it may be in use any more,
 * neither here nor by a device. @window may be NULL.
 */
PMA_PUBLIC void pma_window_close(struct pma_window *window);
/*
 * The first byte, the number of bytes, and where the first byte is on the arena's device. They stay
 * as they are until the window is closed, whatever becomes of the daemon.
 */
PMA_PUBLIC void *pma_window_address(const struct pma_window *window);
PMA_PUBLIC uint64_t pma_window_length(const struct pma_window *window);
PMA_PUBLIC uint64_t pma_window_offset(const struct pma_window *window);

struct pma_range {
	void    *address;
	uint64_t len;
};

/*
 * For registering the window elsewhere in several calls, where one call cannot take so much: tells
 * one range after the other, each of @chunk bytes and the last one of what is left. No range ends
 * inside of a page of the arena. *cursor is 0 at first. 1: *out is a range; 0: there are no more;
 * -EINVAL @chunk is not a multiple of pma_arena.page_size.
 */
PMA_PUBLIC int pma_window_next_range(struct pma_range *out, const struct pma_window *window,
				     uint64_t chunk, uint64_t *cursor);

/* What to get: by name, or with @name NULL by handle. */
struct pma_key {
	const char *name;               /* borrowed */
	size_t name_len;                /* 0: it ends in a NUL */
	struct pma_handle handle;
};

struct pma_pin {
	void    *address;               /* its memory: the first piece */
	uint64_t len;                   /* bytes of that piece */
	uint64_t total;                 /* bytes of all pieces */
	uint32_t nr_pieces;             /* 1 for what was reserved with PMA_CONTIGUOUS */
	int      result;                /* 0: it is pinned; or a negative errno */
	struct pma_handle handle;
	uint64_t version;               /* the low 32 bits of pma_info.version, at least */
	uint32_t uid, gid, mode;
	uint32_t attributes_len;        /* 0: it has none */
	uint32_t word;                  /* this and the next two members are the library's */
	uint64_t value;
	struct pma_range *pieces;
	/* of the version that is pinned; only attributes_len of them are written */
	uint8_t  attributes[PMA_MAX_ATTRIBUTES];
};

enum pma_get_flags {
	/*
	 * Look into shared memory alone and send no message. A key that is not found so has the
	 * result -ENOENT if there certainly is no such allocation, and -EAGAIN if only the daemon
	 * can tell. No sentence is set for that.
	 */
	PMA_GET_LOCAL = 1u << 0,
	/* The mode must allow writing, and the window must be PMA_WINDOW_WRITE. */
	PMA_GET_WRITE = 1u << 1
};

/*
 * Pins @nr allocations. Each has a result of its own in pins[i].result: 0; -ENOENT there is none;
 * -EACCES its mode does not allow it; -ENOBUFS all pins of the window are in use; -EINVAL a name
 * that cannot be, or the handle of another arena; -EAGAIN it changes all the time. Returns how many
 * were pinned. If none was and the connection failed, returns that error; -ESTALE also that the
 * daemon does not know the window any more: close it and open another. -EINVAL, -EACCES @flags and
 * this window do not fit. Of two pins of one allocation each is put for itself. A pin that was not
 * obtained may be given to pma_put().
 */
PMA_PUBLIC int pma_get(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys,
		       size_t nr, unsigned flags);
/*
 * Ends @nr pins. Addresses that they gave must not be used any more. A pin that was put already is
 * left alone.
 */
PMA_PUBLIC void pma_put(struct pma_window *window, struct pma_pin *pins, size_t nr);
/*
 * Tells the pieces of a pinned allocation in order: at most *nr of them, beginning with number
 * @first; *nr becomes how many were written. 0.
 */
PMA_PUBLIC int pma_pin_pieces(struct pma_range *out, size_t *nr, const struct pma_pin *pin,
			      size_t first);

/* ---- a cache: space taken ahead ---- */

/*
 * A cache takes space from the arena ahead of need, in portions called leases, and hands out pieces
 * of them within this process. Taking and releasing a piece needs some tens of nanoseconds and no
 * message; only about every 256th piece of one base page needs another lease, and then a message. A
 * piece is mapped memory from the start. It can be published: then it is an allocation like any
 * other, with a handle and perhaps a name, and survives power loss; one call publishes many pieces
 * for the price of one round trip. Pieces that are not published end with the process, and their
 * space goes back to the arena.
 *
 * When others need space the daemon asks caches for leases back, and a cache gives back at once
 * those leases of which no piece is in use. For that it has a thread, which sleeps otherwise, and a
 * session of its own, which counts in the user's quota of sessions. A lease with a piece in use
 * stays: nothing is taken by force. What protects others from a program that keeps its leases is a
 * bound on the leases of one user, by default half of the arena (leased-bytes in
 * pmemarenad.conf(5)); beyond it the cache gets -EDQUOT.
 *
 * Threads: all threads may use one cache. fork: a child must not use the cache (-EPERM) and may
 * call pma_cache_close() on its copy, which gives nothing back; mappings of pieces go on in the
 * child as other mappings do.
 */

struct pma_piece {
	void    *address;               /* its memory, writable until pma_cache_release() */
	/*
	 * Bytes: what was asked for, rounded up to base pages (4 KiB), or, if that is at least one
	 * page of the arena, to whole pages of the arena.
	 */
	uint64_t len;
	/*
	 * For pma_persist() and the like. Borrowed until pma_cache_release(); not to be unmapped.
	 */
	struct pma_mapping *map;
	void    *lease;                 /* this and the next member are the library's */
	uint32_t unit;
};

/*
 * Opens a cache of arena number @arena. At most @max_bytes of space are leased and not published at
 * a time, whether in use or idle. The call itself takes no space. The caller ends it with
 * pma_cache_close(). -ENOENT no such arena, -EINVAL @max_bytes is less than 4 KiB or more than the
 * arena has, -EOPNOTSUPP the daemon is too old, -EAGAIN no thread can be made, and the errors of
 * pma_connect().
 */
PMA_PUBLIC int pma_cache_open(struct pma_cache **out, struct pma *pma, uint32_t arena,
			      uint64_t max_bytes);
/*
 * Ends a cache, before pma_disconnect(). All pieces that were not published go back to the arena,
 * also those that were not released: their memory must not be used any more. @cache may be NULL.
 * What cannot be given back for want of memory for the message goes back at pma_disconnect().
 */
PMA_PUBLIC void pma_cache_close(struct pma_cache *cache);
/*
 * Takes a piece of at least @len bytes. It reads as zeroes if this cache never handed that memory
 * out before. Else it has its former contents, unless @flags has PMA_ZEROED: then it was filled
 * with zeroes, persistently. It never has data of somebody else. The call blocks only when another
 * lease has to be taken, and may then return the errors of pma_reserve(). -ENOBUFS the cache's
 * bound is reached; -EINVAL @len is 0 or above the bound; -ESTALE also when the session was lost
 * before the lease could be mapped: nothing was taken, ask again.
 */
PMA_PUBLIC int pma_cache_reserve(struct pma_piece *out, struct pma_cache *cache, uint64_t len,
				 uint32_t flags);
/*
 * Ends the use of a piece's memory. A piece that was not published can be handed out again; a
 * published one remains an allocation, and only its address must not be used any more. As with
 * free(3), a piece must be released once; most mistakes are noticed (-EINVAL). -EBUSY it is being
 * published right now.
 */
PMA_PUBLIC int pma_cache_release(struct pma_cache *cache, struct pma_piece *piece);

struct pma_publication {
	struct pma_piece *piece;        /* borrowed; remains in use until it is released */
	const char *name;               /* NULL: no name */
	uint32_t mode;                  /* 0 means 0600 */
	/*
	 * out: 0; -EEXIST the name is taken, -EBUSY it is reserved; -EDQUOT, -ENFILE as of
	 * pma_reserve(); -ENOENT the session was lost, and its leases with it; or another negative
	 * errno
	 */
	int result;
	/* Out: the allocation. It is open in the cache's session, as after pma_publish(). */
	struct pma_handle handle;
	/* attributes_len bytes that it has from now on; 0: none. Borrowed. */
	const void *attributes;
	size_t attributes_len;
};

/*
 * Makes @nr pieces permanent. Their contents must be persistent already (pma_persist()). Returns 0
 * when each was answered: look at each result. A piece that is refused remains a piece as it was. A
 * piece whose outcome is unknown (-ENOTCONN, -ESTALE, -EIO) is not handed out again after its
 * release. -EINVAL one element is not an unpublished piece, and nothing was done for any of them.
 *
 * When a published piece is freed, by anyone, its space can be used again only after no other piece
 * of its lease is in use here: so release pieces that are not needed.
 */
PMA_PUBLIC int pma_cache_publish(struct pma_cache *cache, struct pma_publication *what, size_t nr);
/*
 * Gives back all leases of which no piece is in use. Blocks. It need not be called: when others
 * need space the daemon asks for leases back.
 */
PMA_PUBLIC void pma_cache_trim(struct pma_cache *cache);

struct pma_cache_info {
	/*
	 * Bytes that are not published: of all leases, of pieces that are in use, and their bound.
	 */
	uint64_t leased, in_use, max_bytes;
	/* leases taken; times that the daemon asked for some back */
	uint64_t nr_refills, nr_recalls;
};

/* Tells what the cache has now, and what it did so far. Sends no message. */
PMA_PUBLIC void pma_cache_stat(struct pma_cache_info *out, struct pma_cache *cache);

/* ---- events ---- */

enum pma_event_kind {
	PMA_EVENT_PUBLISHED = 1,
	PMA_EVENT_FREED,
	PMA_EVENT_RENAMED,
	PMA_EVENT_RESIZED,
	PMA_EVENT_CHANGED,
	PMA_EVENT_POISONED,
	PMA_EVENT_RECALL,
	PMA_EVENT_ARENA_OFFLINE,
	PMA_EVENT_LOST
};

struct pma_event {
	/* PMA_EVENT_LOST: some events were dropped; look at the arena anew */
	enum pma_event_kind kind;
	struct pma_handle handle;
	uint64_t len;
	uint32_t uid, gid, mode;
	const char *name;               /* "": it has no name; valid during the callback */
};

/*
 * Makes pma_dispatch() call @callback for each event of allocations whose names begin with @prefix
 * (NULL or "": all, also unnamed ones). An arena has one subscription: a second call replaces the
 * first, and @callback NULL ends it. The callback may call the library, except pma_dispatch() and
 * pma_disconnect(). After the daemon was away PMA_EVENT_LOST is delivered. -ENOENT no such arena,
 * -EINVAL @prefix is too long.
 */
PMA_PUBLIC int pma_subscribe(struct pma *pma, uint32_t arena, const char *prefix,
			     void (*callback)(const struct pma_event *event, void *arg), void *arg);

/* ---- admin: what pmemarenactl uses ---- */

/*
 * Does one call on the admin socket (@socket NULL: $PMEMARENA_ADMIN_SOCKET, else
 * /run/pmemarena/admin.sock): JSON-RPC 2.0, @params is a JSON object as text or NULL. Returns 0,
 * and *result has the result as JSON text, which the caller frees with free(). -EREMOTE the daemon
 * answered with an error: its code is in *code when @code is not NULL, its message in
 * pma_message(), and *result has the error's data as JSON text, to be freed too. After any other
 * error *result is NULL: those of pma_connect(), or -ENOTCONN the daemon hung up or does not
 * accept, -EINVAL @params is no JSON object, -EPROTO the answer is no JSON-RPC. Blocks until the
 * daemon answers, without a limit if the daemon is stopped.
 */
PMA_PUBLIC int pma_admin_call(char **result, int *code, const char *socket, const char *method,
			      const char *params);
/*
 * As pma_admin_call(), for a method that goes on sending: after its reply, @line is called with the
 * params of each notification as JSON text, which is valid during the call, until @line returns
 * false (this function returns 0) or the daemon goes away (-ENOTCONN).
 */
PMA_PUBLIC int pma_admin_watch(const char *socket, const char *method, const char *params,
			       bool (*line)(const char *json, void *arg), void *arg);

/* The version of the library: "0.1.0". */
PMA_PUBLIC const char *pma_version(void);

#ifdef __cplusplus
}
#endif

#endif
