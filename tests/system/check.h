/* SPDX-License-Identifier: BSD-3-Clause */
/* For programs that a script runs: what does not hold ends them, with the line and the library's sentence. */
#ifndef PMEMARENA_SYSTEM_CHECK_H
#define PMEMARENA_SYSTEM_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include <pmemarena.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, pma_message()); \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
#define OK(call) CHECK((call) == 0)

#endif
