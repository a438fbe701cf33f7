/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation: carries out one item of a message by calls of the arena. It knows no socket and no
 * buffer, nor how a result travels to the client.
 */
#include <config.h>

#include "daemon/serve/operation.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_window.h"
#include "daemon/serve/operation_again.h"
#include "daemon/serve/operation_find.h"
#include "lib/wire/escape.h"

/* ---- one function for each opcode ---- */

/*
 * The item repeats an earlier request if it has that request's token and user. Was @alloc made by
 * it?
 */
static bool is_made(const struct operation *op, const struct alloc *alloc)
{
	return op->item.arg && alloc && alloc->state == ALLOC_PUBLISHED &&
	       alloc->token == op->item.arg && alloc->uid == op->client->uid;
}

bool operation_was_made(const struct operation *op)
{
	return op->opcode == WIRE_RESERVE && op->item.arg &&
	       is_made(op, arena_find_name(op->arena, op->name, (uint8_t)op->item.name_len));
}

/*
 * Checks the item's token. With @needs_name the token is looked for under the item's name, so there
 * must be one.
 */
static int check_token(const struct operation *op, bool needs_name)
{
	if (op->item.arg > ARENA_TOKEN_MAX)
		return why_set(op->why, -EINVAL, "token %" PRIu64 " has more than 48 bits",
			       op->item.arg);
	if (op->item.arg && needs_name && !op->item.name_len)
		return why_set(op->why, -EINVAL,
			       "a token is of no use without a name: it is looked for there");
	return 0;
}

static int check_mode(const struct operation *op)
{
	if (op->item.mode & ~0666u)
		return why_set(
			op->why, -EINVAL,
			"mode 0%o has bits that mean nothing here; 0666 are the ones that do",
			op->item.mode);
	return 0;
}

/* The item made @alloc before: returns it again instead of making a second one. */
static int take_made(struct operation *op, struct alloc *alloc)
{
	int r = op->is_bundled ? arena_bundle_item(op->arena, &op->caller, alloc, op->why) : 0;

	op->was_done = true;
	op->alloc = alloc;
	if (r < 0 || !operation_is_to_be_open(&op->item))
		return r;
	return arena_open_alloc(op->arena, &op->caller, alloc, false, op->why);
}

/* The bytes that the item brings; NULL: none. */
static const void *attributes_of(const struct operation *op)
{
	return op->item.attributes_len ? op->name + op->item.name_len : NULL;
}

/*
 * Fills in what a reserve or a carve asks the arena for, but not the token: item.arg is a token in
 * a reserve and an offset in a carve.
 */
static struct arena_ask ask_of(const struct operation *op)
{
	const struct wire_request *item = &op->item;

	return (struct arena_ask){
		.name = item->name_len ? op->name : NULL,
		.name_len = (uint8_t)item->name_len,
		.len = item->len,
		.mode = item->mode,
		.publish = op->opcode == WIRE_CARVE || (item->flags & WIRE_AND_PUBLISH),
		.contiguous = item->flags & WIRE_CONTIGUOUS,
		.lease = item->flags & WIRE_LEASE,
		.keep_open = item->flags & WIRE_KEEP_OPEN,
		.replace = item->flags & WIRE_REPLACE,
		.attributes = attributes_of(op),
		.attributes_len = item->attributes_len,
		.evictable = item->flags & WIRE_EVICTABLE,
		.any_contents = item->flags & WIRE_ANY_CONTENTS,
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
	if (r == 0 && (item->flags & WIRE_WITH_ATTRIBUTES) && !ask.publish)
		r = why_set(op->why, -EINVAL,
			    "a reservation has no attributes: give them when you publish it");
	if (r == 0 && ask.evictable && !ask.publish)
		r = why_set(op->why, -EINVAL,
			    "a reservation is not evictable: say it when you publish it");
	if (r < 0)
		return r;
	return arena_reserve(&op->alloc, op->arena, &op->caller, &ask, op->why);
}

static int publish(struct operation *op)
{
	if (op->item.flags & WIRE_REPLACE)
		return arena_publish_over(op->arena, &op->caller, op->alloc, op->name,
					  (uint8_t)op->item.name_len, op->item.arg, op->why);
	return arena_publish(op->arena, &op->caller, op->alloc, op->item.arg, op->why);
}

static int run_publish(struct operation *op)
{
	int r = check_token(op, false);

	op->was_done = is_made(op, op->alloc);
	if (r < 0 || op->was_done)
		return r;
	r = arena_give_evictable(op->arena, &op->caller, op->alloc,
				 op->item.flags & WIRE_EVICTABLE, op->why);
	if (r < 0)
		return r;
	if (!op->item.attributes_len)
		return publish(op);
	r = arena_give_attributes(op->arena, &op->caller, op->alloc, attributes_of(op),
				  op->item.attributes_len, op->why);
	if (r < 0)
		return r;
	r = publish(op);
	if (r == 0)
		return 0;
	/*
	 * Takes the attributes away again, so that the reservation is as before. Whoever publishes
	 * it later says what attributes it has.
	 */
	(void)arena_give_attributes(op->arena, &op->caller, op->alloc, NULL, 0,
				    &(struct why){ "" });
	return r;
}

/* The item's handle is the reservation; the result describes the part that was carved off. */
static int run_carve(struct operation *op)
{
	struct arena_ask ask = ask_of(op);
	struct alloc *lease = op->alloc;
	int r = check_mode(op);

	op->alloc = NULL;
	return r < 0 ? r
		     : arena_carve(&op->alloc, op->arena, &op->caller, lease, &ask, op->item.arg,
				   op->why);
}

static bool is_unmapped(const struct operation *op)
{
	return op->item.flags & (WIRE_UNMAPPED | WIRE_DONE);
}

static int run_abort(struct operation *op)
{
	struct alloc *alloc = op->alloc;

	op->alloc = NULL;
	return arena_abort(op->arena, &op->caller, alloc, is_unmapped(op), op->why);
}

static int run_free(struct operation *op)
{
	struct alloc *alloc = op->alloc;

	/* The result has the handle, also where the client asked by name. */
	op->item.slot = alloc->slot;
	op->item.id = alloc->id;
	op->alloc = NULL;
	return arena_free_alloc(op->arena, &op->caller, alloc, is_unmapped(op), op->why);
}

static int run_open(struct operation *op)
{
	const struct wire_request *item = &op->item;
	int r;

	if ((item->flags & WIRE_WANT_UID) && op->alloc->uid != item->uid)
		return why_set(op->why, -EPERM,
			       "the allocation belongs to uid %" PRIu32 ", not to uid %" PRIu32,
			       op->alloc->uid, item->uid);
	r = arena_open_alloc(op->arena, &op->caller, op->alloc, item->flags & WIRE_READ_ONLY,
			     op->why);
	return r == 0 && (item->flags & WIRE_LENT) ? arena_lend(op->arena, &op->caller, op->alloc)
						   : r;
}

/*
 * Closes also an allocation that somebody freed while this session had it open. Its space can be
 * used again only then.
 */
static int run_close(struct operation *op)
{
	struct alloc *alloc =
		arena_find_held(op->arena, op->caller.holder, op->item.slot, op->item.id);

	if (!alloc)
		return 0;
	if (alloc->state == ALLOC_RESERVED)
		return why_set(op->why, -EINVAL,
			       "it is reserved and not published: publish or abort it");
	if ((op->item.flags & WIRE_IF_CLOSED) && !arena_is_closed(&op->caller, alloc))
		return 0;
	return arena_close_alloc(op->arena, &op->caller, alloc, is_unmapped(op));
}

static int run_resize(struct operation *op)
{
	return arena_resize(op->arena, &op->caller, op->alloc, op->item.len, op->why);
}

static int run_rename(struct operation *op)
{
	const char *name = op->item.name_len ? op->name : NULL;
	uint8_t name_len = (uint8_t)op->item.name_len;

	if (op->item.flags & WIRE_REPLACE)
		return arena_rename_over(op->arena, &op->caller, op->alloc, name, name_len,
					 op->why);
	return arena_rename(op->arena, &op->caller, op->alloc, name, name_len, op->why);
}

static int run_setattr(struct operation *op)
{
	const struct wire_request *item = &op->item;
	struct arena_attrs to = { .uid = item->uid,
				  .gid = item->gid,
				  .mode = item->mode,
				  .attributes = attributes_of(op),
				  .attributes_len = item->attributes_len };

	if (item->flags & WIRE_SET_UID)
		to.which |= ARENA_SET_UID;
	if (item->flags & WIRE_SET_GID)
		to.which |= ARENA_SET_GID;
	if (item->flags & WIRE_SET_MODE)
		to.which |= ARENA_SET_MODE;
	if (item->flags & WIRE_WITH_ATTRIBUTES)
		to.which |= ARENA_SET_ATTRIBUTES;
	return arena_setattr(op->arena, &op->caller, op->alloc, &to, op->why);
}

static int run_pin(struct operation *op)
{
	return arena_pin(op->arena, &op->caller, op->alloc, op->item.flags & WIRE_READ_ONLY,
			 op->item.arg, op->why);
}

/*
 * Waits for a name. Whether it is reserved is no secret: a reserve of it would be told so.
 * -EALREADY lets request.c keep the message.
 */
static int run_wait(struct operation *op)
{
	const struct wire_request *item = &op->item;
	char text[ESCAPE_SIZE(WIRE_MAX_NAME)];
	struct alloc *alloc;
	int r;

	if (!item->name_len)
		return why_set(op->why, -EINVAL, "wait needs the name of what is waited for");
	alloc = arena_find_name(op->arena, op->name, (uint8_t)item->name_len);
	if (alloc && alloc->state == ALLOC_PUBLISHED)
		return operation_take(op, alloc, 0);
	/* An arena that is offline does not come back in this daemon's life. */
	r = operation_take(op, NULL, 0);
	if (r < 0)
		return r;
	escape_name(text, sizeof(text), op->name, item->name_len, escape_shows_text);
	if (alloc || (item->flags & WIRE_UNTIL_THERE))
		return why_set(op->why, -EALREADY, "\"%s\" was not published in %" PRIu64 " ms%s",
			       text, item->arg, alloc ? "; it is still being written" : "");
	return why_set(op->why, -ENOENT,
		       "\"%s\" is not there, and nobody is writing it: reserve it yourself", text);
}

static int run_touch(struct operation *op)
{
	return arena_touch(op->arena, &op->caller, op->alloc, op->why);
}

/* Does nothing, for an opcode that only looks: the result of each item describes op->alloc. */
static int run_nothing(struct operation *op)
{
	return 0;
}

/* ---- which function for which opcode ---- */

struct kind {
	/* NULL: `run` finds or makes the allocation itself */
	int (*find)(struct operation *op);
	int (*run)(struct operation *op);
	bool changes;
	bool joins;                             /* the session must take part in the arena */
};

static const struct kind kinds[WIRE_OPCODES] = {
	[WIRE_RESERVE] = { NULL,                   run_reserve, true,  true  },
	[WIRE_PUBLISH] = { operation_find_handle,  run_publish, true,  true  },
	[WIRE_ABORT]   = { operation_find_handle,  run_abort,   true,  true  },
	[WIRE_FREE]    = { operation_find_either,  run_free,    true,  true  },
	[WIRE_OPEN]    = { operation_find_either,  run_open,    true,  true  },
	[WIRE_CLOSE]   = { NULL,                   run_close,   true,  true  },
	[WIRE_RESIZE]  = { operation_find_handle,  run_resize,  true,  true  },
	[WIRE_RENAME]  = { operation_find_handle,  run_rename,  true,  true  },
	[WIRE_SETATTR] = { operation_find_handle,  run_setattr, true,  true  },
	[WIRE_STAT]    = { operation_find_either,  run_nothing, false, false },
	[WIRE_EXTENTS] = { operation_find_handle,  run_nothing, false, false },
	[WIRE_CARVE]   = { operation_find_handle,  run_carve,   true,  true  },
	[WIRE_PIN]     = { operation_find_either,  run_pin,     false, true  },
	[WIRE_WAIT]    = { NULL,                   run_wait,    false, false },
	[WIRE_TOUCH]   = { operation_find_either,  run_touch,   false, false },
};

bool operation_changes(uint16_t opcode)
{
	return kinds[opcode].changes;
}

enum access operation_needs(uint16_t opcode, uint32_t flags)
{
	switch (opcode) {
	case WIRE_CLOSE:
	case WIRE_STAT:
	case WIRE_EXTENTS:
	case WIRE_LIST:
	case WIRE_SUBSCRIBE:
	case WIRE_USAGE:
	case WIRE_WAIT:
	case WIRE_TOUCH:
	case WIRE_SURVEY:
		return ACCESS_READ;
	case WIRE_ATTACH:
	case WIRE_WINDOW:
	case WIRE_PIN:
	case WIRE_OPEN:
		return flags & WIRE_READ_ONLY ? ACCESS_READ : ACCESS_WRITE;
	default:
		return ACCESS_WRITE;
	}
}

static int check_flags(const struct operation *op)
{
	uint32_t unknown = op->item.flags & ~wire_known_flags(op->opcode);

	if (unknown)
		return why_set(op->why, -EINVAL, "%s does not know flags 0x%" PRIx32,
			       wire_opcode_name(op->opcode), unknown);
	return 0;
}

/*
 * Lets the session take part in the arena of the item. A session does so with its first item there.
 */
static int join(struct operation *op)
{
	int r = client_join(op->client, op->service, op->item.arena);

	if (r < 0)
		return why_set(op->why, r,
			       "the daemon cannot remember one more session in arena %s: %s",
			       op->service->arenas[op->item.arena].name, strerror(-r));
	op->caller = client_caller(op->client, op->item.arena);
	op->caller.deed = op->deed;
	return 0;
}

/*
 * Notes that the client lends the allocation, before anything else of the request: whatever becomes
 * of the request or of this daemon, the note is then in the ledger. A session can lend only what it
 * has open. EXTENTS of something that it does not have open is refused: the client would pass on
 * the place of space that nothing keeps.
 */
static int note_lent(struct operation *op)
{
	struct alloc *alloc = op->alloc;
	int r;

	if (!(op->item.flags & (WIRE_LENT | WIRE_DONE)) || op->opcode == WIRE_OPEN)
		return 0;
	if (!alloc)
		alloc = arena_find_held(op->arena, op->caller.holder, op->item.slot, op->item.id);
	/* The program itself says that what it lent has come back. */
	if (op->item.flags & WIRE_DONE) {
		if (alloc)
			arena_take_back(op->arena, &op->caller, alloc);
		return 0;
	}
	r = alloc ? arena_lend(op->arena, &op->caller, alloc) : -EBADF;
	if (op->opcode == WIRE_EXTENTS && (r < 0 || arena_is_closed(&op->caller, alloc)))
		return why_set(op->why, -EBADF,
			       "it is not open in this session: open it before you lend it");
	return 0;
}

/* Carries out one of the changes that are done whole or not at all. */
static int run_bundled(struct operation *op, const struct kind *kind)
{
	int r = arena_bundle_item(op->arena, &op->caller, op->alloc, op->why);

	if (r == 0)
		r = kind->run(op);
	if (r == 0)
		arena_bundle_item_done(op->arena, op->alloc);
	return r;
}

/*
 * Carries out the item, in this order: flags, rights, whether it is a repetition, the allocation,
 * whether it is lent, the work.
 */
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
	op->arena = client_arena(&r, op->client, op->service, op->item.arena,
				 operation_needs(op->opcode, op->item.flags), op->why);
	if (!op->arena)
		return r;
	op->caller = client_caller(op->client, op->item.arena);
	if (kind->joins) {
		r = join(op);
		if (r < 0)
			return r;
	}
	if (op->is_repeat && op->deed && kind->changes &&
	    arena_find_deed(&deed, op->arena, &op->caller))
		return operation_again(op, &deed);
	if (kind->find) {
		r = kind->find(op);
		if (r < 0)
			return r;
	}
	r = note_lent(op);
	if (r < 0)
		return r;
	return op->is_bundled ? run_bundled(op, kind) : kind->run(op);
}
