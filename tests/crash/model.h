/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model: what was promised, and what was only begun, at each moment of a history. An object has
 * versions, each with the time (a mark in the recorder's log) at which it was begun and at which it
 * was acknowledged. After a power cut at a time t an object must be at its last version that was
 * acknowledged by then, or at any later one that was begun by then.
 */
#ifndef PMEMARENA_MODEL_H
#define PMEMARENA_MODEL_H

#include "daemon/arena/arena.h"

#define NEVER UINT64_MAX

enum object_state { OBJECT_RESERVED, OBJECT_PUBLISHED, OBJECT_GONE };

struct version {
	enum object_state state;
	uint64_t begun, acked;
	uint64_t undone;                /* from then on it is certain that it never came to be */
	uint32_t uid, gid, mode;
	uint64_t token;
	uint8_t  name_len;
	char     name[ALLOC_MAX_NAME];
	uint16_t attributes_len;
	uint8_t  attributes[ALLOC_MAX_ATTRIBUTES];
	bool     is_evictable;
	struct extent *extents;         /* owned; pfns */
	uint32_t nr_extents;
};

/* 64 bytes that a client stored: 8 words of one value, at an offset in the allocation. */
struct spot {
	uint64_t off, value;
	uint64_t begun, durable;
	/* versions from this one on do not have it: it was cut off */
	size_t until;
};

struct object {
	uint64_t id;
	uint32_t slot;
	uint64_t given;                 /* its id was out from then on */
	bool     lingers;               /* freed, and a client still has it open */
	bool     is_carved;             /* what is where in it has changed: nobody writes to it */
	/* it was reserved with any contents: what nobody stored is what its user stored earlier */
	bool     has_contents;
	/* its last version is gone because this one took its name, in this version; 0: none did */
	uint64_t replaced_by;
	size_t by_version;
	/* its last version came with those of all others that have this number; 0: by itself */
	uint64_t bundle;
	struct version *versions;       /* owned */
	size_t nr_versions, room_versions;
	struct spot *spots;             /* owned; later ones are later */
	size_t nr_spots, room_spots;
};

/* A value that clients of a user stored, each once. */
struct stored {
	uint64_t value;
	uint32_t uid;
};

struct bad_pfn {
	uint64_t pfn, acked;
};

struct model {
	struct object *objects;         /* owned */
	size_t nr_objects, room_objects;
	struct stored *stored;          /* owned */
	size_t nr_stored, room_stored;
	struct bad_pfn *bad;            /* owned */
	size_t nr_bad, room_bad;
};

void model_init(struct model *model);
void model_fini(struct model *model);

/*
 * A new object with what @alloc is now as its first version. The pointer is good until the next one
 * is added.
 */
struct object *model_add(struct model *model, const struct alloc *alloc, uint64_t begun);
struct object *model_find(const struct model *model, uint64_t id);     /* NULL */
/* Another version. @alloc NULL: it is gone. */
void model_change(struct object *object, const struct alloc *alloc, uint64_t begun);
/* @old is gone with the last version of the one with @id, which has its name: both or neither. */
void model_replace(struct object *old, const struct object *by, uint64_t begun);
/* The last version of @object is one of those that come together, or not at all. */
void model_bundle(struct object *object, uint64_t bundle);
const struct version *model_last(const struct object *object);
/* All that was begun is acknowledged now. */
void model_ack(struct model *model, uint64_t now);

/* A client stored at @off; durable at @durable, or NEVER. */
void model_write(struct object *object, uint64_t off, uint64_t value, uint64_t begun,
		 uint64_t durable);
void model_add_bad(struct model *model, uint64_t pfn);
void model_ack_bad(struct model *model, uint64_t now);
/* those that were not acknowledged: marked or not, nobody was told */
void model_forget_bad(struct model *model);

/* Versions [*first, *last] are possible after a cut at @now; *absent: not to exist is, too. */
void model_possible(const struct object *object, uint64_t now, size_t *first, size_t *last,
		    bool *absent);
/* Is that what a version says, but for its state? */
bool model_matches(const struct version *version, const struct alloc *alloc);
/*
 * Somebody has seen the object in this version (NEVER: not at all): it is acknowledged from @now
 * on, and what was begun after it is undone.
 */
void model_see(struct object *object, size_t version, uint64_t now);

/* May the word at @off (in the allocation) be @value, in this version, after a cut at @now? */
bool model_allows_word(const struct model *model, const struct object *object, size_t version,
		       uint64_t off, uint64_t value, uint64_t now);
/* Notes that a client of user @uid stores @value somewhere, also where nobody is to look for it. */
void model_note_stored(struct model *model, uint32_t uid, uint64_t value);
/* Did a client of user @uid ever store @value? */
bool model_has_stored(const struct model *model, uint32_t uid, uint64_t value);

#endif
