/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * publication: pieces of a cache become allocations, many in a message. A piece is busy meanwhile;
 * one whose fate nobody knows is never handed out again.
 */
#include <config.h>

#include <pmemarena.h>

#include <errno.h>
#include <stdlib.h>

#include "lib/memory/cache_internal.h"
#include "lib/session/client.h"
#include "lib/error.h"
#include "lib/session/op.h"

enum piece_state cache_piece(uint32_t *nr, const struct pma_piece *piece)
{
	const struct lease *lease = piece->lease;
	enum piece_state state = PIECE_NONE;

	if (lease && piece->unit < lease->nr_units)
		state = lease_piece(nr, lease, piece->unit);
	if (state == PIECE_NONE)
		error_set(-EINVAL, "it is no piece of this cache, or it was released already");
	return state;
}

/*
 * Marks all pieces as being published and makes their requests, or refuses: if one cannot be
 * published, none is. With the lock.
 */
static int begin_publish(struct pma_op *ops, struct pma_publication *what, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct pma_piece *piece = what[i].piece;
		struct lease *lease = piece->lease;
		uint32_t nr_units = 0;
		enum piece_state state = cache_piece(&nr_units, piece);
		int r = 0;

		if (state != PIECE_RESERVED)
			r = state == PIECE_NONE ? -EINVAL
						: error_set(-EINVAL,
							    "piece %zu is published, or is being "
							    "published, already",
							    i);
		if (r == 0)
			r = lease_make_room(lease, lease->nr_pieces);
		if (r < 0) {
			while (i-- > 0) {
				piece = what[i].piece;
				lease_piece(&nr_units, piece->lease, piece->unit);
				lease_set_piece(piece->lease, piece->unit, nr_units,
						PIECE_RESERVED);
			}
			return r;
		}
		lease_set_piece(lease, piece->unit, nr_units, PIECE_BUSY);
		ops[i] = (struct pma_op){
			.opcode = OP_CARVE,
			.handle = lease->handle,
			.name = what[i].name,
			.mode = what[i].mode,
			.attributes = what[i].attributes,
			.attributes_len = what[i].attributes_len,
			.len = (uint64_t)nr_units << lease->unit_shift,
			.token = lease->off + ((uint64_t)piece->unit << lease->unit_shift),
		};
	}
	return 0;
}

/*
 * Did the daemon certainly refuse? Otherwise nobody knows whether the piece is an allocation now.
 */
static bool is_known(int result)
{
	return result != -ENOTCONN && result != -ESTALE && result != -EPROTO && result != -EIO;
}

static void end_publish(struct pma_cache *cache, struct pma_publication *what,
			const struct pma_op *op)
{
	const struct pma_piece *piece = what->piece;
	struct lease *lease = piece->lease;
	uint32_t nr;

	what->result = op->result;
	lease_piece(&nr, lease, piece->unit);
	if (op->result == 0) {
		what->handle = op->handle;
		lease_published(lease, piece->unit, op->handle);
		cache->bytes -= piece->len;
		cache->in_use -= piece->len;
	} else {
		lease_set_piece(lease, piece->unit, nr,
				is_known(op->result) ? PIECE_RESERVED : PIECE_UNKNOWN);
	}
}

int pma_cache_publish(struct pma_cache *cache, struct pma_publication *what, size_t nr)
{
	struct pma_op *ops;
	int r = client_check(cache->pma);

	if (r < 0 || nr == 0)
		return r;
	ops = malloc(nr * sizeof(*ops));
	if (!ops)
		return error_memory();
	pthread_mutex_lock(&cache->lock);
	r = begin_publish(ops, what, nr);
	pthread_mutex_unlock(&cache->lock);
	if (r == 0) {
		r = op_run_all(cache->pma, ops, nr);
		pthread_mutex_lock(&cache->lock);
		for (size_t i = 0; i < nr; i++)
			end_publish(cache, &what[i], &ops[i]);
		pthread_mutex_unlock(&cache->lock);
	}
	free(ops);
	return r;
}
