/* SPDX-License-Identifier: BSD-3-Clause */
/* Bookkeeping only: it calls nothing of the arena. */
#include <config.h>

#include "tests/crash/model.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64

static void *grown(void *array, size_t nr, size_t *room, size_t size)
{
	if (nr < *room)
		return array;
	*room = *room ? *room * 2 : 16;
	array = reallocarray(array, *room, size);
	if (!array)
		errx(2, "out of memory");
	return array;
}

void model_init(struct model *model)
{
	*model = (struct model){ 0 };
}

static void fini_object(struct object *object)
{
	for (size_t i = 0; i < object->nr_versions; i++)
		free(object->versions[i].extents);
	free(object->versions);
	free(object->spots);
}

void model_fini(struct model *model)
{
	for (size_t i = 0; i < model->nr_objects; i++)
		fini_object(&model->objects[i]);
	free(model->objects);
	free(model->stored);
	free(model->bad);
	model_init(model);
}

static void describe(struct version *version, const struct alloc *alloc)
{
	version->state = alloc->state == ALLOC_RESERVED ? OBJECT_RESERVED : OBJECT_PUBLISHED;
	version->uid = alloc->uid;
	version->gid = alloc->gid;
	version->mode = alloc->mode;
	version->token = alloc->token;
	version->name_len = alloc->name_len;
	if (alloc->name_len)
		memcpy(version->name, alloc->name, alloc->name_len);
	version->is_evictable = alloc->is_evictable;
	version->attributes_len = alloc->attributes_len;
	if (alloc->attributes_len)
		memcpy(version->attributes, alloc->attributes, alloc->attributes_len);
	version->nr_extents = alloc->nr_extents;
	version->extents = calloc(alloc->nr_extents, sizeof(*version->extents));
	if (!version->extents)
		errx(2, "out of memory");
	memcpy(version->extents, alloc->extents, alloc->nr_extents * sizeof(*version->extents));
}

static uint64_t bytes_of(const struct version *version)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < version->nr_extents; i++)
		nr += version->extents[i].len;
	return nr << DESC_SHIFT;
}

void model_change(struct object *object, const struct alloc *alloc, uint64_t begun)
{
	struct version *version;

	object->versions = grown(object->versions, object->nr_versions, &object->room_versions,
				 sizeof(*object->versions));
	version = &object->versions[object->nr_versions];
	*version = (struct version){
		.state = OBJECT_GONE, .begun = begun, .acked = NEVER, .undone = NEVER
	};
	object->replaced_by = 0;
	object->bundle = 0;
	if (alloc)
		describe(version, alloc);
	for (size_t i = 0; i < object->nr_spots; i++)
		if (object->spots[i].until == SIZE_MAX && object->spots[i].off >= bytes_of(version))
			object->spots[i].until = object->nr_versions;
	object->nr_versions++;
}

void model_replace(struct object *old, const struct object *by, uint64_t begun)
{
	model_change(old, NULL, begun);
	old->replaced_by = by->id;
	old->by_version = by->nr_versions - 1;
}

void model_bundle(struct object *object, uint64_t bundle)
{
	object->bundle = bundle;
}

struct object *model_add(struct model *model, const struct alloc *alloc, uint64_t begun)
{
	struct object *object;

	model->objects = grown(model->objects, model->nr_objects, &model->room_objects,
			       sizeof(*model->objects));
	object = &model->objects[model->nr_objects++];
	*object = (struct object){ .id = alloc->id, .slot = alloc->slot };
	model_change(object, alloc, begun);
	return object;
}

struct object *model_find(const struct model *model, uint64_t id)
{
	for (size_t i = 0; i < model->nr_objects; i++)
		if (model->objects[i].id == id)
			return &model->objects[i];
	return NULL;
}

const struct version *model_last(const struct object *object)
{
	size_t i = object->nr_versions;

	while (i > 1 && object->versions[i - 1].undone != NEVER)
		i--;
	return &object->versions[i - 1];
}

void model_ack(struct model *model, uint64_t now)
{
	for (size_t i = 0; i < model->nr_objects; i++) {
		struct object *object = &model->objects[i];

		for (size_t v = 0; v < object->nr_versions; v++)
			if (object->versions[v].acked == NEVER &&
			    object->versions[v].undone == NEVER)
				object->versions[v].acked = now;
	}
	model_ack_bad(model, now);
}

void model_ack_bad(struct model *model, uint64_t now)
{
	for (size_t i = 0; i < model->nr_bad; i++)
		if (model->bad[i].acked == NEVER)
			model->bad[i].acked = now;
}

void model_write(struct object *object, uint64_t off, uint64_t value, uint64_t begun,
		 uint64_t durable)
{
	object->spots =
		grown(object->spots, object->nr_spots, &object->room_spots, sizeof(*object->spots));
	object->spots[object->nr_spots++] = (struct spot){ off, value, begun, durable, SIZE_MAX };
}

void model_add_bad(struct model *model, uint64_t pfn)
{
	model->bad = grown(model->bad, model->nr_bad, &model->room_bad, sizeof(*model->bad));
	model->bad[model->nr_bad++] = (struct bad_pfn){ pfn, NEVER };
}

void model_forget_bad(struct model *model)
{
	while (model->nr_bad && model->bad[model->nr_bad - 1].acked == NEVER)
		model->nr_bad--;
}

void model_possible(const struct object *object, uint64_t now, size_t *first, size_t *last,
		    bool *absent)
{
	bool any = false;

	*absent = true;
	*first = 1;
	*last = 0;
	for (size_t i = 0; i < object->nr_versions; i++) {
		const struct version *version = &object->versions[i];

		if (version->begun > now || version->undone <= now)
			continue;
		if (version->acked <= now || !any) {
			*absent = version->acked > now;
			*first = i;
		}
		any = true;
		*last = i;
		/* What was reserved is gone after a cut. */
		*absent |= version->state != OBJECT_PUBLISHED;
	}
}

bool model_matches(const struct version *version, const struct alloc *alloc)
{
	if (version->uid != alloc->uid || version->gid != alloc->gid ||
	    version->mode != alloc->mode || version->token != alloc->token ||
	    version->is_evictable != alloc->is_evictable)
		return false;
	if (version->name_len != alloc->name_len ||
	    (alloc->name_len && memcmp(version->name, alloc->name, alloc->name_len) != 0))
		return false;
	if (version->attributes_len != alloc->attributes_len ||
	    (alloc->attributes_len &&
	     memcmp(version->attributes, alloc->attributes, alloc->attributes_len) != 0))
		return false;
	return version->nr_extents == alloc->nr_extents &&
	       memcmp(version->extents, alloc->extents,
		      alloc->nr_extents * sizeof(*alloc->extents)) == 0;
}

void model_see(struct object *object, size_t version, uint64_t now)
{
	for (size_t i = 0; i < object->nr_versions; i++) {
		struct version *v = &object->versions[i];

		if (v->acked != NEVER || v->undone != NEVER)
			continue;
		if (version != NEVER && i <= version)
			v->acked = now;
		else
			v->undone = now;
	}
	/* A part that was cut off by what never came to be is there again. */
	for (size_t i = 0; i < object->nr_spots; i++) {
		struct spot *spot = &object->spots[i];

		if (spot->until != SIZE_MAX && object->versions[spot->until].undone != NEVER)
			spot->until = SIZE_MAX;
	}
}

void model_note_stored(struct model *model, uint32_t uid, uint64_t value)
{
	model->stored =
		grown(model->stored, model->nr_stored, &model->room_stored, sizeof(*model->stored));
	model->stored[model->nr_stored++] = (struct stored){ value, uid };
}

bool model_has_stored(const struct model *model, uint32_t uid, uint64_t value)
{
	for (size_t i = 0; i < model->nr_stored; i++)
		if (model->stored[i].uid == uid && model->stored[i].value == value)
			return true;
	return false;
}

/* Spots are whole lines, so one word is one value of each; later durable ones hide earlier ones. */
bool model_allows_word(const struct model *model, const struct object *object, size_t version,
		       uint64_t off, uint64_t value, uint64_t now)
{
	bool allowed = value == 0 ||
		       (object->has_contents &&
			model_has_stored(model, object->versions[0].uid, value));

	for (size_t i = 0; i < object->nr_spots; i++) {
		const struct spot *spot = &object->spots[i];

		if (spot->off != off - off % LINE || spot->begun > now || version >= spot->until)
			continue;
		if (spot->durable <= now)
			allowed = false;
		allowed |= spot->value == value;
	}
	return allowed;
}
