/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runfile: a file of one arena in the runtime directory, <dir>/<uuid><suffix>, the daemon's alone (0600). What lies there
 * outlives the daemon and not the machine.
 */
#ifndef PMEMARENA_RUNFILE_H
#define PMEMARENA_RUNFILE_H

#include <stdint.h>

#include "lib/why.h"

/* @flags as open(); O_CREAT makes it with mode 0600. -ELOOP for a symbolic link, -EINVAL for what is no regular file. */
int runfile_open(int *fd, const char *dir, const uint8_t uuid[16], const char *suffix, int flags, struct why *why);
int runfile_size(uint64_t *size, int fd);
/* The range gets memory of its own, so that a store to it cannot be a SIGBUS; the file grows to its end. -ENOSPC. */
int runfile_allocate(int fd, uint64_t off, uint64_t len);

#endif
