/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/allocation: allocations, one by one: make, open, change, free and look at them. A
 * program includes <pmemarena.h>, which includes this.
 */
#ifndef PMA_ALLOCATION_H
#define PMA_ALLOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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
	/*
	 * create, publish: the daemon may free it when space is wanted and nobody has it open or
	 * pinned. See pma_touch().
	 */
	PMA_EVICTABLE = 1u << 6,
	/*
	 * reserve, create: the bytes need not read as zeroes. They may be what this same user had
	 * there before, and then cost nobody the time to zero them. See pma_reserve().
	 */
	PMA_ANY_CONTENTS = 1u << 7,
};

/*
 * Reserve @len bytes in arena 0, rounded up to whole base pages (below the arena's page size) or
 * whole pages, under @name (NULL: none), mode 0600. The bytes read as zeroes. The space is yours
 * until pma_publish() makes it permanent or pma_abort(), or your death, gives it back; nobody else
 * can open it by then, but the name is taken. Blocks until the daemon answers, which may wait for
 * freed space to be scrubbed, or up to two seconds for space that others took ahead.
 *
 * With PMA_ANY_CONTENTS the bytes need not read as zeroes: space that the caller's own user (uid)
 * had last may come as that user left it, which spares the zeroing: for a cache that writes all of
 * what it reserves. It is never space that somebody still has mapped or pinned, that another user
 * had last, or that has a media error. Space of which nobody knows that any more (after a start of
 * the daemon), and allocations smaller than a page of the arena, are zeroed as ever. Whoever may
 * open the allocation once it is published reads all of it: what the program has not written by
 * then is old data of its own user. So write all @len bytes, or zero the rest of them before the
 * publish. What is behind @len, to the end of the last page, reads as zeroes; where that is more
 * than 64 KiB, all of it is zeroed space, so reserve whole pages of the arena. pma_create() takes
 * the flag for what nobody but its owner may open (mode 0600, -EINVAL otherwise). Until it is
 * published it cannot be given to another user (-EBUSY). A daemon that is older than this zeroes.
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

/*
 * What is made with PMA_EVICTABLE is a cache's: it can be made anew, and may go. Where a
 * reservation or a growing allocation finds no space, the daemon first frees what is evictable and
 * was used longest ago, as many as are needed, and then gives the space away. It frees no
 * allocation that somebody has open, so close what you made; and none that somebody has pinned
 * (pma_get()). It frees those of the user who asks, or of whoever has used his longest ago where
 * the arena's configuration says `evict = any`. A use is a pma_get(), pma_open() or pma_touch(), by
 * anybody. What was freed is gone as after pma_free(): its handle is not valid any more, and a
 * later get is a miss (-ENOENT). Who subscribed is told by PMA_EVENT_EVICTED. The order is about
 * that of the last use (a clock with one bit); after a restart of the daemon it begins with that of
 * the creation. What is published keeps the flag for its life.
 *
 * pma_touch() counts as one use. 0 also for what is not evictable; -ENOENT, -EACCES its mode does
 * not let the caller read it, -EOPNOTSUPP the daemon is too old. pma_publish_flags() is
 * pma_publish() with @flags: 0 or PMA_EVICTABLE.
 */
PMA_PUBLIC int pma_touch(struct pma *pma, struct pma_handle handle);
PMA_PUBLIC int pma_publish_flags(struct pma *pma, struct pma_handle handle, uint32_t flags);

struct pma_info {
	struct pma_handle handle;
	uint64_t len;                   /* bytes */
	uint32_t uid, gid, mode;
	uint32_t nr_extents;
	uint64_t version;               /* grows with every change */
	uint64_t created_ns;            /* CLOCK_REALTIME */
	bool     is_reserved;           /* not published yet */
	bool     is_poisoned;           /* a page of it has a media error */
	bool     is_evictable;          /* it was published with PMA_EVICTABLE */
	char     name[PMA_MAX_NAME + 1];
	uint32_t attributes_len;        /* 0: it has none */
	uint8_t  attributes[PMA_MAX_ATTRIBUTES];
};

/* Describes an allocation. Everyone who may use or read the arena may ask. -ENOENT. */
PMA_PUBLIC int pma_stat(struct pma_info *out, struct pma *pma, struct pma_handle handle);
PMA_PUBLIC int pma_stat_name(struct pma_info *out, struct pma *pma, uint32_t arena,
			     const char *name);

enum pma_wait_flags {
	/* Wait also while nobody has the name: somebody may take it yet. */
	PMA_WAIT_UNTIL_THERE = 1u << 0
};

/*
 * Waits until @name is published in arena number @arena, at most @timeout_ms milliseconds (0: looks
 * once; at most a day), and describes it in *out, which may be NULL. For who was told -EBUSY:
 * another program is writing it, and this call returns as soon as that one has published it.
 * -ENOENT nobody is writing it (any more: it gave up, or it died), so write it yourself; not with
 * PMA_WAIT_UNTIL_THERE. -ETIMEDOUT; -EMFILE this session waits for 32 names already, or this user
 * for 256; -EOPNOTSUPP the daemon is too old. After a restart of the daemon the time begins anew.
 * Other threads may use @pma meanwhile.
 */
PMA_PUBLIC int pma_wait(struct pma_info *out, struct pma *pma, uint32_t arena, const char *name,
			unsigned flags, uint32_t timeout_ms);

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

#ifdef __cplusplus
}
#endif

#endif
