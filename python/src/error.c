/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error: see error.h.
 */
#include "error.h"

#include <pmemarena.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static PyObject *maker; /* owned */

void error_set_maker(PyObject *new_maker)
{
	PyObject *old = maker;

	Py_INCREF(new_maker);
	maker = new_maker;
	Py_XDECREF(old);
}

static PyObject *raise_text(int code, PyObject *name, const char *text)
{
	PyObject *sentence = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
	PyObject *error;

	if (!sentence)
		return NULL;
	error = maker ? PyObject_CallFunction(maker, "iOO", code, sentence, name ? name : Py_None)
		      : PyObject_CallFunction(PyExc_OSError, "iO", code, sentence);
	Py_DECREF(sentence);
	if (!error)
		return NULL;
	PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_DECREF(error);
	return NULL;
}

PyObject *error_raise(int r, PyObject *name)
{
	/*
	 * A copy: making the exception may collect garbage, whose end calls the library on this
	 * thread, and another sentence would be told.
	 */
	char text[PMA_MAX_MESSAGE];

	if (r == 0 || r > 0) {
		PyErr_Format(PyExc_SystemError, "the library returned %d for a failure", r);
		return NULL;
	}
	snprintf(text, sizeof(text), "%s", pma_message());
	return raise_text(-r, name, text[0] ? text : strerror(-r));
}

PyObject *error_say(int code, PyObject *name, const char *format, ...)
{
	char text[PMA_MAX_MESSAGE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return raise_text(code, name, text);
}
