/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation_find: the allocation that an item is about. Each function sets op->alloc and returns 0,
 * or -ENOENT with a sentence: there is none, or the client may not see it.
 */
#ifndef PMEMARENA_OPERATION_FIND_H
#define PMEMARENA_OPERATION_FIND_H

#include "daemon/serve/operation.h"

/*
 * Turns @r, which says that nothing was found, into the answer. In an arena that went offline it
 * says nothing: what was freed last, or made last, may be on its media or not, and only the next
 * start knows; a client that heard "it is not there" would never look again. Returns @r, or -EIO
 * with that reason.
 */
int operation_not_found(const struct operation *op, int r);
int operation_find_handle(struct operation *op);
int operation_find_name(struct operation *op);
/* Finds the allocation by the item's name, or by its handle if it has no name. */
int operation_find_either(struct operation *op);

#endif
