/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event: subscriptions. The library delivers events by a callback, without the interpreter's lock;
 * they wait in a queue until dispatch() has that lock again and returns them.
 */
#ifndef PMEMARENA_PYTHON_EVENT_H
#define PMEMARENA_PYTHON_EVENT_H

struct events;

/* @events may be NULL. */
void events_free(struct events *events);

#endif
