/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listener: accepts connections and hands them on.
 */
#include <config.h>

#include "daemon/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/service.h"

#define REST_NS UINT64_C(1000000000)
/* A share of one wake-up: those who are connected have their turn too. */
#define TURN    16

static void rest(struct listener *listener, int error)
{
	log_warning("no connections are taken for a second: %s; raise LimitNOFILE= or lower max-sessions", strerror(error));
	event_del(&listener->event);
	listener->resting_since_ns = service_now_ns();
}

static void on_connection(evutil_socket_t sock, short what, void *arg)
{
	struct listener *listener = arg;

	for (int i = 0; i < TURN; i++) {
		int connection = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		int r = connection < 0 ? -errno : listener->accepted(listener->arg, connection);

		if (r == 0 || r == -EINTR || r == -ECONNABORTED)
			continue;
		if (r != -EAGAIN)
			rest(listener, -r);
		return;
	}
}

void listener_init(struct listener *listener, struct event_base *base, int sock, int (*accepted)(void *arg, int sock), void *arg)
{
	*listener = (struct listener){ .sock = sock, .accepted = accepted, .arg = arg };
	event_assign(&listener->event, base, sock, EV_READ | EV_PERSIST, on_connection, listener);
	event_add(&listener->event, NULL);
}

void listener_fini(struct listener *listener)
{
	if (listener->sock < 0)
		return;
	event_del(&listener->event);
	close(listener->sock);
	listener->sock = -1;
}

bool listener_tick(struct listener *listener)
{
	if (listener->sock < 0 || listener->resting_since_ns == 0)
		return false;
	if (service_now_ns() - listener->resting_since_ns < REST_NS)
		return true;
	listener->resting_since_ns = 0;
	event_add(&listener->event, NULL);
	return false;
}
