/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * party: shares of a round, what is owed from one round to the next, and that nobody is remembered
 * who is not there.
 */
#include <config.h>

#include "daemon/serve/party.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

static struct parties parties;

static void setup(void)
{
	parties_init(&parties);
}

static struct party *get(uint32_t uid)
{
	struct party *party = NULL;

	ck_assert_int_eq(party_get(&party, &parties, uid), 0);
	return party;
}

START_TEST(test_party_of_a_user_is_one_however_many_connections_it_has)
{
	struct party *first = get(1000), *other = get(1001);

	ck_assert_ptr_eq(get(1000), first);
	ck_assert_ptr_ne(first, other);
	ck_assert(parties_compete(&parties));
	party_put(&parties, first);
	ck_assert(parties_compete(&parties));
	party_put(&parties, first);
	ck_assert(!parties_compete(&parties));
	party_put(&parties, other);
	party_put(&parties, NULL);
	ck_assert_uint_eq(parties.nr, 0);
}
END_TEST

START_TEST(test_party_has_one_share_a_round)
{
	struct party *party = get(1000);

	party_spend(party, &parties, PARTY_SHARE_NS - 1);
	ck_assert(party_has_turn(party, &parties));
	party_spend(party, &parties, 1);
	ck_assert(!party_has_turn(party, &parties));
	ck_assert(!party_has_turn(party, &parties));
	parties.round++;
	ck_assert(party_has_turn(party, &parties));
	party_put(&parties, party);
}
END_TEST

START_TEST(test_party_sits_out_what_it_took_beyond_its_share)
{
	struct party *party = get(1000);

	party_spend(party, &parties, 3 * PARTY_SHARE_NS);
	for (int i = 0; i < 2; i++) {
		parties.round++;
		ck_assert(!party_has_turn(party, &parties));
	}
	parties.round++;
	ck_assert(party_has_turn(party, &parties));
	party_put(&parties, party);
}
END_TEST

START_TEST(test_party_owes_no_more_than_the_bound)
{
	struct party *party = get(1000);

	party_spend(party, &parties, UINT64_MAX / 2);
	parties.round += PARTY_DEBT_NS / PARTY_SHARE_NS;
	ck_assert(party_has_turn(party, &parties));
	parties.round += UINT32_MAX;
	ck_assert(party_has_turn(party, &parties));
	party_put(&parties, party);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_party_of_a_user_is_one_however_many_connections_it_has);
	tcase_add_test(t, test_party_has_one_share_a_round);
	tcase_add_test(t, test_party_sits_out_what_it_took_beyond_its_share);
	tcase_add_test(t, test_party_owes_no_more_than_the_bound);
}

UNIT("party", { .add = add_tests, .setup = setup });
