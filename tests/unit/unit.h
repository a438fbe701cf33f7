/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unit: what a unit test gives to tests/unit/main.c, which runs it. A test is a source file test_NAME.c with Check's
 * START_TEST cases, functions that add them to a group, and one UNIT() at its end:
 *
 *	static void add_tests(TCase *t)
 *	{
 *		tcase_add_test(t, test_size_text_reads_back);
 *	}
 *
 *	UNIT("size", { .add = add_tests, .setup = setup, .timeout_s = 30 });
 *
 * run-test counts results by the names of the cases. CK_FORK, CK_TIMEOUT_MULTIPLIER and the other variables of Check
 * work as its manual says.
 */
#ifndef PMEMARENA_UNIT_H
#define PMEMARENA_UNIT_H

#include <check.h>

#define UNIT_MAX_GROUPS 4

/* Cases that share a fixture and a limit. */
struct unit_group {
	const char *name;               /* NULL: that of the unit */
	void (*add)(TCase *t);
	void (*setup)(void);            /* before each case, in its process; NULL: nothing */
	void (*teardown)(void);         /* after each that did not fail; the same */
	int timeout_s;                  /* of each case; 0: what Check gives, 4 s */
};

struct unit {
	const char *name;
	const char *(*why_not)(void);   /* why this machine cannot run it, which skips it, or NULL; NULL itself: it always runs */
	struct unit_group groups[UNIT_MAX_GROUPS + 1];  /* a group without cases ends them */
};

/* Each test program defines it once. */
extern const struct unit the_unit;

#define UNIT_IF(why_not_, name_, ...) const struct unit the_unit = { .name = name_, .why_not = why_not_, .groups = { __VA_ARGS__ } }
#define UNIT(name, ...) UNIT_IF(NULL, name, __VA_ARGS__)

#endif
