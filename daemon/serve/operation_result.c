/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation_result: what an operation came to, as a result on the wire says it.
 */
#include <config.h>

#include "daemon/serve/operation.h"

#include <errno.h>
#include <string.h>

void operation_describe(struct wire_result *result, uint32_t arena, const struct alloc *alloc)
{
	result->arena = arena;
	result->slot = alloc->slot;
	result->id = alloc->id;
	result->len = alloc_bytes(alloc);
	result->uid = alloc->uid;
	result->gid = alloc->gid;
	result->mode = alloc->mode;
	result->nr_extents = alloc->nr_extents;
	result->version = alloc->version;
	result->created_ns = alloc->created_ns;
	if (alloc->state == ALLOC_RESERVED)
		result->flags |= WIRE_IS_RESERVED;
	if (alloc->is_poisoned)
		result->flags |= WIRE_IS_POISONED;
	if (alloc->is_lease)
		result->flags |= WIRE_IS_LEASED;
	if (alloc->attributes_len)
		result->flags |= WIRE_HAS_ATTRIBUTES;
	if (alloc->is_evictable && alloc->state == ALLOC_PUBLISHED)
		result->flags |= WIRE_IS_EVICTABLE;
}

int operation_status(int r)
{
	switch (r) {
	case 0:
	case -EACCES:
	case -EBADF:
	case -EBUSY:
	case -ECANCELED:
	case -EDQUOT:
	case -EEXIST:
	case -EINVAL:
	case -EIO:
	case -EMFILE:
	case -EMSGSIZE:
	case -ENAMETOOLONG:
	case -ENFILE:
	case -ENOENT:
	case -ENOMEM:
	case -ENOSPC:
	case -EOPNOTSUPP:
	case -EPERM:
	case -ESTALE:
	case -ETIMEDOUT:
	case -EUCLEAN:
		return r;
	case -EAGAIN:
	case -EINTR:
	case -ENOBUFS:
	case -ENOLCK:
		return -ENOMEM;
	default:
		log_warning(
			"a request failed with %s, which clients do not know; they were told EIO",
			strerror(-r));
		return -EIO;
	}
}
