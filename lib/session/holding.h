/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holding: one allocation that this session has open or reserved, as far as the library must know
 * of it: to refuse closing or freeing what is mapped, to tell the daemon when it is not mapped any
 * more, and to open it again in a new session.
 *
 * A holding stays in the tree after the close while any of the allocation is mapped or it was
 * *lent*. Lent means: somebody outside of the library may have it mapped, such as a child of fork()
 * or a device that was told its extents, so this process cannot know when it is unmapped. If such a
 * holding were forgotten, and the allocation opened and closed again, the daemon would be told that
 * it is unmapped, and would give the space to others while it is in use.
 *
 * There are no locks here: the caller has link.lock.
 */
#ifndef PMEMARENA_HOLDING_H
#define PMEMARENA_HOLDING_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>

struct holding {
	/*
	 * A holding is in the session's tree, or in batch.spares before its request is answered;
	 * never in both.
	 */
	union {
		RB_ENTRY(holding) node;         /* in struct holdings */
		SLIST_ENTRY(holding) spare;     /* in batch.spares */
	};
	struct pma_handle handle;
	uint32_t nr_maps;               /* how many mappings this process has of it */
	/*
	 * how many requests under way will end it: as long as there is one, it must not be mapped
	 */
	uint32_t nr_closing;
	bool is_open;                   /* open or reserved; false: only remembered, see above */
	bool is_read_only;
	bool is_reserved;               /* a reservation, not published yet */
	/*
	 * somebody outside of the library may have it mapped, and the daemon must not believe
	 * otherwise
	 */
	bool is_lent;
	/*
	 * It is a part of a lease (a reservation that a cache took ahead): the mapping of that
	 * lease shows this allocation too.
	 */
	bool is_leased;
	/* the session is new, and this allocation is not opened in it yet */
	bool is_lost;
};
RB_HEAD(holdings, holding);

/* Finds the holding of an allocation that is open. NULL: it is not open in this session. */
struct holding *holding_find(struct holdings *holdings, struct pma_handle handle);
/*
 * Finds the holding whether the allocation is open or not. NULL: it is not open, and nothing of it
 * is mapped or lent either.
 */
struct holding *holding_recall(struct holdings *holdings, struct pma_handle handle);
/*
 * Records that @handle was opened or reserved. Takes ownership of @spare, which becomes the
 * holding, or is freed if there is one already: that one then gets the stronger of both rights.
 * Returns the holding; it cannot fail, which is why the caller allocates the spare.
 */
struct holding *holding_add(struct holdings *holdings, struct holding *spare,
			    struct pma_handle handle, bool read_only, bool reserved);
/*
 * Records that @handle is not open any more; nothing happens if it was not. @is_gone: it was freed
 * or aborted and can never be opened again. May free the holding.
 */
void holding_close(struct holdings *holdings, struct pma_handle handle, bool is_gone);
/*
 * Records that nobody whom @handle was lent to has it any more. To be followed by holding_close().
 */
void holding_return(struct holdings *holdings, struct pma_handle handle);
/*
 * Frees the holding if it is neither open, mapped, being closed, lent, nor part of a lease. To be
 * called when one of these has ended.
 */
void holding_settle(struct holdings *holdings, struct holding *holding);
void holding_remove_all(struct holdings *holdings);

struct holding *holding_first(struct holdings *holdings);
struct holding *holding_next(struct holding *holding);

/*
 * Is the allocation open, and is it certain that nobody has it mapped: not this session, not
 * through a lease, and nobody to whom it was lent?
 */
bool holding_is_unmapped(const struct holding *holding);

#endif
