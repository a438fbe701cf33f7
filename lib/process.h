/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process: is this still the process that it was? A child of fork() has its parent's memory and
 * must not speak in its name.
 */
#ifndef PMEMARENA_PROCESS_H
#define PMEMARENA_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Must succeed once before the other functions are called. 0, or -errno with a message. */
int process_init(void);
/* A number that differs between a process and its forked children. */
uint32_t process_number(void);
/* Is this the process that got @number from process_number()? Makes no system call. */
bool process_is(uint32_t number);

#endif
