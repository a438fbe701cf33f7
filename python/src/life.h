/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life: when something of the library's may end. An object has uses: calls that are under way
 * without the interpreter's lock, and views of its memory. A close that finds uses is carried out
 * by whoever ends the last one. All members are guarded by the interpreter's lock.
 */
#ifndef PMEMARENA_PYTHON_LIFE_H
#define PMEMARENA_PYTHON_LIFE_H

#include "python.h"

#include <stdbool.h>

enum life_state { LIFE_NEW, LIFE_OPEN, LIFE_CLOSING, LIFE_OVER };

struct life {
	enum life_state state;
	unsigned generation; /* forks before the process that made it */
	size_t uses; /* calls and views */
	size_t views; /* the views among them */
};

/* Once, before any life begins. 0, or -1 with an exception. */
int life_init(void);
void life_begin(struct life *life);
/* False: a parent made it before fork(); its objects are not this process's to use. */
bool life_is_ours(const struct life *life);
/* Is it open here? Else an exception that says @what it is and what to do. */
bool life_check(const struct life *life, const char *what);
/*
 * A close was asked for. False with a BufferError: views are in use and @defer is not given. What
 * was closed already may be closed again.
 */
bool life_may_close(const struct life *life, const char *what, bool defer);
/* Is it time to end it? True once: the caller ends what the library has. */
bool life_take_end(struct life *life);

#endif
