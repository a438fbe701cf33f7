/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapping: an allocation in the memory of this process, as an object with the buffer protocol.
 */
#ifndef PMEMARENA_PYTHON_MAPPING_H
#define PMEMARENA_PYTHON_MAPPING_H

#include "python.h"

PyObject *mapping_class_new(void);

#endif
