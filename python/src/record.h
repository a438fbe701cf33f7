/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record: the library's structs as named tuples. Their classes are written in Python
 * (pmemarena/_records.py), which gives them to this extension when it is imported.
 */
#ifndef PMEMARENA_PYTHON_RECORD_H
#define PMEMARENA_PYTHON_RECORD_H

#include "python.h"

#include <pmemarena.h>
#include <stdbool.h>

/* Takes the classes out of the module @records. False with an exception. */
bool record_adopt(PyObject *records);

PyObject *record_handle(struct pma_handle handle);
PyObject *record_info(const struct pma_info *info);
PyObject *record_arena(const struct pma_arena *arena);
PyObject *record_usage(const struct pma_usage *usage);
PyObject *record_event(const struct pma_event *event, const char *name);
/*
 * A handle, or an object that has one as .handle. False with an exception: it is neither, or a
 * number in it cannot be.
 */
bool record_read_handle(struct pma_handle *out, PyObject *object);
/* The integer @object, at most @max. False with a TypeError or an OverflowError that has @what. */
bool record_read_number(uint64_t *out, PyObject *object, uint64_t max, const char *what);

#endif
