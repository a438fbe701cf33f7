/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * allocation: the public calls on allocations, one by one. Each is an operation and what its arguments mean.
 */
#include <config.h>

#include <pmemarena.h>

#include <errno.h>
#include <string.h>

#include "lib/client.h"
#include "lib/error.h"
#include "lib/op.h"

static int run_new(struct pma_handle *out, struct pma *pma, enum pma_opcode opcode, const char *name, uint64_t len, uint32_t flags)
{
	struct pma_op op = { .opcode = opcode, .name = name, .len = len, .flags = flags };
	int r = op_run(pma, &op);

	if (r == 0)
		*out = op.handle;
	return r;
}

int pma_reserve(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len, uint32_t flags)
{
	return run_new(out, pma, PMA_OP_RESERVE, name, len, flags);
}

int pma_create(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len, uint32_t flags)
{
	return run_new(out, pma, PMA_OP_CREATE, name, len, flags);
}

static int run_on(struct pma *pma, enum pma_opcode opcode, struct pma_handle handle)
{
	struct pma_op op = { .opcode = opcode, .handle = handle };

	return op_run(pma, &op);
}

int pma_publish(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_PUBLISH, handle);
}

int pma_abort(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_ABORT, handle);
}

int pma_close(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_CLOSE, handle);
}

int pma_free(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_FREE, handle);
}

int pma_open(struct pma_handle *out, struct pma *pma, const char *name, uint32_t flags)
{
	struct pma_op op = { .opcode = PMA_OP_OPEN, .name = name, .flags = flags };
	int r;

	if (!name)
		op.handle = *out;
	r = op_run(pma, &op);
	if (r == 0)
		*out = op.handle;
	return r;
}

int pma_resize(struct pma *pma, struct pma_handle handle, uint64_t len)
{
	struct pma_op op = { .opcode = PMA_OP_RESIZE, .handle = handle, .len = len };

	return op_run(pma, &op);
}

int pma_rename(struct pma *pma, struct pma_handle handle, const char *name)
{
	struct pma_op op = { .opcode = PMA_OP_RENAME, .handle = handle, .name = name };

	return op_run(pma, &op);
}

int pma_stat(struct pma_stat *out, struct pma *pma, struct pma_handle handle)
{
	struct pma_op op = { .opcode = PMA_OP_STAT, .handle = handle, .stat = out };

	return op_run(pma, &op);
}

int pma_stat_name(struct pma_stat *out, struct pma *pma, uint32_t arena, const char *name)
{
	struct pma_op op = { .opcode = PMA_OP_STAT, .handle = { .arena = arena }, .name = name, .stat = out };

	if (!name)
		return error_set(-EINVAL, "no name; pma_stat() takes a handle");
	return op_run(pma, &op);
}

/* ---- what enum pma_opcode has no word for ---- */

static struct wire_request request_on(struct pma_handle handle)
{
	return (struct wire_request){ .arena = handle.arena, .slot = handle.slot, .id = handle.id };
}

int pma_open_owned(struct pma_handle *out, struct pma *pma, const char *name, uint32_t flags, uint32_t uid)
{
	struct pma_op op = { .opcode = PMA_OP_OPEN, .name = name, .flags = flags };
	struct wire_request request;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (flags & ~(uint32_t)PMA_READ_ONLY)
		return error_set(-EINVAL, "flags %#x mean nothing here", flags & ~(uint32_t)PMA_READ_ONLY);
	if (name && (!*name || strlen(name) > PMA_MAX_NAME))
		return error_set(-EINVAL, "a name has 1 to %d bytes; NULL is how to say that there is none", PMA_MAX_NAME);
	request = request_on(name ? PMA_HANDLE_NONE : *out);
	request.flags = WIRE_WANT_UID | (flags & PMA_READ_ONLY ? WIRE_READ_ONLY : 0);
	request.uid = uid;
	r = op_ask(pma, WIRE_OPEN, &request, &op);
	if (r == 0)
		*out = op.handle;
	return r;
}

static int set_attributes(struct pma *pma, struct pma_handle handle, const struct wire_request *attributes)
{
	struct pma_op op = { .handle = handle };
	struct wire_request request = *attributes;
	int r = client_check(pma);

	if (r < 0)
		return r;
	request.arena = handle.arena;
	request.slot = handle.slot;
	request.id = handle.id;
	return op_ask(pma, WIRE_SETATTR, &request, &op);
}

int pma_set_owner(struct pma *pma, struct pma_handle handle, uint32_t uid, uint32_t gid)
{
	struct wire_request request = { .uid = uid, .gid = gid };

	/* As chown(2): -1 leaves it as it is. */
	if (uid != UINT32_MAX)
		request.flags |= WIRE_SET_UID;
	if (gid != UINT32_MAX)
		request.flags |= WIRE_SET_GID;
	return set_attributes(pma, handle, &request);
}

int pma_set_mode(struct pma *pma, struct pma_handle handle, uint32_t mode)
{
	struct wire_request request = { .flags = WIRE_SET_MODE, .mode = mode };

	if (mode & ~0666u)
		return error_set(-EINVAL, "mode %#o has bits other than 0666", mode);
	return set_attributes(pma, handle, &request);
}
