/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * allocation: the public calls that concern one allocation. Each function turns its arguments into
 * one operation (struct pma_op) and runs it through op.c.
 */
#include <config.h>

#include <pmemarena.h>

#include <errno.h>
#include <string.h>

#include "lib/session/client.h"
#include "lib/error.h"
#include "lib/session/op.h"

/* Runs an operation by name in arena @arena; *out becomes the handle of what it is about. */
static int run_named(struct pma_handle *out, struct pma *pma, uint32_t arena, struct pma_op op)
{
	int r;

	op.handle.arena = arena;
	r = op_run(pma, &op);
	if (r == 0)
		*out = op.handle;
	return r;
}

int pma_reserve_in(struct pma_handle *out, struct pma *pma, uint32_t arena, const char *name,
		   uint64_t len, uint32_t flags)
{
	return run_named(out, pma, arena,
			 (struct pma_op){ .opcode = PMA_OP_RESERVE,
					  .name = name,
					  .len = len,
					  .flags = flags });
}

int pma_create_in(struct pma_handle *out, struct pma *pma, uint32_t arena, const char *name,
		  uint64_t len, uint32_t flags)
{
	return run_named(out, pma, arena,
			 (struct pma_op){ .opcode = PMA_OP_CREATE,
					  .name = name,
					  .len = len,
					  .flags = flags });
}

int pma_reserve(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len,
		uint32_t flags)
{
	return pma_reserve_in(out, pma, 0, name, len, flags);
}

int pma_publish_flags(struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	struct pma_op op = { .opcode = PMA_OP_PUBLISH, .handle = handle, .flags = flags };

	return op_run(pma, &op);
}

int pma_touch(struct pma *pma, struct pma_handle handle)
{
	struct pma_op op = { .opcode = PMA_OP_TOUCH, .handle = handle };

	return op_run(pma, &op);
}

int pma_create(struct pma_handle *out, struct pma *pma, const char *name, uint64_t len,
	       uint32_t flags)
{
	return pma_create_in(out, pma, 0, name, len, flags);
}

static int run_on(struct pma *pma, enum pma_opcode opcode, struct pma_handle handle, uint32_t flags)
{
	struct pma_op op = { .opcode = opcode, .handle = handle, .flags = flags };

	return op_run(pma, &op);
}

int pma_publish(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_PUBLISH, handle, 0);
}

int pma_abort(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_ABORT, handle, 0);
}

int pma_close(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_CLOSE, handle, 0);
}

int pma_free(struct pma *pma, struct pma_handle handle)
{
	return run_on(pma, PMA_OP_FREE, handle, 0);
}

int pma_abort_flags(struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	return run_on(pma, PMA_OP_ABORT, handle, flags);
}

int pma_close_flags(struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	return run_on(pma, PMA_OP_CLOSE, handle, flags);
}

int pma_free_flags(struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	return run_on(pma, PMA_OP_FREE, handle, flags);
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

int pma_open_in(struct pma_handle *out, struct pma *pma, uint32_t arena, const char *name,
		uint32_t flags)
{
	if (!name)
		return error_set(-EINVAL, "no name; pma_open() takes a handle");
	return run_named(out, pma, arena,
			 (struct pma_op){ .opcode = PMA_OP_OPEN, .name = name, .flags = flags });
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

int pma_rename_flags(struct pma *pma, struct pma_handle handle, const char *name, uint32_t flags)
{
	struct pma_op op = {
		.opcode = PMA_OP_RENAME, .handle = handle, .name = name, .flags = flags
	};

	return op_run(pma, &op);
}

int pma_replace(struct pma *pma, struct pma_handle handle, const char *name)
{
	struct pma_op op = {
		.opcode = PMA_OP_PUBLISH, .handle = handle, .name = name, .flags = PMA_REPLACE
	};

	return op_run(pma, &op);
}

int pma_stat(struct pma_info *out, struct pma *pma, struct pma_handle handle)
{
	struct pma_op op = { .opcode = PMA_OP_STAT, .handle = handle, .stat = out };

	return op_run(pma, &op);
}

int pma_stat_name(struct pma_info *out, struct pma *pma, uint32_t arena, const char *name)
{
	struct pma_op op = {
		.opcode = PMA_OP_STAT, .handle = { .arena = arena }, .name = name, .stat = out
	};

	if (!name)
		return error_set(-EINVAL, "no name; pma_stat() takes a handle");
	return op_run(pma, &op);
}

int pma_wait(struct pma_info *out, struct pma *pma, uint32_t arena, const char *name,
	     unsigned flags, uint32_t timeout_ms)
{
	struct wire_request request = { .arena = arena, .arg = timeout_ms };
	struct pma_op op = { .opcode = PMA_OP_STAT, .name = name, .stat = out };
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (!name || !name[0] || strlen(name) > PMA_MAX_NAME)
		return error_set(-EINVAL, "wait for what? A name has 1 to %d bytes", PMA_MAX_NAME);
	if (flags & ~(unsigned)PMA_WAIT_UNTIL_THERE)
		return error_set(-EINVAL, "flags %#x mean nothing here", flags);
	if (flags & PMA_WAIT_UNTIL_THERE)
		request.flags = WIRE_UNTIL_THERE;
	return op_ask(pma, WIRE_WAIT, &request, &op);
}

/* ---- requests for which enum pma_opcode has no value ---- */

static struct wire_request request_on(struct pma_handle handle)
{
	return (struct wire_request){ .arena = handle.arena, .slot = handle.slot, .id = handle.id };
}

int pma_open_owned(struct pma_handle *out, struct pma *pma, const char *name, uint32_t flags,
		   uint32_t uid)
{
	struct pma_op op = { .opcode = PMA_OP_OPEN, .name = name, .flags = flags };
	struct wire_request request;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (flags & ~(uint32_t)PMA_READ_ONLY)
		return error_set(-EINVAL, "flags %#x mean nothing here",
				 flags & ~(uint32_t)PMA_READ_ONLY);
	if (name && (!*name || strlen(name) > PMA_MAX_NAME))
		return error_set(-EINVAL,
				 "a name has 1 to %d bytes; NULL is how to say that there is none",
				 PMA_MAX_NAME);
	request = request_on(name ? PMA_HANDLE_NONE : *out);
	request.flags = WIRE_WANT_UID | (flags & PMA_READ_ONLY ? WIRE_READ_ONLY : 0);
	request.uid = uid;
	r = op_ask(pma, WIRE_OPEN, &request, &op);
	if (r == 0)
		*out = op.handle;
	return r;
}

static int set_attr(struct pma *pma, struct pma_handle handle, const struct wire_request *what,
		    const void *attributes)
{
	struct pma_op op = { .handle = handle, .attributes = attributes };
	struct wire_request request = *what;
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

	/* As for chown(2), -1 means: leave this value as it is. */
	if (uid != UINT32_MAX)
		request.flags |= WIRE_SET_UID;
	if (gid != UINT32_MAX)
		request.flags |= WIRE_SET_GID;
	return set_attr(pma, handle, &request, NULL);
}

int pma_set_mode(struct pma *pma, struct pma_handle handle, uint32_t mode)
{
	struct wire_request request = { .flags = WIRE_SET_MODE, .mode = mode };

	if (mode & ~0666u)
		return error_set(-EINVAL, "mode %#o has bits other than 0666", mode);
	return set_attr(pma, handle, &request, NULL);
}

int pma_set_attributes(struct pma *pma, struct pma_handle handle, const void *attributes,
		       size_t len)
{
	struct wire_request request = { .flags = WIRE_WITH_ATTRIBUTES };

	if (len > PMA_MAX_ATTRIBUTES || (len && !attributes))
		return error_set(-EINVAL, "%zu bytes of attributes: at most %d are possible", len,
				 PMA_MAX_ATTRIBUTES);
	request.attributes_len = (uint16_t)len;
	return set_attr(pma, handle, &request, attributes);
}
