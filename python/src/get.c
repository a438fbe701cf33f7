/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * get: Window.get() and Window.get_many(). One key is looked for with the interpreter's lock first:
 * giving that up and taking it again would cost as much as a hit. Only if the daemon must be asked
 * the lock is released.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "error.h"
#include "name.h"
#include "pin.h"
#include "record.h"
#include "window.h"

static bool read_key(struct pma_key *key, struct name *name, PyObject *object)
{
	*key = (struct pma_key){ 0 };
	if (!PyUnicode_Check(object) && !PyBytes_Check(object))
		return record_read_handle(&key->handle, object);
	if (!name_init(name, object))
		return false;
	key->name = name->text;
	key->name_len = name->len;
	return true;
}

/* ---- options ---- */

/* One keyword argument. False with an exception. */
static bool read_option(unsigned *flags, PyObject *name, PyObject *value)
{
	unsigned flag;
	int is_set = PyObject_IsTrue(value);

	if (is_set < 0)
		return false;
	if (PyUnicode_CompareWithASCIIString(name, "local") == 0) {
		flag = PMA_GET_LOCAL;
	} else if (PyUnicode_CompareWithASCIIString(name, "write") == 0) {
		flag = PMA_GET_WRITE;
	} else {
		PyErr_Format(PyExc_TypeError, "get() has no argument %R; it has local and write",
			     name);
		return false;
	}
	if (is_set)
		*flags |= flag;
	return true;
}

static bool read_options(unsigned *flags, PyObject *const *args, Py_ssize_t nr, PyObject *names)
{
	*flags = 0;
	if (nr != 1) {
		PyErr_Format(PyExc_TypeError,
			     "it takes one argument, %zd were given; local and "
			     "write are keywords",
			     nr);
		return false;
	}
	for (Py_ssize_t i = 0; names && i < PyTuple_Size(names); i++) {
		if (!read_option(flags, PyTuple_GetItem(names, i), args[nr + i]))
			return false;
	}
	return true;
}

/* ---- one ---- */

/* 0: it is pinned; or why not. */
static int get_one(struct pma_window *window, struct pma_pin *pin, const struct pma_key *key,
		   unsigned flags)
{
	int r = pma_get(window, pin, key, 1, flags | PMA_GET_LOCAL);

	if (r < 0)
		return r;
	/* Of what is not found so the daemon has the last word, unless nobody wants to hear it. */
	if (pin->result == 0 || flags & PMA_GET_LOCAL)
		return pin->result;
	Py_BEGIN_ALLOW_THREADS
	r = pma_get(window, pin, key, 1, flags);
	Py_END_ALLOW_THREADS
	return r < 0 ? r : pin->result;
}

static PyObject *get_failed(int r, unsigned flags, PyObject *key)
{
	if (r == -ENOENT || (r == -EAGAIN && flags & PMA_GET_LOCAL))
		Py_RETURN_NONE;
	if (flags & PMA_GET_LOCAL && r == -EACCES)
		return error_say(EACCES, key, "its mode does not allow that");
	if (flags & PMA_GET_LOCAL && r == -ENOBUFS)
		return error_say(ENOBUFS, key,
				 "all pins of the window are in use: put some, or open it with "
				 "more");
	return error_raise(r, key);
}

static PyObject *get_pin(struct window *window, PyObject *object, const struct pma_key *key,
			 unsigned flags)
{
	struct block *block = block_new(window, 1, flags & PMA_GET_WRITE);
	struct pma_window *entered = block ? window_enter(window) : NULL;
	PyObject *result;
	int r;

	if (!entered) {
		free(block);
		return NULL;
	}
	r = get_one(entered, block->pins, key, flags);
	if (r == 0) {
		block_hold(block);
		result = pin_new((PyObject *)window, block, 0, true);
	} else {
		free(block);
		result = get_failed(r, flags, object);
	}
	window_leave(window);
	return result;
}

PyDoc_STRVAR(get_doc,
	     "get($self, key, /, *, local=False, write=False)\n--\n\n"
	     "Pin an allocation, by its name (str or bytes) or handle: a Pin, or None if\n"
	     "there is none. What is found in shared memory needs no message; of anything\n"
	     "else the daemon is asked, unless local=True: then None is what shared memory\n"
	     "does not have, at no cost. write=True: its views can be written to, which needs\n"
	     "a window with write=True.\n\n"
	     "PermissionError its mode does not allow it; OSError ENOBUFS all pins are in\n"
	     "use, ESTALE the daemon does not know the window any more: open another.");

static PyObject *window_get(PyObject *self, PyObject *const *args, Py_ssize_t nr, PyObject *names)
{
	struct name name = { 0 };
	struct pma_key key;
	PyObject *result;
	unsigned flags;

	if (!read_options(&flags, args, nr, names) || !read_key(&key, &name, args[0]))
		return NULL;
	result = get_pin((struct window *)self, args[0], &key, flags);
	name_fini(&name);
	return result;
}

/* ---- many ---- */

static bool read_keys(struct pma_key *keys, struct name *names, PyObject *tuple, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (!read_key(&keys[i], &names[i], PyTuple_GetItem(tuple, (Py_ssize_t)i)))
			return false;
	}
	return true;
}

static PyObject *get_pins(struct window *window, const struct pma_key *keys, size_t nr,
			  unsigned flags)
{
	struct block *block = block_new(window, nr, flags & PMA_GET_WRITE);
	struct pma_window *entered = block ? window_enter(window) : NULL;
	PyObject *result = NULL;
	int r;

	if (!entered) {
		free(block);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	r = pma_get(entered, block->pins, keys, nr, flags);
	Py_END_ALLOW_THREADS
	if (r < 0) {
		free(block);
		error_raise(r, NULL);
	} else {
		block_hold(block);
		result = pins_new((PyObject *)window, block);
	}
	window_leave(window);
	return result;
}

static PyObject *get_tuple(struct window *window, PyObject *tuple, unsigned flags)
{
	size_t nr = (size_t)PyTuple_Size(tuple);
	struct pma_key *keys = malloc((nr + 1) * sizeof(*keys));
	struct name *names = calloc(nr + 1, sizeof(*names));
	PyObject *result = NULL;

	if (!keys || !names)
		PyErr_NoMemory();
	else if (read_keys(keys, names, tuple, nr))
		result = get_pins(window, keys, nr, flags);
	for (size_t i = 0; names && i < nr; i++)
		name_fini(&names[i]);
	free(names);
	free(keys);
	return result;
}

PyDoc_STRVAR(many_doc,
	     "get_many($self, keys, /, *, local=False, write=False)\n--\n\n"
	     "Pin many allocations, with other threads running meanwhile: a Pins, which has a\n"
	     "Pin or None for each key. What is not found in shared memory is asked for in\n"
	     "one message. Each key has a result of its own (Pins.results); OSError: none was\n"
	     "pinned, and the connection failed.");

static PyObject *window_get_many(PyObject *self, PyObject *const *args, Py_ssize_t nr,
				 PyObject *names)
{
	PyObject *tuple, *result;
	unsigned flags;

	if (!read_options(&flags, args, nr, names))
		return NULL;
	/* A str is a sequence too, of keys that nobody means. */
	if (PyUnicode_Check(args[0]) || PyBytes_Check(args[0])) {
		PyErr_SetString(PyExc_TypeError,
				"get_many() takes a list of keys; get() takes one");
		return NULL;
	}
	/* A tuple: another thread could change a list while it is read. */
	tuple = PySequence_Tuple(args[0]);
	if (!tuple)
		return NULL;
	result = get_tuple((struct window *)self, tuple, flags);
	Py_DECREF(tuple);
	return result;
}

const PyMethodDef window_get_methods[] = {
	{ "get", METHOD(window_get), METH_FASTCALL | METH_KEYWORDS, get_doc },
	{ "get_many", METHOD(window_get_many), METH_FASTCALL | METH_KEYWORDS, many_doc },
	{ NULL, NULL, 0, NULL },
};
