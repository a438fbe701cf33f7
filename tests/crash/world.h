/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world: a machine with one arena on a recording media. It is formatted, opened, killed, switched
 * off and on again; what its clients store goes through the recorder, too. One world lives at a
 * time, one thread uses it.
 *
 * The scrubber's jobs wait until the test lets one run, as a thread of its own: so the order of
 * everything is the test's to choose, and the same each time.
 */
#ifndef PMEMARENA_WORLD_H
#define PMEMARENA_WORLD_H

#include "daemon/arena/arena.h"
#include "tests/standin/recorder.h"

/* A kind of device, and how an arena lies on it. */
struct flavour {
	const char *name;
	enum device_kind kind;
	uint64_t align;
	bool     apart;                 /* the metadata is on a device of its own */
	uint64_t page_size;
	uint64_t nr_pages;              /* of data, about */
};

extern const struct flavour flavours[];
extern const unsigned nr_flavours;
const struct flavour *find_flavour(const char *name);   /* NULL */

/* Whose operations they are in the log. */
enum world_thread { WORLD_LOOP, WORLD_SCRUBBER, WORLD_CLIENT };

#define WORLD_SESSION 7                 /* the client's */

struct world {
	const struct flavour *flavour;
	struct recorder *rec;           /* these are owned */
	struct scrubber *scrubber;
	struct quota *quota;
	struct arena *arena;            /* NULL: down */
	struct media *client;           /* the data area as clients map it; NULL: down */
	struct holder *holder;          /* the client's; of the arena */
	/*
	 * the client's descriptor of the device, which carries its mark: by it the daemon sees that
	 * the client may still have mapped what it freed; -1: none
	 */
	int      mark_fd;
	struct arena_params params;
	char     dir[64];
	uint64_t now;                   /* marks in the log since world_init() */
	/* a daemon was killed in the middle of something: its memory is lost */
	bool leaks;
	struct why why;
};

/* @nr_slots of the table. The devices are blank. */
void world_init(struct world *world, const struct flavour *flavour, uint64_t nr_slots);
void world_fini(struct world *world);

/* As arena_open(); on success the client has joined. */
int  world_open(struct world *world);
void world_close(struct world *world);          /* in order */

/*
 * The daemon is gone, where it stands: after a jump of the recorder (@jumped), whose memory is
 * lost, or between two operations. The log goes on.
 */
void world_kill(struct world *world, bool jumped);
/* The client is gone, and with it all that it had mapped. The arena was closed or killed. */
void world_unmap(struct world *world);
/* Power comes back with these bytes on the devices. The arena was closed or killed. */
void world_boot(struct world *world, const struct image *image);

/*
 * The exit status of a program that had worlds. It does not return when a daemon was killed in the
 * middle of something in one of them: what that had allocated is nobody's, and a leak checker at
 * the exit would complain of it.
 */
int world_exit(int status);

/* A line in the log; returns the new time. */
uint64_t world_mark(struct world *world);

/* Let the @n-th waiting job (of those there are, modulo) run. false: none waits. */
bool world_scrub(struct world *world, uint64_t n);
/* All of them, and those that come of it; then everything is as clean as it gets. */
void world_scrub_all(struct world *world);

/* Which device has the data, and where it begins. The arena is open. */
unsigned world_data_device(const struct world *world);

#endif
