/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease: one reservation that a cache took ahead of need. It is mapped once and handed out in
 * *units* of one size; a *piece* is some units in a row that a program uses. The daemon is told
 * only when a piece becomes an allocation (is published) and when the lease goes back. There are no
 * locks here: the cache has one.
 */
#ifndef PMEMARENA_LEASE_H
#define PMEMARENA_LEASE_H

#include <bsd/sys/queue.h>
#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>

/* The state of the piece that begins at a unit; PIECE_NONE: no piece does. */
enum piece_state {
	PIECE_NONE,
	PIECE_RESERVED,                 /* used by this process, and not known to the daemon */
	PIECE_BUSY,                     /* being published */
	PIECE_PUBLISHED,                /* an allocation of its own; still in use here */
	/*
	 * the connection was lost while it was published: it may be an allocation, so it is not
	 * used again
	 */
	PIECE_UNKNOWN,
};

struct lease {
	TAILQ_ENTRY(lease) link;        /* on its owner's list */
	struct pma *pma;                /* borrowed */
	struct pma_handle handle;
	struct pma_mapping *map;        /* owned; NULL: it is being ended, or could not be mapped */
	/* the mapping is gone here, and another process may still have it */
	bool     is_lent;
	char    *base;
	uint64_t off;                   /* on the device */
	uint8_t  unit_shift;
	uint32_t nr_units;
	uint32_t nr_free;               /* units that can be handed out */
	uint32_t nr_kept;               /* units that are not published: free, or in a piece */
	uint32_t nr_pieces;             /* in use here, published ones too */
	uint32_t hint;                  /* no unit is free in the words of `free` before this one */
	/* a search for this many units in a row failed, and nothing was released since */
	uint32_t too_many;
	struct pma_handle *published;   /* owned; handles of the parts that were published */
	uint32_t nr_published, room_published;
	/* owned, as the next two: a bit for each unit that is free */
	uint64_t *free;
	/* a bit for each unit that was handed out before, and so may not read as zeroes */
	uint64_t *used;
	uint32_t *pieces;               /* where a piece begins: units << 3 | enum piece_state */
};

/*
 * Takes and maps a reservation of @len bytes, a multiple of 1 << @unit_shift. @is_ahead: it counts
 * as leased, and the daemon asks nobody to give space back for it; otherwise it is an ordinary
 * reservation. The errors of pma_reserve() and pma_map(); -ESTALE the session was lost meanwhile. *out
 * is ended with lease_end(), also after an error if it is not NULL: then it was reserved and could
 * not be mapped.
 */
int lease_new(struct lease **out, struct pma *pma, uint32_t arena, uint64_t len, uint8_t unit_shift,
	      bool is_ahead);
/*
 * Unmaps the lease, gives back what was not published, and frees it. Sends messages and blocks. 0,
 * or -ENOMEM: the messages could not be sent for want of memory, and it must be called again. Until
 * then the daemon takes the lease for one that is in use.
 */
int lease_end(struct lease *lease);
/*
 * Frees the memory and sends nothing: the daemon ends what it knows of the lease with the session.
 */
void lease_free(struct lease *lease);

/*
 * Is the lease still there? If not, the daemon ended it, and nothing more can be published from it.
 */
bool lease_is_valid(const struct lease *lease);

/* Takes @nr free units in a row; *first is the first of them. false: there are none. */
bool lease_claim(uint32_t *first, struct lease *lease, uint32_t nr);
/* May these units have been written to before? */
bool lease_was_used(const struct lease *lease, uint32_t first, uint32_t nr);
enum piece_state lease_piece(uint32_t *nr, const struct lease *lease, uint32_t first);
void lease_set_piece(struct lease *lease, uint32_t first, uint32_t nr, enum piece_state state);
/*
 * The program does not use the piece any more: its units are free again, unless it was published.
 */
void lease_release(struct lease *lease, uint32_t first);

/* Makes room to record @nr more published parts. -ENOMEM. */
int lease_make_room(struct lease *lease, uint32_t nr);
/*
 * Records that a piece became the allocation @handle and does not belong to the lease any more.
 * Cannot fail: lease_make_room() was called before.
 */
void lease_published(struct lease *lease, uint32_t first, struct pma_handle handle);

static inline uint64_t lease_bytes(const struct lease *lease)
{
	return (uint64_t)lease->nr_kept << lease->unit_shift;
}

#endif
