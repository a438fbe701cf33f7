/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: a whole arena in the memory of this process, as an object. What it pins is in pin.h.
 */
#ifndef PMEMARENA_PYTHON_WINDOW_H
#define PMEMARENA_PYTHON_WINDOW_H

#include "python.h"

#include <pmemarena.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "life.h"

struct block;
struct session;

struct window {
	PyObject_HEAD struct life life; /* views of it and of its pins are its views */
	LIST_ENTRY(window) link; /* session.windows, while `window` is not NULL */
	struct session *session; /* owned; one of its uses is this window's */
	struct pma_window *window; /* owned */
	LIST_HEAD(, block) blocks; /* borrowed; all pins that were not put, see pin.h */
	uint32_t arena;
	bool is_writable;
};

PyObject *window_class_new(void);
/* Begins a use. NULL with an exception. */
struct pma_window *window_enter(struct window *window);
void window_leave(struct window *window);
/* The same of a view, which close() counts. */
bool window_begin_view(struct window *window);
void window_end_view(struct window *window);
/* Closes it, now or after its last use. */
void window_close(struct window *window);

/* Methods that other files have. */
extern const PyMethodDef window_get_methods[];

#endif
