/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/event: be told of what happens to allocations. A program includes <pmemarena.h>, which
 * includes this.
 */
#ifndef PMA_EVENT_H
#define PMA_EVENT_H

#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pma_event_kind {
	PMA_EVENT_PUBLISHED = 1,
	PMA_EVENT_FREED,
	PMA_EVENT_RENAMED,
	PMA_EVENT_RESIZED,
	PMA_EVENT_CHANGED,
	PMA_EVENT_POISONED,
	PMA_EVENT_RECALL,
	PMA_EVENT_ARENA_OFFLINE,
	PMA_EVENT_LOST,
	PMA_EVENT_EVICTED,              /* the daemon freed it to make room, see pma_touch() */
	/* Arena handle.arena, whose name is `name`, can be used from now on. */
	PMA_EVENT_ARENA_ADDED,
	/* It is served no more; if it comes back it has the same number, and no subscription. */
	PMA_EVENT_ARENA_REMOVED,
	/* It is in another arena now, under the same name; `to` is its handle there. */
	PMA_EVENT_MOVED
};

struct pma_event {
	/* PMA_EVENT_LOST: some events were dropped; look at the arena anew */
	enum pma_event_kind kind;
	struct pma_handle handle;
	uint64_t len;
	uint32_t uid, gid, mode;
	const char *name;               /* "": it has no name; valid during the callback */
	struct pma_handle to;           /* of PMA_EVENT_MOVED */
};

/*
 * Makes pma_dispatch() call @callback for each event of allocations whose names begin with @prefix
 * (NULL or "": all, also unnamed ones). An arena has one subscription: a second call replaces the
 * first, and @callback NULL ends it. The callback may call the library, except pma_dispatch() and
 * pma_disconnect(). After the daemon was away PMA_EVENT_LOST is delivered. PMA_EVENT_ARENA_ADDED is
 * given to the subscription of the lowest arena that has one, whatever its prefix. -ENOENT no such
 * arena, -EINVAL @prefix is too long.
 */
PMA_PUBLIC int pma_subscribe(struct pma *pma, uint32_t arena, const char *prefix,
			     void (*callback)(const struct pma_event *event, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
