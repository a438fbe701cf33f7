/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life: see life.h. A number that a child of fork() counts up tells a parent's objects from its
 * own: asking the kernel for the process each time would cost more than a get does.
 */
#include "life.h"

#include <errno.h>
#include <pthread.h>

#include "error.h"

static unsigned generation;

static void count_fork(void)
{
	generation++;
}

int life_init(void)
{
	static bool is_done;
	int r = is_done ? 0 : pthread_atfork(NULL, NULL, count_fork);

	if (r != 0) {
		PyErr_NoMemory();
		return -1;
	}
	is_done = true;
	return 0;
}

void life_begin(struct life *life)
{
	life->generation = generation;
	life->state = LIFE_OPEN;
}

bool life_is_ours(const struct life *life)
{
	return life->generation == generation;
}

bool life_check(const struct life *life, const char *what)
{
	if (life->state == LIFE_NEW) {
		error_say(EBADF, NULL, "this %s was never opened: its constructor failed", what);
		return false;
	}
	if (!life_is_ours(life)) {
		error_say(EPERM, NULL,
			  "this %s is the parent process's: a child of fork() connects with a "
			  "Session of its own",
			  what);
		return false;
	}
	if (life->state != LIFE_OPEN) {
		error_say(EBADF, NULL, "this %s is closed: open another", what);
		return false;
	}
	return true;
}

bool life_may_close(const struct life *life, const char *what, bool defer)
{
	if (life->state != LIFE_OPEN || life->views == 0 || defer)
		return true;
	PyErr_Format(
		PyExc_BufferError,
		"views of this %s are in use (%zu): release them (memoryview.release(), del of "
		"arrays), or close with defer=True, which ends it after the last one",
		what, life->views);
	return false;
}

bool life_take_end(struct life *life)
{
	if (life->state != LIFE_CLOSING || life->uses > 0)
		return false;
	life->state = LIFE_OVER;
	return true;
}
