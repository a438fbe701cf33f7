/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view: one catalog (lib/wire/window.h) as this process has it mapped, and the reading of it. The
 * daemon changes a catalog while it is read, and may be killed in the middle of a change. So all
 * numbers in it are bounded before they are used, and what was read counts only if the entry's word
 * and id have not changed meanwhile: view_is_same().
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

/*
 * A view is constant, since other threads read it without a lock. It is unmapped when its window is
 * closed, not earlier.
 */
struct view {
	SLIST_ENTRY(view) link;         /* in window.views */
	const struct catalog_header *header;    /* owned, a mapping of `size` bytes */
	size_t   size;
	/* device and inode of the catalog's file, by which view_shows() knows it again */
	dev_t    dev;
	ino_t    ino;
	const uint32_t *heads;
	uint64_t nr_heads;              /* how many heads fit into their part of the file */
	const struct catalog_entry *entries;
	uint64_t nr_slots;
	const struct catalog_extra *extras;
	uint64_t nr_extras;
	uint64_t seed;
};

enum sighting {
	VIEW_FOUND,
	VIEW_ABSENT,                    /* the catalog certainly has no such allocation */
	/* the daemon is changing it, or the catalog has no room for it: ask by message */
	VIEW_UNKNOWN,
};

/* What an entry of the catalog said when it was read. */
struct sight {
	uint64_t word, id;
	uint32_t slot;
	uint32_t uid, gid, mode;
	uint32_t nr_extents, extra, note;
	uint8_t  flags;                 /* enum catalog_flags */
	struct wire_extent first;       /* the allocation's first extent */
};

/*
 * Maps the catalog in @fd, which stays the caller's. -EPROTO: it has a layout that this library
 * does not know.
 */
int view_new(struct view **out, int fd, struct why *why);
void view_free(struct view *view);
/* Is @fd the file that @view shows? */
bool view_shows(const struct view *view, int fd);

/* The hash of a name, by which it is found in this view. */
uint32_t view_tag(const struct view *view, const char *name, size_t len);
enum sighting view_find_name(struct sight *sight, const struct view *view, uint32_t tag,
			     const char *name, size_t len);
/*
 * Prefetch the bucket of a name, and its entry. Whoever looks for many names calls the first for
 * all of them, then the second for all of them: then the loads from memory overlap.
 */
void view_fetch_head(const struct view *view, uint32_t tag);
void view_fetch_entry(const struct view *view, uint32_t tag);
enum sighting view_find_id(struct sight *sight, const struct view *view, uint32_t slot,
			   uint64_t id);
/*
 * Reads the extents after the first, sight->nr_extents - 1 of them. False: the catalog does not
 * have all of them, so that the daemon must be asked.
 */
bool view_more_extents(struct wire_extent out[CATALOG_EXTRA_EXTENTS], const struct view *view,
		       const struct sight *sight);
/*
 * Reads the attributes into @out and their length into *len; 0: there are none. False: the daemon
 * is changing them.
 */
bool view_attributes(uint8_t out[CATALOG_NOTE], uint32_t *len, const struct view *view,
		     const struct sight *sight);
/*
 * Does the entry still say what @sight says, and is the catalog still the one that the daemon
 * keeps?
 */
bool view_is_same(const struct view *view, const struct sight *sight);

#endif
