/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listener: accepts connections and hands them on. When the process has no descriptors left it
 * stops for a second: the socket stays readable, and the loop would spin.
 */
#include <config.h>

#include "daemon/serve/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/service/service.h"
#include "lib/wire/conn.h"

#define REST_NS UINT64_C(1000000000)
/*
 * How many connections one wake-up accepts. Whose they are is known only afterwards, so they are
 * charged to no user's turn, and all who are connected wait meanwhile.
 */
#define TURN    2

static void rest(struct listener *listener, int error)
{
	bool is_number = error == EMFILE || error == ENFILE;

	log_warning("no connections are taken for a second: %s%s", strerror(error),
		    is_number ? "; raise LimitNOFILE= or lower max-sessions" : "");
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

static int wake(struct listener *listener)
{
	errno = 0;
	if (event_add(&listener->event, NULL) == 0)
		return 0;
	return errno ? -errno : -ENOMEM;
}

/*
 * The group of the socket decides who may connect. A daemon that does not run as root cannot give
 * the socket to another group.
 */
static void give_to_group(const char *path, const char *name)
{
	struct group *group = path[0] == '@' || geteuid() != 0 ? NULL : getgrnam(name);

	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warning("%s could not be given to group %s: %s", path, name, strerror(errno));
}

int listener_bind(int *sock, const char *path, int type, mode_t mode, const char *group,
		  struct why *why)
{
	int r;

	if (*sock >= 0)
		return 0;
	r = conn_listen(path, type, mode);
	if (r == -EADDRINUSE)
		return why_set(why, r,
			       "socket %s: another process listens there; is a pmemarenad running?",
			       path);
	if (r < 0)
		return why_set(why, r, "socket %s: %s", path, strerror(-r));
	*sock = r;
	give_to_group(path, group);
	return 0;
}

int listener_init(struct listener *listener, struct event_base *base, int sock,
		  int (*accepted)(void *arg, int sock), void *arg)
{
	int r;

	*listener = (struct listener){ .sock = sock, .accepted = accepted, .arg = arg };
	r = event_assign(&listener->event, base, sock, EV_READ | EV_PERSIST, on_connection,
			 listener) < 0
		    ? -EINVAL
		    : wake(listener);
	if (r < 0)
		listener_fini(listener);
	return r;
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
	/*
	 * If libevent has no memory to wait for the socket, this tries again a second later.
	 * Without that no connection would ever be accepted again.
	 */
	listener->resting_since_ns = wake(listener) < 0 ? service_now_ns() : 0;
	return listener->resting_since_ns != 0;
}
