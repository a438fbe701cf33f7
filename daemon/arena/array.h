/* SPDX-License-Identifier: BSD-3-Clause */
/* array: one that grows by doubling. */
#ifndef PMEMARENA_ARRAY_H
#define PMEMARENA_ARRAY_H

#include <stdint.h>
#include <stdlib.h>

/*
 * Returns @array, which has @nr elements of @size bytes and room for *room, with room for at least
 * one more. NULL: no memory; @array and *room stay as they were.
 */
static inline void *array_grown(void *array, uint32_t nr, uint32_t *room, size_t size)
{
	uint32_t want = *room ? *room * 2 : 64;
	void *grown;

	if (nr < *room)
		return array;
	grown = reallocarray(array, want, size);
	if (grown)
		*room = want;
	return grown;
}

#endif
