/* SPDX-License-Identifier: BSD-3-Clause */
/* bench-memmap-svg: the comparison as a drawing. */
#ifndef PMEMARENA_BENCH_MEMMAP_SVG_H
#define PMEMARENA_BENCH_MEMMAP_SVG_H

#include "bench/bench-memmap-measure.h"

/* Exit status: 0, or 1 when the file cannot be written. */
int svg_write(const char *path, const struct result *results, unsigned nr);

#endif
