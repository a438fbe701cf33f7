/* SPDX-License-Identifier: BSD-3-Clause */
/* operation_again: an item that was carried out before, and whose answer was lost. */
#ifndef PMEMARENA_OPERATION_AGAIN_H
#define PMEMARENA_OPERATION_AGAIN_H

#include "daemon/serve/operation.h"

/* Does the session have open afterwards what @item, a reserve, makes? */
bool operation_is_to_be_open(const struct wire_request *item);
/*
 * Answers a repeated request without carrying it out again: the result describes the allocation as
 * it is now. If it is gone, only its handle can be given.
 */
int operation_again(struct operation *op, const struct arena_deed *deed);

#endif
