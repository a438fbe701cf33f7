/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stepper: steps a process through a change of a file, one instruction at a time, so that a test
 * sees every state that a reader could see, or that a killed process could leave.
 */
#ifndef PMEMARENA_TESTS_STEPPER_H
#define PMEMARENA_TESTS_STEPPER_H

#include <stddef.h>

typedef void stepper_fn(void);
typedef void stepper_see_fn(const char *image);

/*
 * Steps a child through @change, and calls @see with the first @bytes of the file at @path, at
 * first and whenever they have changed. Returns how many such states there were; 0: this machine
 * does not let a process be traced, so nothing was tried.
 */
int stepper_run(const char *path, size_t bytes, stepper_fn *change, stepper_see_fn *see);

#endif
