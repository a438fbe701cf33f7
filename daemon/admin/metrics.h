/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics: the numbers of `stats` in the format OpenMetrics. */
#ifndef PMEMARENA_METRICS_H
#define PMEMARENA_METRICS_H

#include <stddef.h>

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/*
 * Writes the document of the service @arg in memory: *text, *length bytes, which the caller
 * free()s. -ENOMEM.
 */
int metrics_write(void *arg, char **text, size_t *length);

#endif
