/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/cache: a cache: space taken ahead. A program includes <pmemarena.h>, which includes
 * this.
 */
#ifndef PMA_CACHE_H
#define PMA_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif

#endif
