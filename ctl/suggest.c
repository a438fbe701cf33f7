/* SPDX-License-Identifier: BSD-3-Clause */
/* suggest: which of some words a person may have meant who typed another. */
#include <config.h>

#include <string.h>

#include "ctl/ctl.h"

#define WORD_MAX 32

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many letters must be put in, left out, changed, or exchanged with their neighbour. Rows are
 * those of the well-known table, of which the last three are needed.
 */
static size_t distance_of(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], len = strlen(b);
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= len; j++)
		last[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= len; j++) {
			now[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
				       least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[len];
}

void ctl_suggest(struct ctl_suggestion *suggestion, const char *candidate)
{
	size_t len = strlen(suggestion->typed), distance;

	if (len == 0 || len > WORD_MAX || strlen(candidate) > WORD_MAX)
		return;
	distance = distance_of(suggestion->typed, candidate);
	/* A third of the word may be wrong; a beginning may go on. */
	if (len >= 3 && strncmp(suggestion->typed, candidate, len) == 0 && candidate[len])
		distance = 1;
	if (distance > (len + 2) / 3 || (suggestion->best && distance >= suggestion->distance))
		return;
	suggestion->best = candidate;
	suggestion->distance = distance;
}
