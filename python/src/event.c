/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event: see event.h.
 */
#include "event.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "name.h"
#include "record.h"
#include "session.h"

struct event {
	STAILQ_ENTRY(event) link; /* in events.all */
	struct pma_event event;
	char name[PMA_MAX_NAME + 1];
};

struct events {
	STAILQ_HEAD(, event) all; /* owned */
	/* a thread is in pma_dispatch(), and alone may touch the queue */
	bool is_dispatching;
	bool has_lost; /* no memory for one of them */
};

static void drop_all(struct events *events)
{
	struct event *event;

	while ((event = STAILQ_FIRST(&events->all))) {
		STAILQ_REMOVE_HEAD(&events->all, link);
		free(event);
	}
}

void events_free(struct events *events)
{
	if (events)
		drop_all(events);
	free(events);
}

/* Without the interpreter's lock. */
static void arrived(const struct pma_event *event, void *arg)
{
	struct events *events = arg;
	struct event *copy = malloc(sizeof(*copy));

	if (!copy) {
		events->has_lost = true;
		return;
	}
	copy->event = *event;
	strncpy(copy->name, event->name, sizeof(copy->name) - 1);
	copy->name[sizeof(copy->name) - 1] = '\0';
	STAILQ_INSERT_TAIL(&events->all, copy, link);
}

/* ---- subscribing ---- */

static struct events *events_of(struct session *session)
{
	if (!session->events) {
		session->events = calloc(1, sizeof(*session->events));
		if (!session->events)
			return (struct events *)PyErr_NoMemory();
		STAILQ_INIT(&session->events->all);
	}
	return session->events;
}

static int subscribe(struct session *session, uint32_t arena, const struct name *prefix)
{
	struct pma *pma = session_enter(session);
	struct events *events;
	int r;

	if (!pma)
		return -1;
	events = events_of(session);
	if (!events) {
		session_leave(session);
		return -1;
	}
	Py_BEGIN_ALLOW_THREADS
	r = pma_subscribe(pma, arena, prefix ? prefix->text : NULL, prefix ? arrived : NULL,
			  events);
	Py_END_ALLOW_THREADS
	if (r < 0)
		error_raise(r, NULL);
	session_leave(session);
	return r < 0 ? -1 : 0;
}

PyDoc_STRVAR(subscribe_doc,
	     "subscribe($self, arena, prefix='')\n--\n\n"
	     "From now on dispatch() returns the events of allocations of arena number\n"
	     "`arena` whose names begin with `prefix` ('': all, also unnamed ones). An arena\n"
	     "has one subscription: a second call replaces the first.");

static PyObject *session_subscribe(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "arena", "prefix", NULL };
	PyObject *number, *text = NULL;
	struct name prefix = { "", 0, NULL };
	uint64_t arena;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:subscribe", KEYWORDS(keywords), &number,
					 &text))
		return NULL;
	if (!record_read_number(&arena, number, UINT32_MAX, "arena"))
		return NULL;
	if (text && !name_init(&prefix, text))
		return NULL;
	r = subscribe((struct session *)self, (uint32_t)arena, &prefix);
	name_fini(&prefix);
	if (r < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyDoc_STRVAR(unsubscribe_doc, "unsubscribe($self, arena, /)\n--\n\n"
			      "End the subscription of an arena.");

static PyObject *session_unsubscribe(PyObject *self, PyObject *number)
{
	uint64_t arena;

	if (!record_read_number(&arena, number, UINT32_MAX, "arena"))
		return NULL;
	if (subscribe((struct session *)self, (uint32_t)arena, NULL) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* ---- dispatching ---- */

static bool append(PyObject *list, const struct pma_event *event, const char *name)
{
	PyObject *record = record_event(event, name);
	bool is_appended = record && PyList_Append(list, record) == 0;

	Py_XDECREF(record);
	return is_appended;
}

/* A list of all that arrived; what does not fit into memory waits for the next call. */
static PyObject *take_all(struct events *events)
{
	struct pma_event lost = { .kind = PMA_EVENT_LOST };
	PyObject *list = PyList_New(0);
	struct event *event;

	while (list && (event = STAILQ_FIRST(&events->all))) {
		if (!append(list, &event->event, event->name)) {
			Py_CLEAR(list);
			break;
		}
		STAILQ_REMOVE_HEAD(&events->all, link);
		free(event);
	}
	if (list && events->has_lost) {
		events->has_lost = false;
		if (!append(list, &lost, ""))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *dispatch(struct pma *pma, struct events *events)
{
	PyObject *list;
	int r;

	events->is_dispatching = true;
	Py_BEGIN_ALLOW_THREADS
	r = pma_dispatch(pma);
	Py_END_ALLOW_THREADS
	/* What came before the connection was lost is told first. */
	if (r < 0 && STAILQ_EMPTY(&events->all))
		list = error_raise(r, NULL);
	else
		list = take_all(events);
	events->is_dispatching = false;
	return list;
}

PyDoc_STRVAR(dispatch_doc,
	     "dispatch($self, /)\n--\n\n"
	     "Handle what has arrived, and return the events among it: a list of Event, which\n"
	     "is empty when there are none, or when another thread is dispatching. Never\n"
	     "waits.");

static PyObject *session_dispatch(PyObject *self, PyObject *unused)
{
	struct session *session = (struct session *)self;
	struct pma *pma = session_enter(session);
	struct events *events;
	PyObject *list = NULL;

	if (!pma)
		return NULL;
	events = events_of(session);
	if (events)
		list = events->is_dispatching ? PyList_New(0) : dispatch(pma, events);
	session_leave(session);
	return list;
}

const PyMethodDef session_event_methods[] = {
	{ "subscribe", METHOD(session_subscribe), METH_VARARGS | METH_KEYWORDS, subscribe_doc },
	{ "unsubscribe", session_unsubscribe, METH_O, unsubscribe_doc },
	{ "dispatch", session_dispatch, METH_NOARGS, dispatch_doc },
	{ NULL, NULL, 0, NULL },
};
