/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error: the sentence of this thread's last failure, for pma_message().
 */
#ifndef PMEMARENA_ERROR_H
#define PMEMARENA_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "lib/wire/why.h"

/*
 * Set the thread's sentence and return @err. error_copy() takes @len bytes that need no NUL; with
 * @len 0 the sentence is strerror() of @err.
 */
int error_set(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int error_copy(int err, const char *text, size_t len);

/*
 * The words for @err, a negative errno with which a system call or an allocation of this process
 * failed: what is used up, and what a person can do. For other errors strerror().
 */
const char *error_text(int err);
/* error_set() for an allocation that failed. Returns -ENOMEM. */
int error_memory(void);
/* error_set() for an mmap() of @size bytes that failed. Returns @err. */
int error_map(int err, uint64_t size);
/*
 * Sets the sentence of error_map() in @why, for callers that do not run on a thread of the program.
 */
int error_map_why(struct why *why, int err, uint64_t size);

/* error_set() for libpmemarena-heap, which is another library and of the same version. */
__attribute__((visibility("default"), format(printf, 2, 3))) int
pmemarena_error_set(int err, const char *fmt, ...);

#endif
