/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process: is this still the process that it was? A child of fork() has its parent's memory and must not speak in its
 * name; and what a parent had mapped when it forked is mapped twice from then on.
 */
#ifndef PMEMARENA_PROCESS_H
#define PMEMARENA_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Names this process among its relatives. 0: no memory. */
uint32_t process_token(void);
/* Does @token name this process? No system call. */
bool process_is(uint32_t token);
/* How many times this process has forked. vfork() and posix_spawn() do not count: their children take no mapping along. */
uint32_t process_forks(void);

#endif
