/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name: see name.h.
 */
#include "name.h"

#include <string.h>

static bool encode(struct name *name, PyObject *object)
{
	Py_ssize_t len;

	name->text = PyUnicode_AsUTF8AndSize(object, &len);
	if (!name->text) {
		char *text;

		/* Surrogates: it came from a name that is no UTF-8. */
		PyErr_Clear();
		name->bytes = PyUnicode_AsEncodedString(object, "utf-8", "surrogateescape");
		if (!name->bytes || PyBytes_AsStringAndSize(name->bytes, &text, &len) < 0)
			return false;
		name->text = text;
	}
	name->len = (size_t)len;
	return true;
}

static bool read_text(struct name *name, PyObject *object)
{
	if (PyUnicode_Check(object))
		return encode(name, object);
	if (PyBytes_Check(object)) {
		name->text = PyBytes_AsString(object);
		name->len = (size_t)PyBytes_Size(object);
		return true;
	}
	PyErr_Format(PyExc_TypeError, "a name is str or bytes, not %R", Py_TYPE(object));
	return false;
}

bool name_init(struct name *name, PyObject *object)
{
	*name = (struct name){ 0 };
	if (object == Py_None)
		return true;
	if (!read_text(name, object)) {
		name_fini(name);
		return false;
	}
	if (memchr(name->text, '\0', name->len)) {
		PyErr_Format(PyExc_ValueError, "the name %R has a NUL; every other byte is fine",
			     object);
		name_fini(name);
		return false;
	}
	return true;
}

void name_fini(struct name *name)
{
	Py_CLEAR(name->bytes);
}

PyObject *name_from(const char *text, size_t len)
{
	return PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, "surrogateescape");
}
