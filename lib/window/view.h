/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view: one catalog (lib/wire/window.h) as this process has it mapped, and the reading of it. The
 * daemon changes a catalog while it is read, and may be killed in the middle of a change. So all
 * numbers in it are bounded before they are used, and what was read counts only if the entry's word
 * and id are afterwards what they were: view_is_same().
 */
#ifndef PMEMARENA_VIEW_H
#define PMEMARENA_VIEW_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/wire/window.h"
#include "lib/wire/why.h"
#include "lib/wire/wire.h"

/* Readers take no lock. So a view is constant, and is unmapped when its window is closed. */
struct view {
	SLIST_ENTRY(view) link;         /* in window.views */
	const struct catalog_header *header;    /* owned, a mapping of `size` bytes */
	size_t   size;
	dev_t    dev;                   /* which file it is */
	ino_t    ino;
	const uint32_t *heads;
	uint64_t nr_heads;              /* as many as the file has room for */
	const struct catalog_entry *entries;
	uint64_t nr_slots;
	const struct catalog_extra *extras;
	uint64_t nr_extras;
	uint64_t seed;
};

enum sighting {
	VIEW_FOUND,
	VIEW_ABSENT,                    /* there is certainly no such thing in the catalog */
	VIEW_UNKNOWN,                   /* it is being changed, or has no place there: ask the daemon */
};

/* What an entry said. */
struct sight {
	uint64_t word, id;
	uint32_t slot;
	uint32_t uid, gid, mode;
	uint32_t nr_extents, extra, note;
	uint8_t  flags;                 /* enum catalog_flags */
	struct wire_extent first;       /* its first extent */
};

/* Maps the catalog in @fd, which stays the caller's. -EPROTO it is none that this library reads. */
int view_new(struct view **out, int fd, struct why *why);
void view_free(struct view *view);
/* Is @fd the file that @view shows? */
bool view_shows(const struct view *view, int fd);

/* The hash of a name, by which it is found in this view. */
uint32_t view_tag(const struct view *view, const char *name, size_t len);
enum sighting view_find_name(struct sight *sight, const struct view *view, uint32_t tag,
			     const char *name, size_t len);
/*
 * For who looks for many names: begin to fetch what a find reads first, and what it reads then. The
 * second one for all names after the first one for all names.
 */
void view_fetch_head(const struct view *view, uint32_t tag);
void view_fetch_entry(const struct view *view, uint32_t tag);
enum sighting view_find_id(struct sight *sight, const struct view *view, uint32_t slot,
			   uint64_t id);
/*
 * Reads the extents after the first, sight->nr_extents - 1 of them. False: the catalog has not all
 * of them.
 */
bool view_more_extents(struct wire_extent out[CATALOG_EXTRA_EXTENTS], const struct view *view,
		       const struct sight *sight);
/*
 * Reads the attributes into @out; *len becomes how many bytes they have, 0: none. False: they are
 * being changed.
 */
bool view_attributes(uint8_t out[CATALOG_NOTE], uint32_t *len, const struct view *view,
		     const struct sight *sight);
/* Is the entry still what @sight says, and the catalog still the arena's? */
bool view_is_same(const struct view *view, const struct sight *sight);

#endif
