/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service: what is served: the arenas of the configuration, with the quota, the scrubber, the
 * roster of sessions and the counters that they share. It opens all of it, keeps it up, and tells
 * watchers what happened. It has no sockets and no loop: who has one calls it.
 */
#ifndef PMEMARENA_SERVICE_H
#define PMEMARENA_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/config/config.h"
#include "daemon/log_limit.h"
#include "daemon/service/counters.h"
#include "daemon/service/idmap.h"
#include "daemon/memmap/vma_budget.h"
#include "daemon/service/inbox.h"
#include "daemon/service/places.h"
#include "daemon/service/roster.h"
#include "daemon/service/served.h"
#include "lib/wire/why.h"

#define SERVICE_MAX_ARENAS PLACES_MAX
#define SERVICE_EVENTS     32

/*
 * Who wants to know what happens in the arenas. It must not free sessions or arenas while it is
 * told: the caller walks over them.
 */
struct watcher {
	TAILQ_ENTRY(watcher) link;      /* service.watchers */
	void (*tell)(struct watcher *watcher, uint32_t arena, const struct arena_event *events,
		     size_t nr);
	/* Rights may have changed, or numbers of arenas. NULL: it need not know. */
	void (*reloaded)(struct watcher *watcher);
	/*
	 * Arena @arena is closed in a moment: who has pointers into it forgets them. NULL: it has
	 * none.
	 */
	void (*leaving)(struct watcher *watcher, uint32_t arena);
};

/* An allocation that is being moved to another arena, a slice a call. */
struct transfer {
	bool     is_running;
	/* the copy was there already: it is compared, and the original freed if they are equal */
	bool     compares;
	/* by number of arena; to.id 0: it has no place yet */
	struct arena_place from, to;
	uint32_t wanted;                /* the arena where it shall go */
	uint64_t done, size;            /* bytes */
	uint64_t asked_ns;              /* CLOCK_MONOTONIC, when the last slice was asked for */
};

struct service {
	/*
	 * Owned. Its arenas stand in the places of `arenas`: SERVICE_MAX_ARENAS of them, those
	 * without an arena have no name.
	 */
	struct config config;
	/* borrowed; where a reload reads the configuration */
	const struct config_sources *sources;
	struct host host;                       /* this one */
	struct idmap idmap;
	struct quota *quota;            /* owned, as all that follow */
	struct scrubber *scrubber;
	struct vma_budget vma_budget;   /* a part of this structure, and not a pointer */
	struct roster *roster;
	struct inbox  *inbox;           /* owned; every message is received into it */
	uint64_t number;                /* number of the session that the daemon itself has */
	struct places *places;          /* which arena has which number */
	bool     is_starting;           /* no session has been told of any arena yet */
	/* owned, SERVICE_MAX_ARENAS, by number */
	struct served *arenas;
	/* one more than the highest number that an arena has or had */
	uint32_t nr_arenas;
	struct counters counters;
	struct transfer transfer;
	uint32_t nr_sessions;           /* sessions that have said HELLO */
	uint64_t started_ns;            /* CLOCK_REALTIME */
	uint64_t started_mono_ns;       /* CLOCK_MONOTONIC */
	uint64_t ticked_ns;             /* CLOCK_MONOTONIC */
	/* CLOCK_MONOTONIC, when devices that were not there were last looked for */
	uint64_t looked_ns;
	/* an arena was opened late: sessions must take part in it; who sees to that clears it */
	bool     has_new;
	struct log_limit log_limit;     /* bounds the lines that clients can cause in the log */
	struct why reload_failed;       /* why the last reload failed; "": it did not */
	TAILQ_HEAD(, watcher) watchers;
	/* subscriptions of clients; while there are none the arenas keep no events */
	uint32_t nr_listeners;
	/* the buffer in which events are handed to the watchers */
	struct arena_event events[SERVICE_EVENTS];
};

uint64_t service_now_ns(void);          /* CLOCK_MONOTONIC */
/*
 * How long clients of the daemon before still have to come back. The time is counted from the start
 * of the daemon, and its length is that of the present configuration, so that a reload can change
 * it. When it is 0 their sessions are over.
 */
uint64_t service_grace_left_ns(const struct service *service);

/*
 * Takes over @config, and opens everything. An arena that cannot be opened is logged and shown as
 * offline, as long as another one can be, or one is waited for because its device is not there yet.
 * Else the error of the first arena is returned.
 */
int service_open(struct service **out, struct config *config, const struct config_sources *sources,
		 struct why *why);
/*
 * Settles and closes everything. Sessions stay in the roster and the ledgers: their clients may
 * come back to the next daemon.
 */
void service_close(struct service *service);

/* ---- service_reload.c ---- */

/* What a reload did with arenas, and what it did not take over, in words; "": nothing. */
struct service_kept {
	char arenas[1024];              /* which came, went, are drained or could not be opened */
	char until_restart[512];        /* names of settings that change with a restart */
	char for_good[512];             /* a sentence about what a restart does not change either */
};

/*
 * Reads the configuration again. If it has a mistake (-EINVAL etc.) all stays as it is; @complain,
 * unless NULL, is told each mistake, and *why is the first. Everything is logged.
 */
int service_reload(struct service *service, struct service_kept *kept, config_complain_fn *complain,
		   void *arg, struct why *why);

/* ---- service_places.c: which arena stands where ---- */

/*
 * Makes service.arenas, and puts the sections of the configuration into the places that their
 * arenas have. -ENOMEM; -ENOSPC with a sentence.
 */
int service_lay_out(struct service *service, struct why *why);
/*
 * Arena *index was opened: gives it the number of its UUID, which becomes *index, and takes over
 * whether it is drained. -ENOSPC with a sentence: no number is left; then it is closed again.
 */
int service_settle_place(struct service *service, uint32_t *index, struct why *why);
/* Does arena @index hand out no new space, since it is drained, or leaves? */
bool service_is_drained(const struct service *service, uint32_t index);
/* Nothing is served under the number @index any more; handles get the sentence @fmt. */
void service_vacate(struct service *service, uint32_t index, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Tells the watchers that arena @index came or left, or that rights have changed. */
void service_tell_arena(struct service *service, uint32_t index, enum arena_event_kind kind);
void service_tell_reloaded(struct service *service);

/* ---- service_change.c: arenas come and go ---- */

/*
 * Adds the arena @name with @nr settings "KEY=VALUE" and opens it. *section becomes the section
 * that a file would have, which the caller frees. -EEXIST, -EINVAL, -ENOSPC no number is left;
 * errors of arena_open(): nothing was added.
 */
int service_add(struct service *service, uint32_t *index, char **section, const char *name,
		const char *const *settings, size_t nr, struct why *why);
/* Adds what @section says, also if it cannot be opened yet: then it is waited for. -ENOSPC. */
int service_add_section(struct service *service, uint32_t *index,
			const struct config_arena *section, struct why *why);
/* Hands out no new space in arena @index from now on, or does again. -EBUSY with a sentence. */
int service_drain(struct service *service, uint32_t index, bool is_drained, struct why *why);
/*
 * Closes arena @index in order and serves it no more. -EBUSY with a sentence: somebody holds
 * something of it. *published, unless NULL, is how many allocations stay on its media.
 */
int service_remove(struct service *service, uint32_t index, uint64_t *published, struct why *why);
/* Removes those arenas whose section is gone, and of which nobody holds anything any more. */
void service_remove_leaving(struct service *service);

/* ---- service.c: finding arenas ---- */

/*
 * Returns arena @index; NULL, with *r and a sentence: -ENOENT, there is none; -EIO, it is not open.
 */
struct arena *service_arena(int *r, const struct service *service, uint32_t index, struct why *why);
/*
 * Finds an arena by its name or UUID. service_no_arena() writes the sentence for a name that there
 * is not, and returns -ENOENT.
 */
int service_find_arena(uint32_t *index, const struct service *service, const char *name,
		       struct why *why);
int service_no_arena(const char *name, struct why *why);
/*
 * Fills *caller: the daemon itself asks, on behalf of an administrator with @uid and @gid. -ENOMEM.
 */
int service_own_caller(struct caller *caller, struct service *service, uint32_t index, uint32_t uid,
		       uint32_t gid, struct why *why);
/* Returns how many arenas there are, open or not; and how many are open and not offline. */
uint32_t service_nr_here(const struct service *service);
uint32_t service_nr_open(const struct service *service);
/* Returns the first arena whose device is waited for; NULL: none is. */
const struct served *service_awaited(const struct service *service);
/* Writes one line of at most @size bytes for the service manager: how many arenas and sessions. */
void service_describe(char *text, size_t size, const struct service *service);

/*
 * Tries to open each arena that is not open and whose device, or the right to it, may have come
 * since; with @all also those that somebody must have mended. A failure is logged if its reason is
 * a new one.
 */
void service_look_again(struct service *service, bool all);

/* May a line that @uid caused be logged now? If not, it is counted. */
bool service_may_log(struct service *service, enum log_kind kind, uint32_t uid);
/*
 * Logs how many lines were counted in intervals that are over; with @all also in those that are
 * not.
 */
void service_tell_unlogged(struct service *service, bool all);

/* ---- service_transfer.c ---- */

/*
 * Moves a slice of the published @alloc of arena @from to arena @to, and says in *out how far it
 * is: it is moved when done is size. Call it until then; who does not for ten seconds has given up,
 * and so has who is refused: then all is as it was. -EBUSY somebody uses it, or another one is
 * being moved; -EAGAIN space there is being scrubbed: ask again; -EEXIST; -EIO; errors of
 * arena_reserve().
 */
int service_transfer(struct transfer *out, struct service *service, uint32_t from,
		     struct alloc *alloc, uint32_t to, struct why *why);
void service_transfer_tick(struct service *service);

/* ---- service_upkeep.c ---- */

/*
 * Makes durable what was staged in arena @index. On an error the arena is offline from now on; that
 * is logged here, once.
 */
int service_settle(struct service *service, uint32_t index);
/* Tells the watchers what happened in arena @index since the last call. */
void service_tell(struct service *service, uint32_t index);

/* Regular work. *busy: call it again in 100 ms; else in a few seconds. */
void service_tick(struct service *service, bool *busy);
/*
 * service_is_ending(): is a session that is over still being taken apart? service_step() does one
 * slice of that in each arena.
 */
bool service_is_ending(const struct service *service);
void service_step(struct service *service);
/* Takes back what was scrubbed. true: there is more clean space, who waits may try again. */
bool service_collect(struct service *service);
/* Ends the sessions of the daemon before that did not come back, in arenas and roster. */
void service_drop_orphans(struct service *service);
/*
 * Ends the orphans in the arenas alone, not in the roster: for an arena that was opened after
 * service_drop_orphans().
 */
void service_end_orphans(struct service *service);

#endif
