/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * books: what a stormer made and what was acknowledged of it, in a file that outlives the stormer.
 * The next life of a killed one finds there what must still be there, and what may.
 */
#ifndef TESTS_STORM_BOOKS_H
#define TESTS_STORM_BOOKS_H

#include <pmemarena.h>
#include <stdbool.h>
#include <stdint.h>

#define BOOKS_ENTRIES 20u

enum entry_state {
	ENTRY_EMPTY,
	ENTRY_MAKING,           /* asked for: may be there under its name */
	ENTRY_RESERVED,         /* dies with the session */
	ENTRY_LIVE,             /* acknowledged: must be there */
	ENTRY_RESIZING, ENTRY_RENAMING, ENTRY_DROPPING, /* LIVE, and something asked for */
};

struct entry {
	enum entry_state state;
	struct pma_handle handle;       /* from RESERVED on */
	uint64_t origin;
	uint64_t token;                 /* 0: none */
	uint64_t len;                   /* bytes */
	uint64_t filled;                /* blocks below have a stamp */
	/* versions: no stamp is older than done, none newer than begun */
	uint64_t begun, done;
	uint32_t stride;                /* every so many blocks get a stamp */
	uint32_t nr_names;              /* how many it has had */
	uint32_t life;                  /* of this stormer, which asked for it */
	bool     is_clean;              /* what is not filled was never written to: it is zero */
	bool     is_shared;             /* others may open it */
	bool     is_unnamed;
	/*
	 * something asked of it was answered with an error of the arena: done or not, the next
	 * daemon knows
	 */
	bool is_doubtful;
	char     name[64];              /* in MAKING and RENAMING the one that is asked for */
	char     last_name[64];         /* RENAMING: the one that it had */
};

#define BOOKS_DEEDS 1024u

/* What was done to which thing: for whoever reads the evidence. */
struct deed {
	uint64_t at_ms;                 /* CLOCK_MONOTONIC */
	uint64_t origin;                /* 0: unused */
	char     what[16];
};

struct books {
	uint32_t lives;                 /* of this stormer, this one too */
	uint32_t session_lost;          /* how often */
	uint64_t next_number;           /* of its next origin */
	uint64_t nr_operations, nr_checks;
	int32_t nr_children;            /* alive, of this life */
	uint64_t nr_done[32];           /* by kind of operation */
	uint64_t nr_deeds;
	struct deed deeds[BOOKS_DEEDS]; /* a ring */
	struct entry entries[BOOKS_ENTRIES];
};

/* The file, made when it is not there; exits on failure. */
struct books *books_open(const char *path);
void books_note(struct books *books, uint64_t origin, const char *what);
uint64_t now_ms(void);

#endif
