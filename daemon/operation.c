/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation: from an item of a message to calls of the arena. It knows no socket, no buffer, and not how a result travels.
 */
#include <config.h>

#include "daemon/operation.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- finding what an item is about ---- */

bool operation_may_see(const struct client *client, uint32_t arena, const struct alloc *alloc)
{
	return alloc->state == ALLOC_PUBLISHED || client_holds(client, arena, alloc);
}

static int find_by_handle(struct operation *op)
{
	const struct wire_request *item = &op->item;
	struct alloc *alloc = arena_find(op->arena, item->slot, item->id);

	if (!alloc || !operation_may_see(op->client, item->arena, alloc))
		return why_set(op->why, -ENOENT, "there is no allocation with id %" PRIu64 " (any more)", item->id);
	op->alloc = alloc;
	return 0;
}

static int find_by_name(struct operation *op)
{
	const struct wire_request *item = &op->item;
	struct alloc *alloc = arena_find_name(op->arena, op->name, (uint8_t)item->name_len);

	if (!alloc || !operation_may_see(op->client, item->arena, alloc))
		return why_set(op->why, -ENOENT, "there is no allocation named \"%.*s\" in arena %s", item->name_len, op->name,
			       op->service->arenas[item->arena].name);
	op->alloc = alloc;
	return 0;
}

static int find_by_either(struct operation *op)
{
	return op->item.name_len ? find_by_name(op) : find_by_handle(op);
}

/* ---- one operation each ---- */

/* Does the item's token say that @alloc is what an earlier request of this user made? */
static bool is_made(const struct operation *op, const struct alloc *alloc)
{
	return op->item.arg && alloc && alloc->state == ALLOC_PUBLISHED && alloc->token == op->item.arg && alloc->uid == op->client->uid;
}

static int check_token(const struct operation *op, bool needs_name)
{
	if (op->item.arg > ARENA_TOKEN_MAX)
		return why_set(op->why, -EINVAL, "token %" PRIu64 " has more than 48 bits", op->item.arg);
	if (op->item.arg && needs_name && !op->item.name_len)
		return why_set(op->why, -EINVAL, "a token is of no use without a name: it is looked for there");
	return 0;
}

static int check_mode(const struct operation *op)
{
	if (op->item.mode & ~0666u)
		return why_set(op->why, -EINVAL, "mode 0%o has bits that mean nothing here; 0666 are the ones that do", op->item.mode);
	return 0;
}

static bool is_to_be_open(const struct wire_request *item)
{
	return !(item->flags & WIRE_PUBLISH) || (item->flags & WIRE_KEEP_OPEN);
}

static int take_made(struct operation *op, struct alloc *alloc)
{
	op->was_done = true;
	op->alloc = alloc;
	return is_to_be_open(&op->item) ? arena_open_alloc(op->arena, &op->caller, alloc, false, op->why) : 0;
}

/* What an item that makes something asks for; the token is not its own in all of them. */
static struct arena_ask ask_of(const struct operation *op)
{
	const struct wire_request *item = &op->item;

	return (struct arena_ask){
		.name = item->name_len ? op->name : NULL,
		.name_len = (uint8_t)item->name_len,
		.len = item->len,
		.mode = item->mode,
		.publish = op->opcode == WIRE_CARVE || (item->flags & WIRE_PUBLISH),
		.contiguous = item->flags & WIRE_CONTIGUOUS,
		.lease = item->flags & WIRE_LEASE,
		.keep_open = item->flags & WIRE_KEEP_OPEN,
	};
}

static int run_reserve(struct operation *op)
{
	const struct wire_request *item = &op->item;
	struct arena_ask ask = ask_of(op);
	struct alloc *made;
	int r = check_token(op, true);

	if (r < 0)
		return r;
	ask.token = item->arg;
	made = item->arg ? arena_find_name(op->arena, op->name, (uint8_t)item->name_len) : NULL;
	if (is_made(op, made))
		return take_made(op, made);
	r = check_mode(op);
	if (r < 0)
		return r;
	return arena_reserve(&op->alloc, op->arena, &op->caller, &ask, op->why);
}

static int run_commit(struct operation *op)
{
	int r = check_token(op, false);

	op->was_done = is_made(op, op->alloc);
	return r < 0 || op->was_done ? r : arena_publish(op->arena, &op->caller, op->alloc, op->item.arg, op->why);
}

/* Its reservation becomes what it made. */
static int run_carve(struct operation *op)
{
	struct arena_ask ask = ask_of(op);
	struct alloc *lease = op->alloc;
	int r = check_mode(op);

	op->alloc = NULL;
	return r < 0 ? r : arena_carve(&op->alloc, op->arena, &op->caller, lease, &ask, op->item.arg, op->why);
}

static int run_abort(struct operation *op)
{
	struct alloc *alloc = op->alloc;

	op->alloc = NULL;
	return arena_abort(op->arena, &op->caller, alloc, op->item.flags & WIRE_UNMAPPED, op->why);
}

static int run_free(struct operation *op)
{
	struct alloc *alloc = op->alloc;

	op->alloc = NULL;
	return arena_free_alloc(op->arena, &op->caller, alloc, op->item.flags & WIRE_UNMAPPED, op->why);
}

static int run_open(struct operation *op)
{
	const struct wire_request *item = &op->item;

	if ((item->flags & WIRE_WANT_UID) && op->alloc->uid != item->uid)
		return why_set(op->why, -EPERM, "the allocation belongs to uid %" PRIu32 ", not to uid %" PRIu32, op->alloc->uid, item->uid);
	return arena_open_alloc(op->arena, &op->caller, op->alloc, item->flags & WIRE_READ_ONLY, op->why);
}

/* Also one that was freed while it was open here: only then can its space be used again. */
static int run_close(struct operation *op)
{
	struct alloc *alloc = arena_find_held(op->arena, op->caller.holder, op->item.slot, op->item.id);

	if (!alloc)
		return 0;
	if (alloc->state == ALLOC_RESERVED)
		return why_set(op->why, -EINVAL, "it is reserved and not published: publish or abort it");
	return arena_close_alloc(op->arena, &op->caller, alloc, op->item.flags & WIRE_UNMAPPED);
}

static int run_resize(struct operation *op)
{
	return arena_resize(op->arena, &op->caller, op->alloc, op->item.len, op->why);
}

static int run_rename(struct operation *op)
{
	const struct wire_request *item = &op->item;

	return arena_rename(op->arena, &op->caller, op->alloc, item->name_len ? op->name : NULL, (uint8_t)item->name_len, op->why);
}

static int run_setattr(struct operation *op)
{
	const struct wire_request *item = &op->item;
	unsigned which = 0;

	if (item->flags & WIRE_SET_UID)
		which |= ARENA_SET_UID;
	if (item->flags & WIRE_SET_GID)
		which |= ARENA_SET_GID;
	if (item->flags & WIRE_SET_MODE)
		which |= ARENA_SET_MODE;
	return arena_setattr(op->arena, &op->caller, op->alloc, which, item->uid, item->gid, item->mode, op->why);
}

/* What there is to say is in the result. */
static int run_nothing(struct operation *op)
{
	return 0;
}

/* ---- the table ---- */

struct kind {
	int (*find)(struct operation *op);      /* NULL: it makes or finds it by itself */
	int (*run)(struct operation *op);
	bool changes;
	bool joins;                             /* the session has to take part in the arena */
};

static const struct kind kinds[WIRE_OPCODES] = {
	[WIRE_RESERVE] = { NULL,           run_reserve, true,  true  },
	[WIRE_COMMIT]  = { find_by_handle, run_commit,  true,  true  },
	[WIRE_ABORT]   = { find_by_handle, run_abort,   true,  true  },
	[WIRE_FREE]    = { find_by_handle, run_free,    true,  true  },
	[WIRE_OPEN]    = { find_by_either, run_open,    true,  true  },
	[WIRE_CLOSE]   = { NULL,           run_close,   true,  true  },
	[WIRE_RESIZE]  = { find_by_handle, run_resize,  true,  true  },
	[WIRE_RENAME]  = { find_by_handle, run_rename,  true,  true  },
	[WIRE_SETATTR] = { find_by_handle, run_setattr, true,  true  },
	[WIRE_STAT]    = { find_by_either, run_nothing, false, false },
	[WIRE_EXTENTS] = { find_by_handle, run_nothing, false, false },
	[WIRE_CARVE]   = { find_by_handle, run_carve,   true,  true  },
};

bool operation_changes(uint16_t opcode)
{
	return kinds[opcode].changes;
}

static int check_flags(const struct operation *op)
{
	uint32_t unknown = op->item.flags & ~wire_known_flags(op->opcode);

	if (unknown)
		return why_set(op->why, -EINVAL, "%s does not know flags 0x%" PRIx32, wire_opcode_name(op->opcode), unknown);
	return 0;
}

static int join(struct operation *op)
{
	int r = client_join(op->client, op->service, op->item.arena);

	if (r < 0)
		return why_set(op->why, r, "the daemon cannot remember one more session in arena %s: %s", op->service->arenas[op->item.arena].name,
			       strerror(-r));
	op->caller = client_caller(op->client, op->item.arena);
	op->caller.deed = op->deed;
	return 0;
}

/* ---- asked again ---- */

/* A daemon that was killed when it was done may not have come to what the session has open: made good here, and idempotent. */
static int finish_holds(struct operation *op)
{
	struct alloc *held = arena_find_held(op->arena, op->caller.holder, op->item.slot, op->item.id);

	bool opens = op->opcode == WIRE_RESERVE ? is_to_be_open(&op->item) : op->opcode == WIRE_CARVE && (op->item.flags & WIRE_KEEP_OPEN);

	if (opens && op->alloc && !held)
		return arena_open_alloc(op->arena, &op->caller, op->alloc, false, op->why);
	if ((op->opcode == WIRE_ABORT || op->opcode == WIRE_FREE) && held && (op->item.flags & WIRE_UNMAPPED))
		return arena_close_alloc(op->arena, &op->caller, held, true);
	return 0;
}

/* Done, and not told: the result says how things are now. It may have ended since; then its handle is all there is to say. */
static int run_again(struct operation *op, const struct arena_deed *deed)
{
	op->item.slot = deed->slot;
	op->item.id = deed->id;
	op->alloc = deed->alloc;
	return finish_holds(op);
}

int operation_run(struct operation *op)
{
	const struct kind *kind = &kinds[op->opcode];
	struct arena_deed deed;
	int r;

	op->alloc = NULL;
	op->was_done = false;
	r = check_flags(op);
	if (r < 0)
		return r;
	op->arena = service_arena(&r, op->service, op->item.arena, op->why);
	if (!op->arena)
		return r;
	if (kind->joins) {
		r = join(op);
		if (r < 0)
			return r;
	}
	if (op->is_repeat && op->deed && kind->changes && arena_find_deed(&deed, op->arena, &op->caller))
		return run_again(op, &deed);
	if (kind->find) {
		r = kind->find(op);
		if (r < 0)
			return r;
	}
	return kind->run(op);
}

void operation_describe(struct wire_result *result, uint32_t arena, const struct alloc *alloc)
{
	result->arena = arena;
	result->slot = alloc->slot;
	result->id = alloc->id;
	result->len = arena_alloc_bytes(alloc);
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
}
