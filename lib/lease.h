/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease: one reservation that was taken ahead, mapped once, and handed out in units by whoever has it. Which units are free is known here;
 * the daemon is told when parts of it become allocations, and when it goes back. No locks: its owner has one.
 */
#ifndef PMEMARENA_LEASE_H
#define PMEMARENA_LEASE_H

#include <bsd/sys/queue.h>
#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>

/* What is known of the unit where a piece begins. */
enum piece_state {
	PIECE_NONE,
	PIECE_RESERVED,                 /* in this process alone */
	PIECE_BUSY,                     /* being published */
	PIECE_PUBLISHED,                /* an allocation of its own; still in use here */
	PIECE_UNKNOWN,                  /* the connection was lost over it: may be one, so it is not used again */
};

struct lease {
	TAILQ_ENTRY(lease) link;        /* on its owner's list */
	struct pma *pma;                /* borrowed */
	struct pma_handle handle;
	struct pma_map *map;            /* owned */
	char    *base;
	uint64_t off;                   /* on the device */
	uint32_t forks;                 /* of this process when it was mapped */
	uint8_t  unit_shift;
	uint32_t nr_units;
	uint32_t nr_free;               /* units that can be handed out */
	uint32_t nr_kept;               /* units that are in the lease: free or in use here */
	uint32_t nr_pieces;             /* in use here, published ones too */
	uint32_t hint;                  /* no unit is free in the words before */
	uint32_t too_many;              /* so many units in a row were not free when last asked */
	struct pma_handle *published;   /* owned; what became of its parts */
	uint32_t nr_published, room_published;
	uint64_t *free;                 /* owned; bits, as all below: a unit is free */
	uint64_t *used;                 /* it was handed out before: may not read as zeroes */
	uint32_t *pieces;               /* where one begins: units << 3 | enum piece_state */
};

/*
 * @len bytes, a multiple of 1 << @unit_shift. @is_ahead: counted as leased, and nobody is made to give back for it; else as any reservation. The
 * errors of pma_reserve() and pma_map().
 */
int lease_new(struct lease **out, struct pma *pma, uint32_t arena, uint64_t len, uint8_t unit_shift, bool is_ahead);
/* Give back what is left of it: nothing of it is mapped any more. Sends messages; blocks. */
void lease_end(struct lease *lease);

bool lease_is_valid(const struct lease *lease);         /* else the daemon took it: nothing more can come of it */

/* @nr units in a row. false: there are none. */
bool lease_claim(uint32_t *first, struct lease *lease, uint32_t nr);
/* Of a piece. @used: may it have been written to? */
bool lease_was_used(const struct lease *lease, uint32_t first, uint32_t nr);
enum piece_state lease_piece(uint32_t *nr, const struct lease *lease, uint32_t first);
void lease_set_piece(struct lease *lease, uint32_t first, uint32_t nr, enum piece_state state);
/* The piece is not used here any more: free again, unless it was published. */
void lease_release(struct lease *lease, uint32_t first);

/* Room to remember @nr more published parts. -ENOMEM. */
int lease_make_room(struct lease *lease, uint32_t nr);
/* It became @handle, and is in the lease no more. After lease_make_room(). */
void lease_published(struct lease *lease, uint32_t first, struct pma_handle handle);

static inline uint64_t lease_bytes(const struct lease *lease)
{
	return (uint64_t)lease->nr_kept << lease->unit_shift;
}

#endif
