/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * served: one arena of the configuration as the daemon serves it: the open arena, or the reason why
 * it is not open.
 */
#ifndef PMEMARENA_SERVED_H
#define PMEMARENA_SERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/arena/arena.h"
#include "daemon/config/config.h"
#include "lib/wire/why.h"

struct service;

struct served {
	char           name[CONFIG_NAME_MAX];
	/*
	 * There was an arena with this number, and is none now: handles lead to a sentence,
	 * `reason`.
	 */
	bool           is_gone;
	/* An administrator added it: no section of a file has it. */
	bool           is_added;
	/* its section is gone from the file: it goes when nobody holds anything of it */
	bool           is_leaving;
	/* owned; NULL: it could not be opened, and `reason` says why */
	struct arena  *arena;
	char           reason[sizeof(struct why)];
	/*
	 * The part that the daemon itself takes in the arena, for what an administrator asks for;
	 * joined when it is first needed.
	 */
	struct holder *own;
	int            err;             /* -errno of the attempt to open it; 0: it is open */
	bool           is_offline;      /* it went offline, and the log says so */
	/* when the log last said that its file had been made longer; 0: never */
	uint64_t       grew_ns;
	uint64_t       mended;          /* table slots that the verifier rewrote */
	/* who the log last said has a lock over the marks */
	struct device_stranger stranger;
	uint64_t       stranger_ns;     /* when the log said so, by CLOCK_MONOTONIC */
};

/*
 * Opens the arena that @from describes, with the parts of @service that all arenas share. An error
 * is also in served.err and served.reason. It is not logged here: the caller knows whether it is
 * news.
 */
int served_open(struct served *served, struct service *service, const struct config_arena *from,
		struct why *why);
/*
 * A size in the configuration is for a file that does not exist yet. Does the file have another
 * one? Then @text says so.
 */
bool served_is_other_size(char *text, size_t size, const struct served *served,
			  const struct config_arena *wish);

/*
 * Does what an open arena needs at each tick: its own upkeep, a cut of what clients appended to its
 * file, and so much verifying that all is verified in @verify_interval_ms (0: nothing is).
 * @elapsed_ns is the time since the last tick.
 */
void served_tick(struct served *served, uint64_t verify_interval_ms, uint64_t now,
		 uint64_t elapsed_ns);
/* Logs that the arena went offline, once, however many callers notice it. */
void served_log_if_offline(struct served *served);
/*
 * As served_log_if_offline(); and logs which process locks the marks without right. One that locks
 * and unlocks all the time does not fill the log.
 */
void served_report(struct served *served, uint64_t now);

#endif
