/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * party: one user with all of its connections, for the question whose turn it is. A round is one
 * pass of the daemon's loop. In each round every user has the same share of the daemon's time,
 * however many connections it has. A user that took more than its share in one round waits for as
 * many rounds as pay for it. This file reads no clock and knows no socket.
 */
#ifndef PMEMARENA_PARTY_H
#define PMEMARENA_PARTY_H

#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/tree.h>

/*
 * The share of one user in one round, in nanoseconds: a few requests, or one slice of a long one.
 * Others wait at most so long, plus the end of the request that is under way.
 */
#define PARTY_SHARE_NS UINT64_C(10000)
/*
 * The most time that a user can owe, in nanoseconds: no single request makes its user wait longer.
 */
#define PARTY_DEBT_NS  UINT64_C(20000000)

struct party {
	RB_ENTRY(party) link;           /* parties.tree */
	uint32_t uid;
	uint32_t nr;                    /* connections that point here */
	/* names that its sessions wait for: each change in an arena is compared with all of them */
	uint32_t nr_awaiting;
	uint64_t round;                 /* the round in which spent_ns was brought up to date */
	uint64_t spent_ns;
};

struct parties {
	RB_HEAD(party_tree, party) tree;        /* owned */
	uint32_t nr;
	uint64_t round;
};

void parties_init(struct parties *parties);
/*
 * party_get() counts one connection more of user @uid and gives its account. Returns 0, or -ENOMEM:
 * nothing is counted. party_put() counts one less and frees the account with the last; NULL does
 * nothing.
 */
int party_get(struct party **out, struct parties *parties, uint32_t uid);
void party_put(struct parties *parties, struct party *party);

/* Are several users connected? With one user nobody waits, and no time is taken. */
static inline bool parties_compete(const struct parties *parties)
{
	return parties->nr > 1;
}

/* Has the user some of its share of this round left? */
bool party_has_turn(struct party *party, const struct parties *parties);
/* Charges @party with @ns nanoseconds of the daemon's time. */
void party_spend(struct party *party, const struct parties *parties, uint64_t ns);

#endif
