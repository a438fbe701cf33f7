/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * moves: what is known of other hosts that had the arena. A daemon can ask its own kernel alone who
 * has space mapped; what a process of another host may have mapped is withheld: neither scrubbed
 * nor handed out.
 */
#ifndef PMEMARENA_MOVES_H
#define PMEMARENA_MOVES_H

#include "daemon/arena/arena.h"

#define MOVES_HOSTS 24
#define MOVES_NAME  44

/* A host whose processes may have space of the arena mapped. */
struct moves_host {
	char    name[MOVES_NAME];       /* "" if it is not known */
	uint8_t id[16];                 /* its machine id, or with is_identity its identity */
	bool    is_identity;
};

struct moves_hosts {
	struct moves_host list[MOVES_HOSTS];
	uint32_t nr;
};

/* Lists the hosts for which space of an open arena is withheld; arena_stats() says how much. */
void arena_abroad(struct moves_hosts *out, const struct arena *arena);
/* Returns how many bytes are free and withheld for those hosts. */
uint64_t arena_withheld(const struct arena *arena);

/*
 * On a device that nobody serves: the caller vouches that the hosts which had the arena are fenced,
 * that is, cannot store to it any more, and that none of their processes has it mapped. *out: those
 * that are forgotten for that. The next start, on this host, hands out all that is free. A host of
 * this very kernel stays if its processes have the arena mapped. Errors of arena_open(). With
 * @params->read_only it only says who would be forgotten, be they alive or not.
 */
int arena_take_over(struct moves_hosts *out, const struct arena_params *params, struct why *why);

/*
 * Gives an arena that hosts share, and this one owns, to host @host: the arena goes offline here,
 * and only @host can start it, or a take-over. -EINVAL: it is not shared, or @host is no other
 * host; -EUCLEAN: it is not online; -EIO.
 */
int arena_hand_over(struct arena *arena, const char *host, struct why *why);

/* Who owns an arena that hosts share. false: none share it. */
struct arena_owner {
	char     name[MOVES_NAME];
	uint64_t term;
};
bool arena_owner(struct arena_owner *out, const struct arena *arena);

#endif
