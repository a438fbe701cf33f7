/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * why: the sentence that explains an error number. The functions do not know who reports the error
 * to whom. They never allocate, so that an error of running out of memory can be explained too, and
 * they leave errno as it was.
 */
#include <config.h>

#include "lib/wire/why.h"

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

int why_fill(struct why *why, int err)
{
	return why && !why->text[0]
		       ? why_set(why, err, "%s", err == -ENOMEM ? "out of memory" : strerror(-err))
		       : err;
}
