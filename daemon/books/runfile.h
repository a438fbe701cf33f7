/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runfile: a file of one arena in the runtime directory, <dir>/<uuid><suffix>, for the daemon alone
 * (mode 0600). It outlives the daemon, and a reboot makes its contents void.
 */
#ifndef PMEMARENA_RUNFILE_H
#define PMEMARENA_RUNFILE_H

#include <stdint.h>

#include "lib/wire/why.h"

#define RUNFILE_BOOT_ID 36                      /* characters */

/*
 * Opens the file and writes the descriptor, which the caller owns, to *fd. @flags as for open();
 * O_CREAT creates it with mode 0600. -ELOOP: it is a symbolic link; -EINVAL: it is no regular file;
 * -ENAMETOOLONG; errors of open(). On failure *why says what to do.
 */
int runfile_open(int *fd, const char *dir, const uint8_t uuid[16], const char *suffix, int flags,
		 struct why *why);
/* The same for a file that is of no arena: <dir>/<name>. */
int runfile_open_named(int *fd, const char *dir, const char *name, int flags, struct why *why);
/* Removes the file. On failure *why says what to do. Errors of unlink(). */
int runfile_remove(const char *dir, const uint8_t uuid[16], const char *suffix, struct why *why);
/*
 * Reads the number that the kernel gave this boot. -EIO: it is shorter than expected; errors of
 * open().
 */
int runfile_boot_id(char boot_id[RUNFILE_BOOT_ID], struct why *why);
/*
 * Locks the file until @fd is closed. -EBUSY: another description, of this process or another one,
 * has it locked.
 */
int runfile_lock(int fd);
int runfile_size(uint64_t *size, int fd);
/*
 * Gives the range memory (blocks), so that a store to it cannot be a SIGBUS; the file becomes at
 * least that long. -ENOSPC.
 */
int runfile_allocate(int fd, uint64_t off, uint64_t len);

#endif
