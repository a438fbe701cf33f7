/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * python: the interpreter's header, in its limited API of 3.11, so that one file serves that and
 * every later release. It comes before all other headers.
 */
#ifndef PMEMARENA_PYTHON_PYTHON_H
#define PMEMARENA_PYTHON_PYTHON_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A method in a table, whatever its arguments are. */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))
/* What PyArg_ParseTupleAndKeywords() takes; it changes none of them. */
#define KEYWORDS(list) ((char **)(list))
/* A function in a slot. */
#define SLOT(function) ((void *)(function))

#endif
