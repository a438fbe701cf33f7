/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session: a connection as an object. Its methods on allocations are in operation.c, the lists in
 * listing.c, the events in event.c.
 */
#ifndef PMEMARENA_PYTHON_SESSION_H
#define PMEMARENA_PYTHON_SESSION_H

#include "python.h"

#include <pmemarena.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "life.h"

struct window;
struct events;

struct session {
	PyObject_HEAD struct life life; /* each window is a use */
	struct pma *pma; /* owned; NULL before it is open and after the end */
	LIST_HEAD(, window) windows; /* borrowed; each has a reference to the session */
	struct events *events; /* owned by event.c; NULL: not subscribed yet */
};

/* Makes the class. NULL with an exception. */
PyObject *session_class_new(void);
/* Is @object a Session? Else a TypeError. */
struct session *session_from(PyObject *object);
/*
 * Begins a use: the connection, which stays until session_leave(), also if another thread closes
 * the session meanwhile. NULL with an exception.
 */
struct pma *session_enter(struct session *session);
void session_leave(struct session *session);

/* Methods that other files have. */
extern const PyMethodDef session_operation_methods[], session_listing_methods[],
	session_event_methods[];

#endif
