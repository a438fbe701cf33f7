/* SPDX-License-Identifier: BSD-3-Clause */
/* history_bundle: several changes are done together, all or none. */
#include <config.h>

#include "tests/crash/history_internal.h"

#include <errno.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"

#define MAX_ITEMS 4u
#define MAX_TRIES 8

/* What the items do, as the opcode of their message would say. */
enum deed { MAKE, PUBLISH, FREE, RENAME };

struct item {
	uint64_t id;                    /* the object that is changed; 0: one is made */
	struct alloc *alloc;            /* what was changed or made */
	uint64_t gone;                  /* the object that it replaced; 0: none */
	char    name[ALLOC_MAX_NAME];
	uint8_t name_len;
	uint64_t len;
};

/* The published object that has the name of @item, and is not @item's own; NULL. */
static struct object *find_named(struct history *h, const struct item *item)
{
	const struct alloc *alloc =
		item->name_len ? arena_find_name(h->world->arena, item->name, item->name_len)
			       : NULL;

	if (!alloc || alloc->state != ALLOC_PUBLISHED || alloc->id == item->id)
		return NULL;
	return model_find(h->model, alloc->id);
}

static int do_item(struct history *h, enum deed deed, struct item *item)
{
	const struct object *object = item->id ? model_find(h->model, item->id) : NULL;
	const struct object *gone = deed == FREE ? NULL : find_named(h, item);
	/* A reservation is its session's; what it replaces must be its user's. */
	struct caller caller = history_caller(
		h, deed == PUBLISH ? model_last(gone ? gone : object)->uid : 0);
	struct arena_ask ask = { .name = item->name,
				 .name_len = item->name_len,
				 .len = item->len,
				 .publish = true,
				 .replace = true };
	struct arena *arena = h->world->arena;
	int r;

	item->alloc = object ? history_alloc(h, object) : NULL;
	item->gone = gone ? gone->id : 0;
	r = arena_bundle_item(arena, &caller, item->alloc, &h->world->why);
	if (r < 0)
		return r;
	if (deed == MAKE)
		r = arena_reserve(&item->alloc, arena, &caller, &ask, &h->world->why);
	else if (deed == FREE)
		r = arena_free_alloc(arena, &caller, item->alloc, false, &h->world->why);
	else if (deed == RENAME)
		r = arena_rename_over(arena, &caller, item->alloc, item->name, item->name_len,
				      &h->world->why);
	else if (item->name_len)
		r = arena_publish_over(arena, &caller, item->alloc, item->name, item->name_len, 0,
				       &h->world->why);
	else
		r = arena_publish(arena, &caller, item->alloc, 0, &h->world->why);
	if (r == 0)
		arena_bundle_item_done(arena, item->alloc);
	return r;
}

static int do_all(struct history *h, enum deed deed, struct item *items, unsigned nr)
{
	struct caller root = history_caller(h, 0);
	struct arena_need need = { 0 };
	int r;

	for (unsigned i = 0; i < nr && deed == MAKE; i++)
		arena_add_need(&need, h->world->arena, items[i].len);
	r = arena_bundle_begin(h->world->arena, &root, &need, &h->world->why);
	for (unsigned i = 0; i < nr && r == 0; i++)
		r = do_item(h, deed, &items[i]);
	if (r == 0)
		r = arena_bundle_commit(h->world->arena, &root, &h->world->why);
	if (r < 0)
		arena_bundle_cancel(h->world->arena, &root);
	return r;
}

/* What goes is held by whoever has it open. */
static void note_gone(struct history *h, uint64_t id, const struct alloc *by, uint64_t begun)
{
	struct object *object = model_find(h->model, id);

	if (by)
		model_replace(object, model_find(h->model, by->id), begun);
	else
		model_change(object, NULL, begun);
	model_bundle(object, begun);
	object->lingers = history_held(h, object);
	history_note_gone(h, object);
}

/* It has the name already: a rename changes nothing, and nothing tells whether it came to be. */
static bool has_name(const struct history *h, const struct item *item)
{
	const struct version *last = model_last(model_find(h->model, item->id));

	return last->name_len == item->name_len &&
	       memcmp(last->name, item->name, item->name_len) == 0;
}

static void note(struct history *h, enum deed deed, const struct item *item, uint64_t begun)
{
	if (deed == RENAME && has_name(h, item))
		return;
	if (deed == FREE) {
		note_gone(h, item->id, NULL, begun);
		return;
	}
	if (deed == MAKE) {
		model_add(h->model, item->alloc, begun)->given = world_mark(h->world);
		history_check_hand_out(h, item->alloc, 0);
	} else {
		model_change(model_find(h->model, item->id), item->alloc, begun);
	}
	model_bundle(model_find(h->model, item->alloc->id), begun);
	if (item->gone)
		note_gone(h, item->gone, item->alloc, begun);
}

/* Draws items; fewer than it says where the same object is drawn twice. */
static unsigned draw(struct history *h, enum deed deed, struct item *items)
{
	unsigned nr = 2 + (unsigned)history_rnd(h, MAX_ITEMS - 1), n = 0;

	for (unsigned i = 0; i < nr; i++) {
		struct item *item = &items[n];
		const struct object *object;

		*item = (struct item){ .len = history_random_len(h) };
		item->name_len = history_random_name(h, item->name);
		object = deed == MAKE ? NULL
				      : history_pick(h, deed == PUBLISH ? OBJECT_RESERVED
									: OBJECT_PUBLISHED,
						     false);
		if (deed != MAKE && (!object || object->is_carved))
			continue;
		item->id = object ? object->id : 0;
		n++;
	}
	return n;
}

bool history_bundle(struct history *h, enum history_op op)
{
	enum deed deed = (enum deed)history_rnd(h, 4);
	struct item items[MAX_ITEMS];
	unsigned nr = draw(h, deed, items);
	uint64_t begun = world_mark(h->world);
	int r;

	for (unsigned i = 0; i < nr && deed == FREE; i++)
		history_note_going(h, history_alloc(h, model_find(h->model, items[i].id)), 0);
	for (unsigned i = 0; i < nr && deed != FREE; i++) {
		const struct object *gone = find_named(h, &items[i]);

		if (gone)
			history_note_going(h, history_alloc(h, gone), 0);
	}
	r = do_all(h, deed, items, nr);
	for (unsigned i = 0; i < MAX_TRIES && r == -EAGAIN; i++) {
		world_scrub_all(h->world);
		r = do_all(h, deed, items, nr);
	}
	/* The same one was drawn twice. */
	if (r == -EINVAL || history_is_refused(h, op, r))
		return false;
	for (unsigned i = 0; i < nr; i++)
		note(h, deed, &items[i], begun);
	return history_rnd(h, 3) ? true : history_kill_in_settle(h, op);
}
