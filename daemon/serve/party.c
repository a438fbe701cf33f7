/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * party: a tree of the users who are connected, with an account of the time that was spent for
 * each.
 */
#include <config.h>

#include "daemon/serve/party.h"

#include <errno.h>
#include <stdlib.h>

static int compare_uid(const struct party *a, const struct party *b)
{
	return (a->uid > b->uid) - (a->uid < b->uid);
}

RB_GENERATE_INTERNAL(party_tree, party, link, compare_uid, __attribute__((unused)) static)

void parties_init(struct parties *parties)
{
	*parties = (struct parties){ .round = 1 };
	RB_INIT(&parties->tree);
}

int party_get(struct party **out, struct parties *parties, uint32_t uid)
{
	struct party key = { .uid = uid }, *party = RB_FIND(party_tree, &parties->tree, &key);

	if (!party) {
		party = calloc(1, sizeof(*party));
		if (!party)
			return -ENOMEM;
		*party = (struct party){ .uid = uid, .round = parties->round };
		RB_INSERT(party_tree, &parties->tree, party);
		parties->nr++;
	}
	party->nr++;
	*out = party;
	return 0;
}

void party_put(struct parties *parties, struct party *party)
{
	if (!party || --party->nr > 0)
		return;
	RB_REMOVE(party_tree, &parties->tree, party);
	parties->nr--;
	free(party);
}

/* Brings the account up to date: each round of the loop since the last time pays for one share. */
static void pay(struct party *party, const struct parties *parties)
{
	uint64_t passed = parties->round - party->round;

	if (passed > party->spent_ns / PARTY_SHARE_NS)
		party->spent_ns = 0;
	else
		party->spent_ns -= passed * PARTY_SHARE_NS;
	party->round = parties->round;
}

bool party_has_turn(struct party *party, const struct parties *parties)
{
	pay(party, parties);
	return party->spent_ns < PARTY_SHARE_NS;
}

/*
 * Charges the time. The debt has a limit: else one long request would shut the user out for long.
 */
void party_spend(struct party *party, const struct parties *parties, uint64_t ns)
{
	pay(party, parties);
	party->spent_ns += ns;
	if (party->spent_ns > PARTY_DEBT_NS)
		party->spent_ns = PARTY_DEBT_NS;
}
