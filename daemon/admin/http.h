/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http: documents over HTTP/1.1: GET and HEAD, one request for each connection. Anybody may
 * connect, so that everything that a connection can take has a bound: their number, their time,
 * their bytes. It does not know what the documents say.
 */
#ifndef PMEMARENA_HTTP_H
#define PMEMARENA_HTTP_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct http;

/* Writes the document: *text, *length bytes, which the caller free()s. 0 or -errno. */
typedef int http_write_fn(void *arg, char **text, size_t *length);

struct http_document {
	const char *path, *type;        /* borrowed */
	http_write_fn *write;
	void *arg;                      /* for `write` */
};

#define HTTP_DOCUMENTS 4

/*
 * Serves @nr documents, at most HTTP_DOCUMENTS. Takes over @sock, which listens, also on failure.
 * -errno.
 */
int http_new(struct http **out, struct event_base *base, int sock,
	     const struct http_document *documents, size_t nr);
/* Closes all connections and frees @http, which may be NULL. */
void http_free(struct http *http);
/* Call it every few seconds: closes connections whose time is over. */
void http_tick(struct http *http, uint64_t now_ns);

#endif
