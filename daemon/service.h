/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service: what is served: the arenas of the configuration, with the quotas, the scrubber, the roster of sessions and the counters
 * that they share. Opens all of it, keeps it up, tells those who watch what happened. No sockets, no loop: whoever has one
 * calls in.
 */
#ifndef PMEMARENA_SERVICE_H
#define PMEMARENA_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

#include "daemon/arena/arena.h"
#include "daemon/config.h"
#include "daemon/counters.h"
#include "daemon/memmap/vma_budget.h"
#include "daemon/roster.h"
#include "lib/why.h"

#define SERVICE_MAX_ARENAS 128          /* WELCOME has them all in one message */
#define SERVICE_EVENTS     32

/* One arena of the configuration. */
struct served {
	const char    *name;            /* borrowed from the configuration */
	struct arena  *arena;           /* owned; NULL: it could not be opened, for the reason given */
	char           reason[sizeof(struct why)];
	struct holder *own;             /* the daemon's own, for what the administrator asks; joined when first needed */
	bool           is_offline;      /* and it was said */
	uint64_t       mended;          /* table slots that the verifier rewrote */
};

/* Whoever wants to know what happened in the arenas. Must not free sessions or arenas while it is told. */
struct watcher {
	TAILQ_ENTRY(watcher) link;      /* service.watchers */
	void (*tell)(struct watcher *watcher, uint32_t arena, const struct arena_event *events, size_t nr);
};

struct service {
	struct config config;           /* owned */
	const struct config_sources *sources;   /* borrowed; to reload from */
	struct quota *quota;            /* owned, as all below */
	struct scrubber *scrubber;
	struct vma_budget vma_budget;   /* in place */
	struct roster *roster;
	uint64_t number;                /* the daemon's own, as a session has one */
	struct served *arenas;
	uint32_t nr_arenas;
	struct counters counters;
	uint32_t nr_sessions;           /* greeted */
	uint64_t started_ns;            /* CLOCK_REALTIME */
	uint64_t started_mono_ns;       /* CLOCK_MONOTONIC */
	uint64_t ticked_ns;             /* CLOCK_MONOTONIC */
	TAILQ_HEAD(, watcher) watchers;
	uint32_t nr_listeners;          /* who is told by them; with none, the arenas keep no events */
	struct arena_event events[SERVICE_EVENTS];      /* on their way to the watchers */
};

uint64_t service_now_ns(void);          /* CLOCK_MONOTONIC */

/*
 * Takes @config. An arena that cannot be opened is logged and shown as offline, as long as there is one that can; with none it
 * is the error of the first.
 */
int service_open(struct service **out, struct config *config, const struct config_sources *sources, struct why *why);
/* Settles and closes. Sessions stay in the roster and the ledgers: their clients may come back to the next daemon. */
void service_close(struct service *service);

/* Read the configuration again. What cannot change while it runs is named in @kept ("": nothing differs). -EINVAL etc.: all stays as it is. */
int service_reload(struct service *service, char *kept, size_t size, struct why *why);

/* NULL, with a sentence, for an index that there is not and for an arena that is not open: *r -ENOENT or -EIO. */
struct arena *service_arena(int *r, const struct service *service, uint32_t index, struct why *why);
/* By name or UUID. */
int service_find_arena(uint32_t *index, const struct service *service, const char *name, struct why *why);
/* The daemon as a caller on behalf of the administrator @uid. */
int service_own_caller(struct caller *caller, struct service *service, uint32_t index, uint32_t uid, uint32_t gid, struct why *why);
uint32_t service_nr_open(const struct service *service);

/* Make what was staged in the arena durable. An error means that the arena is offline now; it is logged here, once. */
int service_settle(struct service *service, uint32_t index);
/* Tell the watchers what happened in it since. */
void service_tell(struct service *service, uint32_t index);

/* Upkeep. @busy: call again in 100 ms, else a few seconds are fine. */
void service_tick(struct service *service, bool *busy);
/* true: there is more clean space than before; those who wait for it may try again. */
bool service_collect(struct service *service);
/* Sessions that did not come back since the start are over. */
void service_drop_orphans(struct service *service);

#endif
