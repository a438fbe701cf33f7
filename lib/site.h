/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * site: an arena as a client sees it: what the daemon said about it, a descriptor of its device a mode, and the plane that says which
 * handles are valid. Descriptors are asked for when they are first needed.
 */
#ifndef PMEMARENA_SITE_H
#define PMEMARENA_SITE_H

#include <bsd/sys/queue.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/why.h"
#include "lib/wire.h"

#define MAX_SITES 255   /* as many fit into a WELCOME */

struct pma;
struct subscription;

/* One descriptor of a device. A mapping needs it only while it is made. */
struct door {
	SLIST_ENTRY(door) link;         /* sites.old_doors */
	int      fd;                    /* owned */
	uint32_t nr_users;              /* under link.lock */
	bool     is_lent;               /* a caller has the number: stays open until the end */
	bool     is_old;                /* of a session that is over; on sites.old_doors */
};
SLIST_HEAD(door_list, door);

/* Constant once it can be seen; readers take no lock, so it stays until the end, also when another took its place. */
struct plane {
	SLIST_ENTRY(plane) link;        /* sites.planes */
	const _Atomic uint64_t *ids;    /* owned mapping; little-endian */
	uint64_t nr;
};
SLIST_HEAD(plane_list, plane);

struct site {
	struct wire_arena arena;
	struct door *doors[2];          /* owned; NULL: not attached; [1] is read-only */
	_Atomic(struct plane *) plane;  /* borrowed from sites.planes; NULL: not attached */
	_Atomic bool cannot_attach;     /* in this session: pma_is_valid() does not ask twice */
	struct subscription *subscription;      /* owned, one malloc(); NULL: none */
	bool has_lost_events;           /* the subscriber is to be told */
};

struct sites {
	_Atomic uint32_t nr;            /* only grows */
	struct site all[MAX_SITES];
	struct door_list old_doors;     /* owned */
	struct plane_list planes;       /* owned; all there ever were */
};

void site_fini(struct sites *sites);

/*
 * The arenas of a WELCOME. -ENOTCONN, with why: not the ones that handles of this client refer to, -EPROTO.
 */
int site_welcome(struct sites *sites, struct wire_reader *reader, struct why *why);
/* The session is over: its descriptors vouch for nothing in the next. */
void site_forget(struct sites *sites);

/* What the daemon said last; takes the lock. @arena < sites.nr. */
struct wire_arena site_arena(struct pma *pma, uint32_t arena);
#define SITE_NAME_MAX sizeof(((struct wire_arena *)0)->name)
const char *site_name(char buf[SITE_NAME_MAX], struct pma *pma, uint32_t arena);

/*
 * A door to the device, asked for if need be. The caller puts it back. -ENOENT no such arena, -EACCES, -EIO, errors of a call; with a message.
 * Takes the lock.
 */
int site_open(struct door **out, struct pma *pma, uint32_t arena, bool read_only);
void site_close(struct pma *pma, struct door *door);

/* NULL: cannot be had. */
const struct plane *site_plane(struct pma *pma, uint32_t arena);

#endif
