/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failing_calls: what asks the system for something, made to fail at will. For programs that are
 * linked with --wrap of each of them: Makefile.am has the list. Only calls between failing_from()
 * and failing_stop() count.
 */
#ifndef PMEMARENA_FAILING_CALLS_H
#define PMEMARENA_FAILING_CALLS_H

#include <stdbool.h>

enum failing_mode { FAIL_ONE, FAIL_ALL_AFTER };

/*
 * The @n-th (from 0) call from now on fails, or it and all after it. @only: calls of this name
 * alone count; NULL: all.
 */
void failing_from(int n, enum failing_mode mode, const char *only);
/* True: one failed; its name is failing_name(). */
bool failing_stop(void);
const char *failing_name(void);

#endif
