/* SPDX-License-Identifier: BSD-3-Clause */
/* sentence: a refusal that is put together part by part. */
#ifndef PMEMARENA_SENTENCE_H
#define PMEMARENA_SENTENCE_H

#include <stddef.h>

struct sentence {
	char   text[400];
	size_t len;
};

/* Appends to the sentence; a part that does not fit is left out. */
void sentence_say(struct sentence *sentence, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
