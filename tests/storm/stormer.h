/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stormer: one client of a storm, and what its parts share. Each part does one random thing at each
 * call.
 */
#ifndef TESTS_STORM_STORMER_H
#define TESTS_STORM_STORMER_H

#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/storm/books.h"
#include "tests/storm/watch.h"

/* The users of a storm, beside root; the driver has the same. */
#define FIRST_UID 60001u
#define NR_UIDS   4u

struct stormer {
	struct pma *pma;                /* NULL: not connected */
	struct pma *other;              /* a second session of the same user; may be NULL */
	struct books *books;
	unsigned maker;                 /* its number, for its origins */
	unsigned nr_makers;             /* of all */
	uint32_t uid;
	/* calls fail at random: any refusal is expected, wrong contents are not */
	bool is_tolerant;
	bool     is_lost;               /* the session is: connect anew */
	bool     wants_room;            /* something was refused for want of it: free something */
	/* CLOCK_MONOTONIC; by then no child of an earlier life is left */
	uint64_t alone_ms;
	uint64_t seed;
	uint32_t nr_arenas;             /* for everybody */
	struct pma_arena arenas[8];
	uint32_t tenants;               /* the index of the one behind them: see tenant.c */
};

extern struct stormer me;

uint64_t rnd(uint64_t n);       /* below @n */

/*
 * 0 is true. False: refused as may happen in a storm. Anything else is evidence, and ends the
 * process.
 */
__attribute__((format(printf, 2, 3)))
bool went(int r, const char *what, ...);
/* It is known that it was not done. */
bool was_refused(int r);
/* Evidence, and the end of the process. */
__attribute__((format(printf, 2, 3), noreturn))
void fail(const void *block, const char *fmt, ...);

enum kind {
	KIND_MAKE,
	KIND_VERIFY,
	KIND_RESIZE,
	KIND_RENAME,
	KIND_SETATTR,
	KIND_DROP,
	KIND_BATCH,
	KIND_LIST,
	KIND_ABORT,
	KIND_HEIR,
	KIND_EXTENTS,
	KIND_GUEST,
	KIND_PIECE,
	KIND_PUBLISH,
	KIND_OBJECT,
	KIND_CONNECT,
	KIND_EVENT,
	KIND_TENANT,
	KIND_NR
};
void count(enum kind kind);

/* ---- own.c: one entry of the books ---- */

/* In the name of its entry; its stamps are what entry->origin says. */
void own_begin(struct entry *entry, bool has_token);
void own_make(struct entry *entry);
/*
 * Opens, maps and compares; with @stamp also writes. NULL: it could not be mapped. The caller
 * unmaps.
 */
struct pma_mapping *own_map(struct entry *entry, bool stamp);
void own_verify(struct entry *entry);
void own_resize(struct entry *entry);
void own_rename(struct entry *entry);
void own_set(struct entry *entry);
void own_drop(struct entry *entry);
/* Whatever was asked for and not answered: was it done? */
void own_settle(struct entry *entry);
void own_check_memory(struct entry *entry, const char *base, bool stamp);

/* ---- many.c: several entries at once ---- */

void many_batch(void);
void many_list(void);

/* ---- heir.c: children that keep what they inherited, and maps of the program's own ---- */

/* A child that looks at @nr watches for a while. False: there are enough of them. */
bool heir_spawn(const struct watch *watches, unsigned nr);
/* a child keeps it, the parent goes on in one of many ways */
void heir_of(struct entry *entry);
void heir_extents(struct entry *entry); /* the program maps it by itself, and goes on so */
void heir_look(void);                   /* at the program's own maps */

/* ---- guest.c: what others made ---- */

void guest_step(void);
void guest_look(void);

/* ---- pieces.c, objects.c: caches and heaps ---- */

void pieces_step(void);
void pieces_end(void);
void objects_step(void);
void objects_end(void);

/* ---- tenant.c: the arena that not everybody may use ---- */

void tenant_step(void);
void tenant_look(void);
bool tenant_sweep(void);                /* false: the session was lost, or calls fail */

#endif
