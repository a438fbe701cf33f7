/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper: what the sweep (sweeper.c) and its list of acts (sweeper_acts.c) share.
 */
#ifndef PMEMARENA_SWEEPER_H
#define PMEMARENA_SWEEPER_H

#include <pmemarena.h>
#include <stdbool.h>
#include <sys/types.h>

#define NR_PIECES 3
#define NR_OPS    6

/* What one attempt has made. A member is 0 until it is there, and again when it is gone. */
struct world {
	const char *socket, *admin_socket;
	char name[32];                  /* one that no other attempt has */
	struct pma_options *options;
	struct pma *pma;
	struct pma_handle handle;
	struct pma_mapping *map;
	struct pma_cache *cache;
	struct pma_piece pieces[NR_PIECES];
	struct pma_publication publications[NR_PIECES];
	struct pma_op ops[NR_OPS];
	struct pma_heap *heap;
	struct pma_window *window;
	char *json;
	char text[256];                 /* a heap's own sentence; "": pma_message() has it */
	pid_t parent, noise;            /* of this process; one that makes events */
	int nr_events;
	bool is_mapped;                 /* the child's memory is still there after pma_unmap() */
};

enum act_flags {
	ACT_UNCONNECTED = 1,            /* the attempt makes no connection ahead */
	ACT_IN_CHILD = 2,               /* run() is called in a forked child */
	ACT_ENDS = 4,                   /* the connection is gone after run() */
	ACT_MUTE = 8,                   /* what run() returns needs no sentence */
	/* run() unmaps: what munmap() refuses stays mapped until the process ends */
	ACT_UNMAPS = 16,
	/* what it cannot tell the daemon, the daemon learns from the end of the session */
	ACT_FORGETS = 32,
	/* the daemon has the space back at its next look at marks, which takes two seconds */
	ACT_LATE = 64
};

/*
 * One call of the library, or several that belong together. @prepare is done without failures, then
 * @run with one, and again without one if it failed; @undo ends what @run made.
 */
struct act {
	const char *name;
	void (*prepare)(struct world *world);
	int (*run)(struct world *world);
	void (*undo)(struct world *world);
	unsigned flags;
	int expected;                   /* what run() returns when nothing fails */
};

/* ---- the calls of windows (sweeper_windows.c), for the table of acts ---- */

void have_window(struct world *w);
void have_window_of_parts(struct world *w);
void have_window_of_reservation(struct world *w);
void have_window_of_lost(struct world *w);
void have_window_of_killed(struct world *w);
int run_window_open(struct world *w);
int run_window_open_populated(struct world *w);
int run_get_name(struct world *w);
int run_get_handle(struct world *w);
int run_get_absent(struct world *w);
int run_get_again(struct world *w);
int run_window_close(struct world *w);
void undo_window(struct world *w);
void undo_window_close(struct world *w);
void undo_window_of_reservation(struct world *w);

/* ---- all of them ---- */

extern const struct act acts[];
extern const unsigned nr_acts;

/* Ends this attempt, which has failed before anything was made to fail, with a sentence. */
void must(int r, const char *what);
/* Has the daemon killed and another one started. */
void restart_daemon(void);

#endif
