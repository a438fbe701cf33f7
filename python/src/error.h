/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error: from the library's negative errno and its sentence to an exception. Which class it has is
 * decided in Python (pmemarena/_errors.py).
 */
#ifndef PMEMARENA_PYTHON_ERROR_H
#define PMEMARENA_PYTHON_ERROR_H

#include "python.h"

/* Who makes an exception of (errno, sentence, name). Takes a reference. */
void error_set_maker(PyObject *maker);
/*
 * The exception of a call that returned @r (negative) on this thread just now, about @name (NULL:
 * nothing that has one). Always returns NULL.
 */
PyObject *error_raise(int r, PyObject *name);
/* The same of an error that this extension found itself; @code is a positive errno. */
PyObject *error_say(int code, PyObject *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
