/* SPDX-License-Identifier: BSD-3-Clause */
/* page: a document that is written in memory, whole or not at all. */
#ifndef PMEMARENA_PAGE_H
#define PMEMARENA_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct page {
	FILE *stream;                   /* owned */
	/* memory ran short, and something is missing in the document */
	bool  has_failed;
};

/* The document will be *text, *length bytes. -ENOMEM. */
int page_begin(struct page *page, char **text, size_t *length);
__attribute__((format(printf, 2, 3))) void put(struct page *page, const char *format, ...);
/*
 * Ends the document; the caller free()s *text. -ENOMEM: something is missing, and *text is freed.
 * Who reads it would take what is left for all.
 */
int page_end(struct page *page, char **text);

#endif
