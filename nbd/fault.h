/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault: work on memory that may be bad. A load or store there raises SIGBUS, which would end the
 * server for all of its clients; in here it is an error of the one request.
 */
#ifndef PMEMARENA_NBD_FAULT_H
#define PMEMARENA_NBD_FAULT_H

#include <stddef.h>

/*
 * Takes SIGBUS for this process. What is not ours goes to the handler of before. 0 or -errno; call
 * it once.
 */
int fault_init(void);

/*
 * Calls @work, and returns what it returns; or -EFAULT if the memory of @len bytes from @begin on
 * raised SIGBUS in it: then *off is the offset of the byte that did. @work holds no lock and no
 * memory of its own when it touches that memory, for it may never return.
 */
int fault_catch(size_t *off, const void *begin, size_t len, int (*work)(void *arg), void *arg);

#endif
