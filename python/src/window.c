/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: see window.h. It ends when it was closed and nobody uses it: then it puts what is still
 * pinned, unmaps the arena and lets its session go.
 */
#include "window.h"

#include "block.h"
#include "error.h"
#include "record.h"
#include "session.h"

/* ---- uses ---- */

static void end_if_due(struct window *window)
{
	struct block *block;

	if (!life_take_end(&window->life))
		return;
	LIST_FOREACH(block, &window->blocks, link)
		block_put_all(block);
	pma_window_close(window->window);
	window->window = NULL;
	LIST_REMOVE(window, link);
	session_leave(window->session);
}

struct pma_window *window_enter(struct window *window)
{
	if (!life_check(&window->life, "window"))
		return NULL;
	window->life.uses++;
	return window->window;
}

void window_leave(struct window *window)
{
	window->life.uses--;
	end_if_due(window);
}

bool window_begin_view(struct window *window)
{
	if (!window_enter(window))
		return false;
	window->life.views++;
	return true;
}

void window_end_view(struct window *window)
{
	window->life.views--;
	window_leave(window);
}

void window_close(struct window *window)
{
	if (window->life.state == LIFE_OPEN)
		window->life.state = LIFE_CLOSING;
	end_if_due(window);
}

/* ---- beginning and end ---- */

static int open_it(struct pma_window **out, struct pma *pma, uint32_t arena, unsigned flags,
		   uint32_t nr_pins)
{
	int r;

	Py_BEGIN_ALLOW_THREADS
	r = pma_window_open(out, pma, arena, flags, nr_pins);
	Py_END_ALLOW_THREADS
	if (r < 0)
		error_raise(r, NULL);
	return r;
}

/* The use of the session that it begins is the window's until its end. */
static int window_open(struct window *window, struct session *session, uint32_t arena,
		       unsigned flags, uint32_t nr_pins)
{
	struct pma *pma = session_enter(session);
	struct pma_window *opened;

	if (!pma)
		return -1;
	if (open_it(&opened, pma, arena, flags, nr_pins) < 0) {
		session_leave(session);
		return -1;
	}
	if (window->life.state != LIFE_NEW || session->life.state != LIFE_OPEN) {
		pma_window_close(opened);
		session_leave(session);
		PyErr_SetString(PyExc_RuntimeError, "another thread closed the session, or "
						    "initialised this Window, at the same time");
		return -1;
	}
	Py_INCREF((PyObject *)session);
	window->session = session;
	window->window = opened;
	window->arena = arena;
	window->is_writable = flags & PMA_WINDOW_WRITE;
	LIST_INIT(&window->blocks);
	LIST_INSERT_HEAD(&session->windows, window, link);
	life_begin(&window->life);
	return 0;
}

static int window_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "session",  "arena", "write",
						"populate", "pins",  NULL };
	struct window *window = (struct window *)self;
	PyObject *owner, *number = NULL, *pins = NULL;
	struct session *session;
	int write = 0, populate = 0;
	uint64_t arena = 0, nr_pins = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OppO:Window", KEYWORDS(keywords), &owner,
					 &number, &write, &populate, &pins))
		return -1;
	session = session_from(owner);
	if (!session || (number && !record_read_number(&arena, number, UINT32_MAX, "arena")) ||
	    (pins && !record_read_number(&nr_pins, pins, UINT32_MAX, "pins")))
		return -1;
	if (window->life.state != LIFE_NEW) {
		PyErr_SetString(PyExc_RuntimeError, "this Window was initialised before");
		return -1;
	}
	return window_open(window, session, (uint32_t)arena,
			   (write ? PMA_WINDOW_WRITE : 0u) | (populate ? PMA_WINDOW_POPULATE : 0u),
			   (uint32_t)nr_pins);
}

static int window_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct window *)self)->session);
	return 0;
}

static void window_dealloc(PyObject *self)
{
	struct window *window = (struct window *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	/* No pin is left: each has a reference. */
	if (window->life.state != LIFE_NEW)
		window_close(window);
	Py_XDECREF((PyObject *)window->session);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

PyDoc_STRVAR(close_doc,
	     "close($self, defer=False)\n--\n\n"
	     "Unmap the arena; what is still pinned is put, and such a Pin raises from then\n"
	     "on. BufferError: views of the window or of its pins are in use; with defer=True\n"
	     "it ends after the last of them.");

static PyObject *close_it(struct window *window, bool defer)
{
	if (window->life.state == LIFE_OPEN) {
		if (!life_may_close(&window->life, "window", defer))
			return NULL;
		window_close(window);
	}
	Py_RETURN_NONE;
}

static PyObject *window_close_method(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "defer", NULL };
	int defer = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:close", KEYWORDS(keywords), &defer))
		return NULL;
	return close_it((struct window *)self, defer);
}

static PyObject *window_enter_with(PyObject *self, PyObject *unused)
{
	if (!life_check(&((struct window *)self)->life, "window"))
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *window_exit_with(PyObject *self, PyObject *args)
{
	return close_it((struct window *)self, true);
}

/* ---- the whole area ---- */

static int window_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
	struct window *window = (struct window *)self;

	view->obj = NULL;
	if (!window_begin_view(window))
		return -1;
	if (PyBuffer_FillInfo(view, self, pma_window_address(window->window),
			      (Py_ssize_t)pma_window_length(window->window), !window->is_writable,
			      flags) < 0) {
		window_end_view(window);
		return -1;
	}
	return 0;
}

static void window_release_buffer(PyObject *self, Py_buffer *view)
{
	window_end_view((struct window *)self);
}

static Py_ssize_t window_length(PyObject *self)
{
	struct window *window = (struct window *)self;

	if (!life_check(&window->life, "window"))
		return -1;
	return (Py_ssize_t)pma_window_length(window->window);
}

static bool append_range(PyObject *list, const struct pma_range *range)
{
	PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)(uintptr_t)range->address,
				       (unsigned long long)range->len);
	bool is_appended = pair && PyList_Append(list, pair) == 0;

	Py_XDECREF(pair);
	return is_appended;
}

PyDoc_STRVAR(ranges_doc,
	     "ranges($self, chunk, /)\n--\n\n"
	     "For registering the window elsewhere in several calls: a list of (address,\n"
	     "length), each of `chunk` bytes (a multiple of the arena's page_size) and one of\n"
	     "what is left. Addresses are valid until the window is closed.");

static PyObject *window_ranges(PyObject *self, PyObject *number)
{
	struct window *window = (struct window *)self;
	struct pma_range range;
	uint64_t chunk, cursor = 0;
	PyObject *list;
	int r = 0;

	if (!record_read_number(&chunk, number, UINT64_MAX, "chunk") ||
	    !life_check(&window->life, "window"))
		return NULL;
	list = PyList_New(0);
	while (list && (r = pma_window_next_range(&range, window->window, chunk, &cursor)) > 0) {
		if (!append_range(list, &range))
			Py_CLEAR(list);
	}
	if (r < 0) {
		Py_XDECREF(list);
		return error_raise(r, NULL);
	}
	return list;
}

/* ---- what it is ---- */

static PyObject *get_closed(PyObject *self, void *unused)
{
	return PyBool_FromLong(((struct window *)self)->life.state != LIFE_OPEN);
}

static PyObject *get_readonly(PyObject *self, void *unused)
{
	return PyBool_FromLong(!((struct window *)self)->is_writable);
}

static PyObject *get_views(PyObject *self, void *unused)
{
	return PyLong_FromSize_t(((struct window *)self)->life.views);
}

static PyObject *get_address(PyObject *self, void *unused)
{
	struct window *window = (struct window *)self;

	if (!life_check(&window->life, "window"))
		return NULL;
	return PyLong_FromVoidPtr(pma_window_address(window->window));
}

static PyObject *get_offset(PyObject *self, void *unused)
{
	struct window *window = (struct window *)self;

	if (!life_check(&window->life, "window"))
		return NULL;
	return PyLong_FromUnsignedLongLong(pma_window_offset(window->window));
}

/* ---- the class ---- */

static const PyMethodDef own_methods[] = {
	{ "close", METHOD(window_close_method), METH_VARARGS | METH_KEYWORDS, close_doc },
	{ "ranges", window_ranges, METH_O, ranges_doc },
	{ "__enter__", window_enter_with, METH_NOARGS, NULL },
	{ "__exit__", window_exit_with, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

#define MAX_METHODS 16

static PyMethodDef methods[MAX_METHODS];

static size_t add_methods(size_t at, const PyMethodDef *more)
{
	for (; more->ml_name && at < MAX_METHODS - 1; more++)
		methods[at++] = *more;
	return at;
}

static PyGetSetDef properties[] = {
	{ "closed", get_closed, NULL, "True: close() was called.", NULL },
	{ "readonly", get_readonly, NULL, "True: nothing can be written through it.", NULL },
	{ "views", get_views, NULL, "How many views of it and of its pins are in use.", NULL },
	{ "address", get_address, NULL, "Of the first byte; it stays until the end.", NULL },
	{ "offset", get_offset, NULL, "Where the first byte is on the arena's device.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(window_doc,
	     "Window(session, arena=0, write=False, populate=False, pins=0)\n--\n\n"
	     "A whole arena as memory, mapped once: get() finds an allocation in shared\n"
	     "memory and pins it there, without a message. `pins`: how many at a time (0:\n"
	     "512). With write=True the whole arena is writable for this process, and a stray\n"
	     "store damages anybody's data. A session has one window an arena.\n\n"
	     "memoryview(window) is all of it, for registering it with a device; what is in\n"
	     "there without being pinned may become somebody else's at any moment.");

PyObject *window_class_new(void)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)window_doc },
		{ Py_tp_init, SLOT(window_init) },
		{ Py_tp_dealloc, SLOT(window_dealloc) },
		{ Py_tp_traverse, SLOT(window_traverse) },
		{ Py_tp_methods, methods },
		{ Py_tp_getset, properties },
		{ Py_sq_length, SLOT(window_length) },
		{ Py_bf_getbuffer, SLOT(window_get_buffer) },
		{ Py_bf_releasebuffer, SLOT(window_release_buffer) },
		{ 0, NULL },
	};
	PyType_Spec spec = { .name = "pmemarena.Window",
			     .basicsize = sizeof(struct window),
			     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
			     .slots = slots };

	add_methods(add_methods(0, own_methods), window_get_methods);
	return PyType_FromSpec(&spec);
}
