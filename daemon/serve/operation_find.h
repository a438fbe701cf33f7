/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation_find: the allocation that an item is about. Each function sets op->alloc and returns 0,
 * or -ENOENT with a sentence: there is none, or the client may not see it.
 */
#ifndef PMEMARENA_OPERATION_FIND_H
#define PMEMARENA_OPERATION_FIND_H

#include "daemon/serve/operation.h"

/*
 * Takes @alloc, or refuses with @r where it is NULL. In an arena that went offline neither may be
 * true: what was made, changed or freed last is on its media or not, and only the next start knows.
 * A client that heard "it is not there" would never look again; one that heard "it is published"
 * would rely on it. Then -EIO with that reason.
 */
int operation_take(struct operation *op, struct alloc *alloc, int r);
int operation_find_handle(struct operation *op);
int operation_find_name(struct operation *op);
/* Finds the allocation by the item's name, or by its handle if it has no name. */
int operation_find_either(struct operation *op);

#endif
