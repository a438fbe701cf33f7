/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view_fixture: what both tests of the view need: a catalog on paper, and a view of it.
 */
#ifndef PMEMARENA_TESTS_VIEW_FIXTURE_H
#define PMEMARENA_TESTS_VIEW_FIXTURE_H

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "lib/window/view.h"
#include "tests/unit/unit.h"
#include "tests/unit/window_fixture.h"

static struct paper paper;
static struct view *view;
static struct sight sight;

static inline void begin(void)
{
	struct why why;

	paper_init(&paper, 16);
	ck_assert_int_eq(view_new(&view, paper.fd, &why), 0);
}

static inline void end(void)
{
	view_free(view);
	paper_fini(&paper);
}

static inline enum sighting find(const char *name)
{
	uint32_t tag = view_tag(view, name, strlen(name));

	view_fetch_head(view, tag);
	view_fetch_entry(view, tag);
	return view_find_name(&sight, view, tag, name, strlen(name));
}

#endif
