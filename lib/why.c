/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * why: the sentence that goes with an error number. It knows nothing of who reports what to whom; it never allocates,
 * so that running out of memory has a sentence too.
 */
#include <config.h>

#include "lib/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int why_set(struct why *why, int err, const char *fmt, ...)
{
	int saved_errno = errno;
	va_list ap;

	if (why) {
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
	}
	errno = saved_errno;
	return err;
}

int why_add(struct why *why, int err, const char *fmt, ...)
{
	int saved_errno = errno;
	char old[sizeof(why->text)];
	va_list ap;
	int len;

	if (why) {
		memcpy(old, why->text, sizeof(old));
		va_start(ap, fmt);
		len = vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
		if (len >= 0 && (size_t)len < sizeof(why->text))
			snprintf(why->text + len, sizeof(why->text) - len, "%s", old);
	}
	errno = saved_errno;
	return err;
}
