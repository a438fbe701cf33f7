/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main: runs the groups of the one test that it is linked with. Exit status: 0 all passed, 1 one failed, 77 skipped.
 */
#include <config.h>

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static TCase *make_group(const struct unit_group *group)
{
	TCase *t = tcase_create(group->name ? group->name : the_unit.name);

	if (group->timeout_s)
		tcase_set_timeout(t, group->timeout_s);
	tcase_add_checked_fixture(t, group->setup, group->teardown);
	group->add(t);
	return t;
}

static int run_groups(void)
{
	Suite *suite = suite_create(the_unit.name);
	SRunner *runner;
	int nr_failed;

	for (const struct unit_group *group = the_unit.groups; group->add; group++)
		suite_add_tcase(suite, make_group(group));
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(void)
{
	const char *why = the_unit.why_not ? the_unit.why_not() : NULL;

	if (!why)
		return run_groups();
	puts(why);
	return 77;
}
