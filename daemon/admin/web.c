/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "daemon/admin/web.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/admin/http.h"
#include "daemon/admin/metrics.h"
#include "daemon/admin/overview.h"
#include "lib/wire/conn.h"

struct web {
	struct http *http;              /* owned */
};

/* Listens at the first address where that is possible; a host may have several. */
static int listen_at(const struct addrinfo *address)
{
	int r = -EADDRNOTAVAIL, sock;

	for (; address; address = address->ai_next) {
		sock = socket(address->ai_family,
			      address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      address->ai_protocol);
		if (sock >= 0 &&
		    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0 &&
		    bind(sock, address->ai_addr, address->ai_addrlen) == 0 &&
		    listen(sock, SOMAXCONN) == 0)
			return sock;
		r = -errno;
		if (sock >= 0)
			close(sock);
	}
	return r;
}

/* Listens at "ADDRESS:PORT" or "[ADDRESS]:PORT". The configuration was checked before. */
static int listen_on_address(const char *text)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*addresses;
	char host[CONFIG_SOCKET_MAX];
	const char *colon = strrchr(text, ':');
	size_t len = (size_t)(colon - text);
	bool is_bracketed = text[0] == '[' && text[len - 1] == ']';
	int r;

	memcpy(host, text + is_bracketed, len - 2 * is_bracketed);
	host[len - 2 * is_bracketed] = '\0';
	r = getaddrinfo(host, colon + 1, &hints, &addresses);
	if (r != 0)
		return r == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
	r = listen_at(addresses);
	freeaddrinfo(addresses);
	return r;
}

int web_new(struct web **out, struct event_base *base, const struct service *service,
	    struct why *why)
{
	void *arg = (void *)(uintptr_t)service;
	const struct http_document documents[] = { { "/metrics", METRICS_TYPE, metrics_write, arg },
						   { "/", OVERVIEW_TYPE, overview_write, arg } };
	_Static_assert(sizeof(documents) / sizeof(*documents) <= HTTP_DOCUMENTS, "all fit");
	const char *where = service->config.daemon.metrics_listen;
	struct web *web = calloc(1, sizeof(*web));
	int sock, r;

	if (!web)
		return why_set(why, -ENOMEM, "out of memory");
	sock = where[0] == '/' ? conn_listen(where, SOCK_STREAM, 0666) : listen_on_address(where);
	if (sock < 0) {
		free(web);
		return why_set(why, sock, "metrics-listen %s: %s", where, strerror(-sock));
	}
	r = http_new(&web->http, base, sock, documents, sizeof(documents) / sizeof(*documents));
	if (r < 0) {
		free(web);
		return why_set(why, r, "metrics-listen %s: the loop cannot wait for it: %s", where,
			       strerror(-r));
	}
	*out = web;
	return 0;
}

void web_tick(struct web *web)
{
	if (web)
		http_tick(web->http, service_now_ns());
}

void web_free(struct web *web)
{
	if (!web)
		return;
	http_free(web->http);
	free(web);
}
