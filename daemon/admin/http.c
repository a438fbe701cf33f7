/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http: connections that ask for a document. libevent's evhttp is not used: it tells nothing of a
 * connection before its first request is whole, so that connections which never ask could neither
 * be counted nor told apart by user.
 *
 * When there are too many connections, a new one takes the place of the oldest, first of one of its
 * own user. A connection that asks at once is answered at once, and one that only holds its place
 * does not hold it for long.
 */
#include <config.h>

#include "daemon/admin/http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bsd/sys/queue.h>

#include "daemon/admin/stream.h"
#include "daemon/serve/listener.h"
#include "daemon/service/service.h"

#define VISITORS_MAX     32
#define VISITORS_A_USER  8
#define HEAD_MAX         8192           /* the longest request, in bytes */
#define VISIT_NS         UINT64_C(10000000000)
/* stands for the user of a connection over a network, which is not known */
#define NO_USER          UINT32_MAX

struct visitor {
	TAILQ_ENTRY(visitor) link;      /* on http.visitors, the oldest first */
	struct http *http;              /* borrowed */
	struct stream stream;
	uint64_t since_ns;
	uint32_t uid;
	bool     is_answered;
};

struct http {
	struct event_base *base;        /* borrowed */
	struct listener listener;
	struct http_document documents[HTTP_DOCUMENTS];
	size_t nr_documents;
	TAILQ_HEAD(visitors, visitor) visitors;
	uint32_t nr;
};

static void visitor_free(struct visitor *visitor)
{
	TAILQ_REMOVE(&visitor->http->visitors, visitor, link);
	visitor->http->nr--;
	stream_close(&visitor->stream);
	free(visitor);
}

/* ---- answers ---- */

/* Sends an answer. -ENOMEM: there is none. */
static int answer(struct visitor *visitor, const char *status, const char *type, const char *body,
		  size_t length)
{
	char head[512];
	int len = snprintf(
		head, sizeof(head),
		"HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s%s%s%s\r\n", status,
		length, type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "",
		strncmp(status, "405", 3) == 0 ? "Allow: GET, HEAD\r\n" : "");
	int r = stream_send(&visitor->stream, head, (size_t)len);

	visitor->is_answered = true;
	return r == 0 && body ? stream_send(&visitor->stream, body, length) : r;
}

static int answer_document(struct visitor *visitor, const struct http_document *document,
			   bool is_head)
{
	size_t length;
	char *body;
	int r;

	if (document->write(document->arg, &body, &length) < 0)
		return answer(visitor, "500 Internal Server Error", NULL, NULL, 0);
	r = answer(visitor, "200 OK", document->type, is_head ? NULL : body, length);
	free(body);
	return r;
}

/* Finds the document that the target of a request names. What follows a '?' does not count. */
static const struct http_document *find_document(const struct http *http, const char *target)
{
	size_t len = strcspn(target, "?");

	for (size_t i = 0; i < http->nr_documents; i++) {
		const char *path = http->documents[i].path;

		if (strlen(path) == len && strncmp(target, path, len) == 0)
			return &http->documents[i];
	}
	return NULL;
}

/* Answers a request by its first line, such as "GET /metrics HTTP/1.1". */
static int answer_line(struct visitor *visitor, char *line)
{
	char *rest = line, *method = strsep(&rest, " "), *target = strsep(&rest, " ");
	const struct http_document *document;
	bool is_head;

	if (!target || !rest || strncmp(rest, "HTTP/1.", 7) != 0)
		return answer(visitor, "400 Bad Request", NULL, NULL, 0);
	is_head = strcmp(method, "HEAD") == 0;
	if (!is_head && strcmp(method, "GET") != 0)
		return answer(visitor, "405 Method Not Allowed", NULL, NULL, 0);
	document = find_document(visitor->http, target);
	if (!document)
		return answer(visitor, "404 Not Found", NULL, NULL, 0);
	return answer_document(visitor, document, is_head);
}

/* Returns where the first line of the request ends; NULL: the request is not whole yet. */
static char *end_of_line(const struct stream *stream)
{
	if (!memmem(stream->in, stream->in_len, "\r\n\r\n", 4) &&
	    !memmem(stream->in, stream->in_len, "\n\n", 2))
		return NULL;
	return memchr(stream->in, '\n', stream->in_len);
}

static int read_request(struct visitor *visitor)
{
	struct stream *stream = &visitor->stream;
	char *end = end_of_line(stream);

	if (end) {
		*end = '\0';
		if (end > stream->in && end[-1] == '\r')
			end[-1] = '\0';
		return answer_line(visitor, stream->in);
	}
	return stream->in_len == HEAD_MAX
		       ? answer(visitor, "431 Request Header Fields Too Large", NULL, NULL, 0)
		       : 0;
}

/* A visitor that has ended its side of the connection after the request still reads the answer. */
static void on_input(void *arg)
{
	struct visitor *visitor = arg;
	struct stream *stream = &visitor->stream;

	/*
	 * If there is no memory for the answer the connection is closed: half an answer could be
	 * taken for a whole one.
	 */
	if (!visitor->is_answered && read_request(visitor) < 0) {
		visitor_free(visitor);
		return;
	}
	/*
	 * What comes after the request is read and dropped. If it was left in the socket, close()
	 * would reset the connection, and the answer would be lost.
	 */
	if (visitor->is_answered)
		stream_use(stream, stream->in_len);
	if (stream->has_ended && stream_unsent(stream) == 0)
		visitor_free(visitor);
	/* The visitor may be gone here. */
}

/*
 * The whole answer was sent: tells the visitor so, who then closes its side, or is closed when its
 * time is over.
 */
static void on_sent(void *arg)
{
	struct visitor *visitor = arg;

	if (visitor->stream.has_ended)
		visitor_free(visitor);
	else
		shutdown(visitor->stream.sock, SHUT_WR);
	/* The visitor may be gone here. */
}

static void on_broken(void *arg, int err)
{
	visitor_free(arg);
}

static const struct stream_handler handler = { .on_input = on_input,
					       .on_sent = on_sent,
					       .on_broken = on_broken };

/* ---- begin and end ---- */

/* Returns the user at the other end of a Unix socket; a TCP connection has none that is known. */
static uint32_t user_of(int sock)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return NO_USER;
	return peer.uid;
}

/*
 * Closes the oldest connection of @uid if that user has too many, or else the oldest of all if
 * there are too many.
 */
static void make_room(struct http *http, uint32_t uid)
{
	struct visitor *visitor, *oldest = NULL;
	uint32_t nr = 0;

	TAILQ_FOREACH(visitor, &http->visitors, link) {
		if (visitor->uid != uid)
			continue;
		oldest = oldest ? oldest : visitor;
		nr++;
	}
	if (uid != NO_USER && nr >= VISITORS_A_USER)
		visitor_free(oldest);
	else if (http->nr >= VISITORS_MAX)
		visitor_free(TAILQ_FIRST(&http->visitors));
}

static int accepted(void *arg, int sock)
{
	struct http *http = arg;
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (!visitor)
		close(sock);
	if (!visitor ||
	    stream_open(&visitor->stream, http->base, sock, HEAD_MAX, &handler, visitor) < 0) {
		free(visitor);
		return 0;
	}
	visitor->http = http;
	visitor->uid = user_of(sock);
	visitor->since_ns = service_now_ns();
	make_room(http, visitor->uid);
	TAILQ_INSERT_TAIL(&http->visitors, visitor, link);
	http->nr++;
	return 0;
}

int http_new(struct http **out, struct event_base *base, int sock,
	     const struct http_document *documents, size_t nr)
{
	struct http *http = calloc(1, sizeof(*http));
	int r;

	if (!http) {
		close(sock);
		return -ENOMEM;
	}
	http->base = base;
	memcpy(http->documents, documents, nr * sizeof(*documents));
	http->nr_documents = nr;
	TAILQ_INIT(&http->visitors);
	r = listener_init(&http->listener, base, sock, accepted, http);
	if (r < 0) {
		free(http);
		return r;
	}
	*out = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	listener_fini(&http->listener);
	while (!TAILQ_EMPTY(&http->visitors))
		visitor_free(TAILQ_FIRST(&http->visitors));
	free(http);
}

void http_tick(struct http *http, uint64_t now_ns)
{
	struct visitor *visitor, *next;

	listener_tick(&http->listener);
	while ((visitor = TAILQ_FIRST(&http->visitors)) && now_ns - visitor->since_ns > VISIT_NS)
		visitor_free(visitor);
	TAILQ_FOREACH_SAFE(visitor, &http->visitors, link, next)
		stream_tick(&visitor->stream);
}
