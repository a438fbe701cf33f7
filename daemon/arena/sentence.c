/* SPDX-License-Identifier: BSD-3-Clause */
/* sentence: puts a refusal together, part by part. */
#include <config.h>

#include "daemon/arena/sentence.h"

#include <stdarg.h>
#include <stdio.h>

void sentence_say(struct sentence *sentence, const char *fmt, ...)
{
	size_t room = sizeof(sentence->text) - sentence->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(sentence->text + sentence->len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < room)
		sentence->len += (size_t)n;
	sentence->text[sentence->len] = '\0';
}
