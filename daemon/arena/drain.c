/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drain: an arena that is being emptied hands out no new space, and serves what is there. It can go
 * when nobody holds anything of it any more; who does is said here.
 */
#include <config.h>

#include "daemon/arena/drain.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/arena/arena_drain.h"
#include "daemon/arena/arena_internal.h"
#include "daemon/arena/events.h"
#include "daemon/arena/room.h"
#include "daemon/arena/sentence.h"
#include "daemon/arena/window.h"

void arena_set_drained(struct arena *arena, bool is_drained)
{
	struct alloc wanted = { .nr_pfns = 0 };

	arena->room.when_ns = 0;
	if (is_drained && !arena->is_drained)
		wanted.nr_pfns = room_look(arena)->leased >> DESC_SHIFT;
	arena->is_drained = is_drained;
	/* What caches took ahead is space that nobody uses yet: they give back what they can. */
	if (wanted.nr_pfns)
		events_add(arena, ARENA_RECALL, &wanted);
}

bool arena_is_drained(const struct arena *arena)
{
	return arena->is_drained;
}

int drain_check(const struct arena *arena, struct why *why)
{
	if (!arena->is_drained)
		return 0;
	return why_set(why, -ENOSPC,
		       "arena %s is drained: it hands out no new space, and serves what is there; "
		       "use another arena",
		       arena->identity.name);
}

/* ---- who holds something ---- */

static uint32_t nr_of_holds(const struct holder *holder)
{
	const struct hold *hold;
	uint32_t nr = 0;

	TAILQ_FOREACH(hold, &holder->holds, by_holder)
		nr++;
	return nr;
}

/* Names the session that is told of first, by what a person can look for. */
static void say_holder(struct sentence *s, const struct holder *holder)
{
	uint32_t nr = nr_of_holds(holder);

	sentence_say(s, "session %" PRIu64 " of uid %" PRIu32, holder->session, holder->uid);
	if (holder->who.pid)
		sentence_say(s, " (pid %d, %s)", holder->who.pid, holder->who.command);
	sentence_say(s, " has %" PRIu32 " allocation%s reserved, open or perhaps mapped", nr,
		     nr == 1 ? "" : "s");
}

static void say_number(struct sentence *s, uint32_t nr, const char *what, const char *plural)
{
	if (nr)
		sentence_say(s, "%s%" PRIu32 " %s%s", s->len ? "; " : "", nr, what,
			     nr == 1 ? "" : plural);
}

bool arena_is_held(const struct arena *arena, struct why *why)
{
	uint32_t nr_sessions = 0, nr_windows = 0, nr_freeing = 0;
	struct sentence s = { .len = 0 };
	const struct holder *holder;
	const struct window *window;
	const struct alloc *alloc;

	TAILQ_FOREACH(holder, &arena->holders, link) {
		if (!TAILQ_EMPTY(&holder->holds) && nr_sessions++ == 0)
			say_holder(&s, holder);
	}
	TAILQ_FOREACH(window, &arena->windows, link)
		nr_windows++;
	TAILQ_FOREACH(alloc, &arena->freeing, link)
		nr_freeing++;
	say_number(&s, nr_sessions > 1 ? nr_sessions - 1 : 0, "other session holds something",
		   " hold something");
	say_number(&s, nr_windows, "window on it", "s");
	say_number(&s, nr_freeing, "freed allocation that may still be mapped", "s");
	if (s.len)
		why_set(why, -EBUSY, "%s", s.text);
	return s.len > 0;
}
