/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * site: an arena as a client sees it: what the daemon said about it, one descriptor of its device
 * for each mode (a *door*), and the *plane*, an array in shared memory with the id that lives in
 * each slot, by which the client sees which handles are valid. Descriptors are fetched from the
 * daemon when they are first needed.
 */
#ifndef PMEMARENA_SITE_H
#define PMEMARENA_SITE_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"
#include "lib/wire/wire.h"

#define MAX_SITES 255   /* a WELCOME has room for this many arenas */

struct pma;
struct subscription;

/*
 * One descriptor of a device. A mapping needs it only while the mapping is made; the kernel keeps
 * the file open for the mapping.
 */
struct door {
	SLIST_ENTRY(door) link;         /* in sites.old_doors */
	int      fd;                    /* owned */
	uint32_t nr_users;              /* callers that use it now; under link.lock */
	/*
	 * pma_device_fd() gave the number to the program: the descriptor stays open until
	 * pma_disconnect()
	 */
	bool     is_lent;
	/* it belongs to a session that is over, and is in sites.old_doors */
	bool     is_old;
};
SLIST_HEAD(door_list, door);

/*
 * Readers take no lock. So a plane is constant once it is published to them, and is not freed
 * before the end, also when a newer one has taken its place.
 */
struct plane {
	SLIST_ENTRY(plane) link;        /* in sites.planes */
	const _Atomic uint64_t *ids;    /* owned, a mapping; the ids are little-endian */
	uint64_t nr;
};
SLIST_HEAD(plane_list, plane);

struct site {
	struct wire_arena arena;
	/* owned; NULL: not attached; [0] is read-write, [1] read-only */
	struct door *doors[2];
	_Atomic(struct plane *) plane;  /* borrowed from sites.planes; NULL: not attached */
	/*
	 * This user may not use the arena, or may not any more; then `arena` is what was known
	 * before.
	 */
	bool is_hidden;
	/*
	 * The daemon refused to let this session attach it, or is away: pma_is_valid() does not
	 * ask again for each call, but after the next WELCOME.
	 */
	_Atomic bool cannot_attach;
	struct subscription *subscription;      /* owned, one malloc(); NULL: none */
	bool has_lost_events;           /* the subscriber must be given a PMA_EVENT_LOST */
};

struct sites {
	/* held while a thread asks for descriptors; before link.lock */
	pthread_mutex_t attaching;
	_Atomic uint32_t nr;            /* only grows; readers take no lock */
	struct site all[MAX_SITES];
	struct door_list old_doors;     /* owned */
	struct plane_list planes;       /* owned; every plane that was ever mapped */
};

/* Makes @sites, which is all zeroes, usable. */
void site_init(struct sites *sites);
void site_fini(struct sites *sites);

/*
 * Reads the arenas of a WELCOME. -ENOTCONN, with the reason in @why: these are not the arenas that
 * handles of this client refer to. -EPROTO.
 */
int site_welcome(struct sites *sites, struct wire_reader *reader, struct why *why);
/* Reads the arenas of a SURVEYED: more than before, or fewer. Under link.lock. -EPROTO. */
int site_surveyed(struct sites *sites, struct wire_reader *reader);
/* Arena @arena came or went, as an event says; what it is like is to be asked. Under link.lock. */
void site_came(struct sites *sites, uint32_t arena);
void site_went(struct sites *sites, uint32_t arena);
/*
 * The session is over: its doors are not used for new mappings, since the daemon would not connect
 * those with the new session.
 */
void site_forget(struct sites *sites);

/*
 * Takes over what a reply said about the arena at @index, if that makes sense: an arena that comes
 * on line after the WELCOME has its sizes from there. Under link.lock.
 */
void site_note(struct site *site, const struct wire_arena *arena, uint32_t index);
/* Closes the descriptor of @door and frees it. NULL is fine. */
void site_free_door(struct door *door);

/*
 * Returns what the daemon said last about an arena. Takes the lock. @arena must be less than
 * sites.nr.
 */
struct wire_arena site_arena(struct pma *pma, uint32_t arena);
#define SITE_NAME_MAX sizeof(((struct wire_arena *)0)->name)
const char *site_name(char buf[SITE_NAME_MAX], struct pma *pma, uint32_t arena);

/*
 * Sets the message for an arena that does not exist or that this user may not use, and returns
 * -ENOENT. It is the daemon's own sentence, the same in both cases, so that nobody learns which it
 * is.
 */
int site_refuse(uint32_t arena);

#endif
