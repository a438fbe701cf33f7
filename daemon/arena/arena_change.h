/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_change: the requests: what a session or an administrator may have done to an allocation. A
 * refusal has a sentence in *why and has changed nothing. What was done is permanent, and may be
 * told, after the next arena_settle().
 */
#ifndef PMEMARENA_ARENA_CHANGE_H
#define PMEMARENA_ARENA_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arena/alloc.h"
#include "daemon/arena/arena.h"
#include "daemon/arena/arena_holder.h"
#include "lib/wire/why.h"

#define ARENA_TOKEN_MAX ((UINT64_C(1) << 48) - 1)

struct arena_ask {
	const char *name;               /* NULL: none; not terminated */
	uint8_t  name_len;
	uint64_t len;                   /* bytes */
	uint32_t mode;                  /* permission bits; 0 means 0600 */
	uint64_t token;                 /* with publish, as in arena_publish() */
	bool     publish, contiguous, lease;
	/*
	 * the space need not read as zeroes: it may come as the same user left it. What is behind
	 * ask.len reads as zeroes all the same. Not with lease, nor with publish and a mode that
	 * lets others in (-EINVAL)
	 */
	bool     any_contents;
	/* with publish: frees, in the same settle, the published allocation that has the name */
	bool     replace;
	/* with publish: the session has it open afterwards; a reservation always is */
	bool     keep_open;
	/* with publish: bytes of the owner's own, at most ALLOC_MAX_ATTRIBUTES. Borrowed */
	const void *attributes;
	uint16_t attributes_len;
	/* with publish: it may be freed, while nobody has it open or pinned, to make room */
	bool     evictable;
	/*
	 * it is the copy of what is moved here: its owner has not more in the end, so that no limit
	 * is in the way and nothing is evicted
	 */
	bool     is_transfer;
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
/* ---- changes that are done whole or not at all ---- */

/* What the allocations that a bundle makes will take, all together. */
struct arena_need {
	uint32_t nr;
	uint64_t nr_pfns;               /* base pages */
};

/* Adds an allocation of @len bytes to @need. */
void arena_add_need(struct arena_need *need, const struct arena *arena, uint64_t len);
/*
 * Begins a bundle: of the changes until arena_bundle_commit() all are done or none, also after a
 * power cut. They are arena_reserve(), arena_publish(), arena_free_alloc(), arena_rename() and the
 * forms of them that replace; each one is between arena_bundle_item() and, if it succeeded,
 * arena_bundle_item_done(). Evicts first what @need asks for. Nothing else is done in this arena
 * before the end. -EINPROGRESS: as of arena_reserve(), and no bundle is begun; other errors too.
 */
int arena_bundle_begin(struct arena *arena, const struct caller *caller,
		       const struct arena_need *need, struct why *why);
/* @alloc: what is changed; NULL: the change makes one. -EINVAL: the bundle has changed it. */
int arena_bundle_item(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		      struct why *why);
/* @made: what the change made or, by its token, found; NULL: nothing. */
void arena_bundle_item_done(struct arena *arena, struct alloc *made);
/*
 * Ends the bundle: its changes are permanent after the next settle, which comes before any other
 * change. -EMSGSIZE: it is too large for the table; other errors are those of arena_publish().
 * After an error the caller cancels it.
 */
int arena_bundle_commit(struct arena *arena, const struct caller *caller, struct why *why);
/* Undoes all changes of the bundle and ends it. Deeds are the caller's to forget. */
void arena_bundle_cancel(struct arena *arena, const struct caller *caller);

/* ---- further changes ---- */

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
/*
 * Closes @alloc for the caller's session. -EINVAL: it is reserved; it must be published or aborted
 * instead, since a closed reservation would have nobody to end it.
 */
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

/*
 * Says of the reservation @alloc whether it will be evictable once it is published; as with
 * attributes the caller publishes next. -EINVAL it is published; -EACCES.
 */
int arena_give_evictable(struct arena *arena, const struct caller *caller, struct alloc *alloc,
			 bool is_evictable, struct why *why);
/*
 * Counts as a use of @alloc: if it is evictable, it is evicted later than it would be otherwise.
 * -EACCES: the caller may not read it.
 */
int arena_touch(struct arena *arena, const struct caller *caller, struct alloc *alloc,
		struct why *why);

enum arena_attr {
	ARENA_SET_UID = 1,
	ARENA_SET_GID = 2,
	ARENA_SET_MODE = 4,
	ARENA_SET_ATTRIBUTES = 8,               /* of a published allocation; -EINVAL for others */
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

#endif
