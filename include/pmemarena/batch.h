/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/batch: allocations, many at once. A program includes <pmemarena.h>, which includes
 * this.
 */
#ifndef PMA_BATCH_H
#define PMA_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pmemarena/allocation.h>
#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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
	PMA_OP_STAT,
	PMA_OP_TOUCH
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
	 * RESERVE, CREATE, RENAME: NULL for no name. OPEN, STAT, FREE, TOUCH: NULL to use the
	 * handle. PUBLISH: only with PMA_REPLACE. Borrowed.
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

/*
 * Does all of the @nr operations, or none: a checkpoint of many shards is seen whole or as it was,
 * and blocks that belong together find room together. They are of one kind (RESERVE, CREATE,
 * PUBLISH, FREE or RENAME, each with the flags that it knows), in one arena, at most PMA_MAX_BATCH
 * and no more than one message holds. Names and allocations: each allocation is changed once; a
 * name may pass from one to another within them, in their order; RENAME is of what is published.
 *
 * What is promised: who looks (by a message, a window, an event, a list) sees all of it or nothing;
 * and so it is after this program, or the daemon, was killed, and after a power cut: what is
 * permanent is there as a whole or not at all. Reservations are gone after a power cut, as ever.
 * What was evicted to make room stays so, whether the rest was done or not. With PMA_CONTIGUOUS
 * -ENOSPC may be due to free space in pieces, though more could have been evicted.
 *
 * Returns 0: all was done. Else nothing was: the error is that of the operation which was refused,
 * pma_message() has its sentence, and all others have -ECANCELED. -EINVAL: they cannot be done
 * together; -EMSGSIZE: they are too many for one message or for one record of the table;
 * -EOPNOTSUPP: the daemon is too old. An error of the connection is as in pma_run(): whether it was
 * done is not known (-ESTALE), but all of it or nothing.
 */
PMA_PUBLIC int pma_run_together(struct pma *pma, struct pma_op *ops, size_t nr);

#ifdef __cplusplus
}
#endif

#endif
