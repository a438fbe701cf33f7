/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error: one sentence a thread. It is set by whoever returns the error to the caller, on the caller's thread: what another
 * thread learnt on our behalf is copied, not pointed at.
 */
#include <config.h>

#include "lib/error.h"

#include <pmemarena.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/why.h"

static _Thread_local struct why last;

const char *pma_message(void)
{
	return last.text;
}

int error_set(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last.text, sizeof(last.text), fmt, ap);
	va_end(ap);
	return err;
}

int error_copy(int err, const char *text, size_t len)
{
	if (len == 0)
		return error_set(err, "%s", strerror(-err));
	if (len >= sizeof(last.text))
		len = sizeof(last.text) - 1;
	memcpy(last.text, text, len);
	last.text[len] = '\0';
	return err;
}

const char *pma_version(void)
{
	return PACKAGE_VERSION;
}
