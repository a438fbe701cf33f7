/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "daemon/admin/page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

int page_begin(struct page *page, char **text, size_t *length)
{
	*page = (struct page){ .stream = open_memstream(text, length) };
	return page->stream ? 0 : -ENOMEM;
}

void put(struct page *page, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	page->has_failed |= vfprintf(page->stream, format, ap) < 0;
	va_end(ap);
}

int page_end(struct page *page, char **text)
{
	if (fclose(page->stream) == 0 && !page->has_failed)
		return 0;
	free(*text);
	return -ENOMEM;
}
