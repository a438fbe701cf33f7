/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error: the sentence of this thread's last failure, for pma_message().
 */
#ifndef PMEMARENA_ERROR_H
#define PMEMARENA_ERROR_H

#include <stddef.h>

/* Both return @err. @text need not be terminated; with @len 0 it is what strerror() says. */
int error_set(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int error_copy(int err, const char *text, size_t len);

#endif
