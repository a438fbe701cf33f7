/* SPDX-License-Identifier: BSD-3-Clause */
/* overview: the arenas as a page for a browser: how full they are, their picture, their numbers. */
#ifndef PMEMARENA_OVERVIEW_H
#define PMEMARENA_OVERVIEW_H

#include <stddef.h>

#define OVERVIEW_TYPE "text/html; charset=utf-8"

/*
 * Writes the page of the service @arg in memory: *text, *length bytes, which the caller free()s.
 * -ENOMEM.
 */
int overview_write(void *arg, char **text, size_t *length);

#endif
