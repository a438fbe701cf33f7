/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name: the names of allocations, which are bytes, as Python has them: str in UTF-8, where bytes
 * that are no UTF-8 become surrogates, as in names of files; bytes are taken as well.
 */
#ifndef PMEMARENA_PYTHON_NAME_H
#define PMEMARENA_PYTHON_NAME_H

#include "python.h"

#include <stdbool.h>

struct name {
	const char *text; /* ends in a NUL; NULL: None was given */
	size_t len;
	PyObject *bytes; /* owned, or NULL: the text is the object's own */
};

/*
 * Reads @object: str, bytes or None. The text is valid as long as @object and until name_fini().
 * False with a TypeError or ValueError (a NUL in it).
 */
bool name_init(struct name *name, PyObject *object);
void name_fini(struct name *name);
/* A new str. */
PyObject *name_from(const char *text, size_t len);

#endif
