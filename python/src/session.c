/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session: see session.h. Every method that may talk to the daemon releases the interpreter's lock;
 * for as long the session has one more use, so that a close in another thread waits for it.
 */
#include "session.h"

#include <string.h>

#include "error.h"
#include "event.h"
#include "name.h"
#include "record.h"
#include "window.h"

static PyObject *session_class; /* owned */

struct session *session_from(PyObject *object)
{
	int r = PyObject_IsInstance(object, session_class);

	if (r == 0)
		PyErr_Format(PyExc_TypeError, "expected a Session, not %R", Py_TYPE(object));
	return r == 1 ? (struct session *)object : NULL;
}

/* ---- uses ---- */

static void end_if_due(struct session *session)
{
	if (!life_take_end(&session->life))
		return;
	/*
	 * With the interpreter's lock: no thread may unmap or put through this connection while it
	 * ends. It does not wait for the daemon.
	 */
	pma_disconnect(session->pma);
	session->pma = NULL;
	events_free(session->events);
	session->events = NULL;
}

struct pma *session_enter(struct session *session)
{
	if (!life_check(&session->life, "session"))
		return NULL;
	session->life.uses++;
	return session->pma;
}

void session_leave(struct session *session)
{
	session->life.uses--;
	end_if_due(session);
}

/* ---- connecting ---- */

static int set_options(struct pma_options *options, const struct name *socket,
		       unsigned reconnect_ms, unsigned busy_poll_us)
{
	int r = 0;

	if (socket->text)
		r = pma_options_set_socket(options, socket->text);
	if (r == 0)
		r = pma_options_set_reconnect_ms(options, reconnect_ms);
	return r < 0 ? r : pma_options_set_busy_poll_us(options, busy_poll_us);
}

static int connect_to(struct pma **out, const struct name *socket, unsigned reconnect_ms,
		      unsigned busy_poll_us)
{
	struct pma_options *options;
	int r;

	r = pma_options_new(&options);
	if (r < 0)
		return r;
	r = set_options(options, socket, reconnect_ms, busy_poll_us);
	if (r == 0) {
		Py_BEGIN_ALLOW_THREADS
		r = pma_connect(out, options);
		Py_END_ALLOW_THREADS
	}
	/* Frees memory and no more: the sentence of the failure stays. */
	pma_options_free(options);
	return r;
}

static int session_open(struct session *session, PyObject *path, unsigned reconnect_ms,
			unsigned busy_poll_us)
{
	struct pma *pma;
	struct name socket;
	int r;

	if (!name_init(&socket, path))
		return -1;
	r = connect_to(&pma, &socket, reconnect_ms, busy_poll_us);
	name_fini(&socket);
	if (r < 0) {
		error_raise(r, path == Py_None ? NULL : path);
		return -1;
	}
	/* Another thread was as fast with the same object. */
	if (session->life.state != LIFE_NEW) {
		pma_disconnect(pma);
		PyErr_SetString(PyExc_RuntimeError, "this Session was initialised before");
		return -1;
	}
	session->pma = pma;
	life_begin(&session->life);
	return 0;
}

static int session_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "socket", "reconnect_ms", "busy_poll_us", NULL };
	struct session *session = (struct session *)self;
	PyObject *socket = Py_None, *reconnect = NULL, *busy = NULL;
	uint64_t reconnect_ms = 5000, busy_poll_us = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:Session", KEYWORDS(keywords), &socket,
					 &reconnect, &busy))
		return -1;
	if (reconnect && !record_read_number(&reconnect_ms, reconnect, UINT32_MAX, "reconnect_ms"))
		return -1;
	if (busy && !record_read_number(&busy_poll_us, busy, UINT32_MAX, "busy_poll_us"))
		return -1;
	if (session->life.state != LIFE_NEW) {
		PyErr_SetString(PyExc_RuntimeError, "this Session was initialised before");
		return -1;
	}
	return session_open(session, socket, (unsigned)reconnect_ms, (unsigned)busy_poll_us);
}

/* ---- closing ---- */

static bool windows_may_close(struct session *session, bool defer)
{
	struct window *window;

	LIST_FOREACH(window, &session->windows, link) {
		if (!life_may_close(&window->life, "session's window", defer))
			return false;
	}
	return true;
}

static void close_windows(struct session *session)
{
	struct window *window = LIST_FIRST(&session->windows), *next;

	for (; window; window = next) {
		next = LIST_NEXT(window, link);
		window_close(window);
	}
}

PyDoc_STRVAR(close_doc,
	     "close($self, defer=False)\n--\n\n"
	     "End the session: its reservations are aborted, what it has open is closed, its\n"
	     "windows are closed. Mappings stay valid. Closing twice is fine.\n\n"
	     "BufferError: views of its windows or of their pins are in use; with defer=True\n"
	     "the session ends after the last of them, and nothing new can be begun.");

static PyObject *session_close(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "defer", NULL };
	struct session *session = (struct session *)self;
	int defer = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:close", KEYWORDS(keywords), &defer))
		return NULL;
	if (session->life.state != LIFE_OPEN)
		Py_RETURN_NONE;
	if (!windows_may_close(session, defer))
		return NULL;
	/* One use more: the windows are uses, and the last one must not end it halfway. */
	session->life.uses++;
	session->life.state = LIFE_CLOSING;
	close_windows(session);
	session_leave(session);
	Py_RETURN_NONE;
}

static int session_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	return 0;
}

static void session_dealloc(PyObject *self)
{
	struct session *session = (struct session *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	/* No window is left, and no call under way: each of them has a reference. */
	if (session->life.state == LIFE_OPEN)
		session->life.state = LIFE_CLOSING;
	end_if_due(session);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

/* ---- what it is ---- */

PyDoc_STRVAR(fileno_doc,
	     "fileno($self, /)\n--\n\n"
	     "The descriptor that becomes readable when dispatch() has something to do. It\n"
	     "stays the same when the connection is made anew; the session closes it.");

static PyObject *session_fileno(PyObject *self, PyObject *unused)
{
	struct session *session = (struct session *)self;
	struct pma *pma = session_enter(session);
	PyObject *number;
	int fd;

	if (!pma)
		return NULL;
	fd = pma_get_fd(pma);
	number = fd < 0 ? error_raise(fd, NULL) : PyLong_FromLong(fd);
	session_leave(session);
	return number;
}

PyDoc_STRVAR(arenas_doc, "arena_infos($self, /)\n--\n\n"
			 "What there is to know of each arena that this user may use: a list of\n"
			 "ArenaInfo.");

static PyObject *list_arenas(struct pma *pma)
{
	PyObject *list = PyList_New(0);
	uint32_t nr = pma_arena_count(pma);

	for (uint32_t i = 0; list && i < nr; i++) {
		struct pma_arena arena;
		PyObject *record;

		/* The only error: it is not this user's. */
		if (pma_arena_get(&arena, pma, i) < 0)
			continue;
		record = record_arena(&arena);
		if (!record || PyList_Append(list, record) < 0)
			Py_CLEAR(list);
		Py_XDECREF(record);
	}
	return list;
}

static PyObject *session_arenas(PyObject *self, PyObject *unused)
{
	struct session *session = (struct session *)self;
	struct pma *pma = session_enter(session);
	PyObject *list;

	if (!pma)
		return NULL;
	list = list_arenas(pma);
	session_leave(session);
	return list;
}

PyDoc_STRVAR(find_doc,
	     "arena_find($self, name_or_uuid, /)\n--\n\n"
	     "The number of an arena. FileNotFoundError: there is none, or not for this user.");

static PyObject *session_find(PyObject *self, PyObject *text)
{
	struct session *session = (struct session *)self;
	struct pma *pma;
	struct name name;
	uint32_t index;
	int r;

	if (!name_init(&name, text))
		return NULL;
	pma = session_enter(session);
	if (!pma) {
		name_fini(&name);
		return NULL;
	}
	r = pma_arena_find(&index, pma, name.text ? name.text : "");
	if (r < 0)
		error_raise(r, text);
	name_fini(&name);
	session_leave(session);
	return r < 0 ? NULL : PyLong_FromUnsignedLong(index);
}

PyDoc_STRVAR(usage_doc,
	     "usage($self, arena, /)\n--\n\n"
	     "How full arena number `arena` is, and what this user has of it, in bytes: a\n"
	     "Usage. One message.");

static PyObject *session_usage(PyObject *self, PyObject *number)
{
	struct session *session = (struct session *)self;
	struct pma_usage usage;
	struct pma *pma;
	PyObject *record;
	uint64_t arena;
	int r;

	if (!record_read_number(&arena, number, UINT32_MAX, "arena"))
		return NULL;
	pma = session_enter(session);
	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = pma_usage_get(&usage, pma, (uint32_t)arena);
	Py_END_ALLOW_THREADS
	record = r < 0 ? error_raise(r, NULL) : record_usage(&usage);
	session_leave(session);
	return record;
}

static PyObject *session_enter_with(PyObject *self, PyObject *unused)
{
	if (!life_check(&((struct session *)self)->life, "session"))
		return NULL;
	Py_INCREF(self);
	return self;
}

/* The block is over, whoever still has a view: that one ends the session. */
static PyObject *session_exit_with(PyObject *self, PyObject *args)
{
	PyObject *none = PyTuple_New(0), *defer = Py_BuildValue("{s:i}", "defer", 1);
	PyObject *result = none && defer ? session_close(self, none, defer) : NULL;

	Py_XDECREF(none);
	Py_XDECREF(defer);
	return result;
}

static PyObject *session_closed(PyObject *self, void *unused)
{
	return PyBool_FromLong(((struct session *)self)->life.state != LIFE_OPEN);
}

/* ---- the class ---- */

static const PyMethodDef own_methods[] = {
	{ "close", METHOD(session_close), METH_VARARGS | METH_KEYWORDS, close_doc },
	{ "fileno", session_fileno, METH_NOARGS, fileno_doc },
	{ "arena_infos", session_arenas, METH_NOARGS, arenas_doc },
	{ "arena_find", session_find, METH_O, find_doc },
	{ "usage", session_usage, METH_O, usage_doc },
	{ "__enter__", session_enter_with, METH_NOARGS, NULL },
	{ "__exit__", session_exit_with, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

#define MAX_METHODS 32

static PyMethodDef methods[MAX_METHODS];

static size_t add_methods(size_t at, const PyMethodDef *more)
{
	for (; more->ml_name && at < MAX_METHODS - 1; more++)
		methods[at++] = *more;
	return at;
}

static PyGetSetDef properties[] = {
	{ "closed", session_closed, NULL, "True: close() was called.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(session_doc, "A connection to the daemon; pmemarena.Session is what programs use.");

PyObject *session_class_new(void)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)session_doc },
		{ Py_tp_init, SLOT(session_init) },
		{ Py_tp_dealloc, SLOT(session_dealloc) },
		{ Py_tp_traverse, SLOT(session_traverse) },
		{ Py_tp_methods, methods },
		{ Py_tp_getset, properties },
		{ 0, NULL },
	};
	PyType_Spec spec = { .name = "_pmemarena.Session",
			     .basicsize = sizeof(struct session),
			     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
			     .slots = slots };
	size_t nr = add_methods(0, own_methods);

	nr = add_methods(nr, session_operation_methods);
	nr = add_methods(nr, session_listing_methods);
	add_methods(nr, session_event_methods);
	session_class = PyType_FromSpec(&spec);
	Py_XINCREF(session_class);
	return session_class;
}
