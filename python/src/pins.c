/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins: what a get of many keys returns. One object for all of them: to make a Pin of each would
 * cost more than to get them.
 */
#include <errno.h>
#include <string.h>

#include "block.h"
#include "error.h"
#include "pin.h"
#include "window.h"

struct pins {
	PyObject_HEAD PyObject *window; /* owned */
	struct block *block; /* owned */
};

static PyObject *pins_class; /* owned */

PyObject *pins_new(PyObject *window, struct block *block)
{
	struct pins *pins = (struct pins *)PyType_GenericAlloc((PyTypeObject *)pins_class, 0);

	if (!pins) {
		block_free(block);
		return NULL;
	}
	Py_INCREF(window);
	pins->window = window;
	pins->block = block;
	return (PyObject *)pins;
}

static int pins_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct pins *)self)->window);
	return 0;
}

static void pins_dealloc(PyObject *self)
{
	struct pins *pins = (struct pins *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	/* No Pin of it is left, and so no view: each has a reference. */
	block_free(pins->block);
	Py_XDECREF(pins->window);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

/* ---- as a sequence ---- */

static Py_ssize_t pins_length(PyObject *self)
{
	return (Py_ssize_t)((struct pins *)self)->block->nr;
}

static PyObject *pins_item(PyObject *self, Py_ssize_t i)
{
	struct pins *pins = (struct pins *)self;
	int result;

	if (i < 0 || (size_t)i >= pins->block->nr) {
		PyErr_Format(PyExc_IndexError, "there are %zu pins", pins->block->nr);
		return NULL;
	}
	result = pins->block->pins[i].result;
	if (result == -ENOENT || result == -EAGAIN)
		Py_RETURN_NONE;
	if (result < 0)
		return error_say(-result, NULL, "key %zd could not be pinned: %s", i,
				 result == -ENOBUFS
					 ? "all pins of the window are in use: put some, "
					   "or open it with more"
					 : strerror(-result));
	return pin_new(self, pins->block, (size_t)i, false);
}

/* ---- putting ---- */

static bool put_each(struct block *block, bool defer)
{
	if (block->views > 0 && !defer) {
		PyErr_Format(PyExc_BufferError,
			     "views of these pins are in use (%zu): release them, or put them with "
			     "defer=True, which ends each after its last one",
			     block->views);
		return false;
	}
	if (block->views == 0) {
		block_put_all(block);
		return true;
	}
	for (size_t i = 0; i < block->nr; i++)
		block_put(block, i, true);
	return true;
}

PyDoc_STRVAR(put_doc, "put($self, defer=False)\n--\n\n"
		      "End all of them. BufferError: views are in use, and none was put; with\n"
		      "defer=True each ends after the last of its views.");

static PyObject *pins_put(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "defer", NULL };
	int defer = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:put", KEYWORDS(keywords), &defer) ||
	    !put_each(((struct pins *)self)->block, defer))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *pins_enter(PyObject *self, PyObject *unused)
{
	Py_INCREF(self);
	return self;
}

static PyObject *pins_exit(PyObject *self, PyObject *args)
{
	put_each(((struct pins *)self)->block, true);
	Py_RETURN_NONE;
}

/* ---- what they are ---- */

static PyObject *get_results(PyObject *self, void *unused)
{
	struct block *block = ((struct pins *)self)->block;
	PyObject *list = PyList_New((Py_ssize_t)block->nr);

	for (size_t i = 0; list && i < block->nr; i++) {
		PyObject *number = PyLong_FromLong(-block->pins[i].result);

		if (!number || PyList_SetItem(list, (Py_ssize_t)i, number) < 0)
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *get_hits(PyObject *self, void *unused)
{
	struct block *block = ((struct pins *)self)->block;
	size_t nr = 0;

	for (size_t i = 0; i < block->nr; i++)
		nr += block->pins[i].result == 0;
	return PyLong_FromSize_t(nr);
}

static PyObject *get_leading(PyObject *self, void *unused)
{
	struct block *block = ((struct pins *)self)->block;
	size_t nr = 0;

	while (nr < block->nr && block->pins[nr].result == 0)
		nr++;
	return PyLong_FromSize_t(nr);
}

static PyMethodDef methods[] = {
	{ "put", METHOD(pins_put), METH_VARARGS | METH_KEYWORDS, put_doc },
	{ "__enter__", pins_enter, METH_NOARGS, NULL },
	{ "__exit__", pins_exit, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef properties[] = {
	{ "results", get_results, NULL, "Of each key: 0, or the errno of why it is not pinned.",
	  NULL },
	{ "hits", get_hits, NULL, "How many of the keys were pinned.", NULL },
	{ "leading", get_leading, NULL, "How many were pinned before the first that was not.",
	  NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(pins_doc,
	     "What Window.get_many() returns: a sequence that has, for each key, a Pin, or\n"
	     "None if there is no such allocation. Asking for one that failed otherwise\n"
	     "raises why. All are put together: by put(), at the end of a with block, or when\n"
	     "nobody uses it.");

PyObject *pins_class_new(void)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)pins_doc },
		{ Py_tp_dealloc, SLOT(pins_dealloc) },
		{ Py_tp_traverse, SLOT(pins_traverse) },
		{ Py_tp_methods, methods },
		{ Py_tp_getset, properties },
		{ Py_sq_length, SLOT(pins_length) },
		{ Py_sq_item, SLOT(pins_item) },
		{ 0, NULL },
	};
	PyType_Spec spec = { .name = "pmemarena.Pins",
			     .basicsize = sizeof(struct pins),
			     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
				      Py_TPFLAGS_DISALLOW_INSTANTIATION,
			     .slots = slots };

	pins_class = PyType_FromSpec(&spec);
	Py_XINCREF(pins_class);
	return pins_class;
}
