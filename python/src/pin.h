/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pin: one pinned allocation (Pin), and what a get of many keys returns (Pins), as objects.
 */
#ifndef PMEMARENA_PYTHON_PIN_H
#define PMEMARENA_PYTHON_PIN_H

#include "python.h"

#include <stdbool.h>
#include <stddef.h>

struct block;

/* Make the classes Pin, and Piece, which is behind the views of Pin.pieces(). */
PyObject *pin_class_new(void);
PyObject *piece_class_new(void);
/* Pins are in pins.c. */
PyObject *pins_class_new(void);
/*
 * A Pin of number @i of @block; @owner (a reference is taken) has the window. With @takes_block the
 * block is the pin's, also when this fails with NULL.
 */
PyObject *pin_new(PyObject *owner, struct block *block, size_t i, bool takes_block);
/* A Pins of @block, which is taken, also when this fails with NULL. @window: as @owner above. */
PyObject *pins_new(PyObject *window, struct block *block);

#endif
