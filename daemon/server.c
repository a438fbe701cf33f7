/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: one thread, one loop. It knows when something is to be done, and leaves the how to
 * others.
 */
#include <config.h>

#include "daemon/server.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/admin/admin.h"
#include "daemon/serve/listener.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/admin/web.h"
#include "daemon/notify.h"
#include "daemon/service/service.h"
#include "daemon/serve/session.h"
#include "lib/wire/conn.h"

#define TICK_BUSY_MS 100
#define TICK_IDLE_MS 2000
/*
 * How long what is under way may take when the daemon is told to stop: scrubbing that clients wait
 * for, and replies to clients that read slowly.
 */
#define DRAIN_NS     UINT64_C(3000000000)

#define CLIENT_GROUP "pmemarena"

struct server {
	struct event_base *base;        /* owned, as all that follow */
	struct service *service;
	struct sessions *sessions;
	struct admin *admin;
	struct web *web;                /* NULL: it is off */
	struct listener clients, admins;
	struct event tick, watchdog, signals, scrubbed;
	int      tick_fd, watchdog_fd, signal_fd;
	unsigned tick_ms;               /* the present period of tick_fd */
	/* is_unheard: the service manager did not get READY=1, so the next tick sends it again */
	bool     has_orphans, is_unheard;
	uint64_t stopping_since_ns;     /* 0: the daemon is not stopping */
	/* the status line that the service manager was told last */
	char     status[1400];
};

/* ---- status ---- */

/* Writes the status line. Returns true if it is another one than before. */
static bool describe(struct server *server)
{
	char before[sizeof(server->status)];

	memcpy(before, server->status, sizeof(before));
	service_describe(server->status, sizeof(server->status), server->service);
	return strcmp(before, server->status) != 0;
}

/* ---- time ---- */

static void set_tick(struct server *server, unsigned ms)
{
	if (server->tick_ms == ms)
		return;
	server->tick_ms = ms;
	loop_set_timer(server->tick_fd, ms);
}

static void stop_when_quiet(struct server *server)
{
	if (sessions_are_quiet(server->sessions) ||
	    service_now_ns() - server->stopping_since_ns > DRAIN_NS)
		event_base_loopbreak(server->base);
}

static void drop_orphans_in_time(struct server *server)
{
	if (!server->has_orphans || service_grace_left_ns(server->service) > 0)
		return;
	server->has_orphans = false;
	service_drop_orphans(server->service);
}

/*
 * An arena came whose device was not there at the start. Sessions take part in it, so that they
 * find what they had there before. If the grace time is over, those that did not come back end
 * there too.
 */
static void welcome_arenas(struct server *server)
{
	if (!server->service->has_new)
		return;
	server->service->has_new = false;
	sessions_take_part(server->sessions);
	if (!server->has_orphans)
		service_end_orphans(server->service);
}

static void say_ready(struct server *server)
{
	int r = notify_ready(server->status);

	if (r < 0 && !server->is_unheard)
		log_error("the service manager could not be told that the daemon is ready: %s; it "
			  "is told again until it hears",
			  strerror(-r));
	server->is_unheard = r < 0;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	bool busy;

	loop_drain_timer(fd);
	service_tick(server->service, &busy);
	service_transfer_tick(server->service);
	welcome_arenas(server);
	/*
	 * Space can become clean without a scrubber's wake-up, when a page goes bad or an arena
	 * goes offline: who waits for space tries again.
	 */
	if (service_collect(server->service))
		sessions_retry(server->sessions);
	busy |= sessions_tick(server->sessions);
	busy |= listener_tick(&server->clients);
	busy |= listener_tick(&server->admins);
	admin_tick(server->admin);
	web_tick(server->web);
	drop_orphans_in_time(server);
	if (server->stopping_since_ns) {
		stop_when_quiet(server);
		return;
	}
	if (server->is_unheard)
		say_ready(server);
	busy |= server->is_unheard;
	set_tick(server, busy ? TICK_BUSY_MS : TICK_IDLE_MS);
	if (!busy && describe(server))
		notify_status(server->status);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	loop_drain_timer(fd);
	notify_watchdog();
}

static void on_scrubbed(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	if (service_collect(server->service))
		sessions_retry(server->sessions);
	if (server->stopping_since_ns)
		stop_when_quiet(server);
}

/* ---- signals ---- */

static void stop(struct server *server, const char *why)
{
	if (server->stopping_since_ns) {
		log_notice("told to stop twice: stopping at once");
		event_base_loopbreak(server->base);
		return;
	}
	log_info("stopping (%s)", why);
	notify_stopping();
	server->stopping_since_ns = service_now_ns();
	listener_fini(&server->clients);
	listener_fini(&server->admins);
	sessions_stop(server->sessions);
	set_tick(server, TICK_BUSY_MS);
	stop_when_quiet(server);
}

static void reload(struct server *server)
{
	struct service_kept kept;
	struct why why;

	notify_reloading();
	service_reload(server->service, &kept, NULL, NULL, &why);
	describe(server);
	say_ready(server);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(arg);
	else
		stop(arg, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

/*
 * The kernel keeps a signal until it is read. A handler would have to write to the loop, and what
 * it has no memory to write is lost: the daemon would go on for ever.
 */
static int add_signals(struct server *server)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (server->signal_fd < 0)
		return -errno;
	return loop_add(&server->signals, server->base, server->signal_fd, on_signal, server);
}

/* ---- sockets ---- */

static int accept_client(void *arg, int sock)
{
	return sessions_accept(arg, sock);
}

static int accept_admin(void *arg, int sock)
{
	admin_accept(arg, sock);
	return 0;
}

/* Listens at both sockets, those that were passed or new ones. */
static int listen_for_all(struct server *server, struct passed *passed, struct why *why)
{
	const struct config_daemon *config = &server->service->config.daemon;
	int r;

	r = listener_bind(&passed->client, config->socket, SOCK_SEQPACKET, 0660, CLIENT_GROUP, why);
	if (r == 0)
		r = listener_bind(&passed->admin, config->admin_socket, SOCK_STREAM, 0660,
			      config->admin_group, why);
	if (r < 0)
		return r;
	r = listener_init(&server->clients, server->base, passed->client, accept_client,
			  server->sessions);
	passed->client = -1;
	if (r == 0) {
		r = listener_init(&server->admins, server->base, passed->admin, accept_admin,
				  server->admin);
		passed->admin = -1;
	}
	return r < 0 ? why_set(why, r, "the sockets cannot be waited for: %s", strerror(-r)) : 0;
}

/* ---- begin and end ---- */

static int add_events(struct server *server)
{
	uint64_t watchdog_ms = notify_watchdog_ms();
	int r;

	server->tick_ms = TICK_BUSY_MS;
	r = loop_add_timer(&server->tick, server->base, &server->tick_fd, TICK_BUSY_MS, on_tick,
			   server);
	if (r == 0 && watchdog_ms)
		r = loop_add_timer(&server->watchdog, server->base, &server->watchdog_fd,
				   watchdog_ms, on_watchdog, server);
	if (r == 0)
		r = loop_add(&server->scrubbed, server->base,
			     scrubber_fd(server->service->scrubber), on_scrubbed, server);
	return r < 0 ? r : add_signals(server);
}

static bool is_hung_up(int sock)
{
	struct pollfd poll_fd = { .fd = sock, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) > 0;
}

/*
 * Takes over the connections that the service manager kept; their clients have noticed nothing.
 * This comes before new clients are let in, which could otherwise take the last places. A
 * connection that was hung up says nothing of its session: the client may have another one, which
 * the service manager has too or did not take any more. The session is waited for, as one whose
 * connection is missing; the service manager forgets such a connection by itself.
 */
static void go_on_with_sessions(struct server *server, struct passed *passed)
{
	for (size_t i = 0; i < passed->nr_sessions; i++) {
		struct passed_session *session = &passed->sessions[i];

		if (is_hung_up(session->sock))
			continue;               /* passed_fini() closes it */
		sessions_adopt(server->sessions, session->sock, session->number);
		session->sock = -1;
	}
	if (passed->nr_sessions)
		log_info("went on with %" PRIu32 " of %zu sessions of the daemon before",
			 server->service->nr_sessions, passed->nr_sessions);
}

static int open_all(struct server *server, struct config *config,
		    const struct config_sources *sources, struct passed *passed, struct why *why)
{
	int r;

	r = loop_open(&server->base);
	if (r < 0)
		return why_set(why, r, "the event loop cannot be made: %s", strerror(-r));
	r = service_open(&server->service, config, sources, why);
	if (r < 0)
		return r;
	server->has_orphans = true;
	r = sessions_new(&server->sessions, server->base, server->service);
	if (r == 0)
		r = admin_new(&server->admin, server->base, server->service, server->sessions);
	if (r == 0)
		r = add_events(server);
	if (r < 0)
		return why_set(why, r, "the daemon cannot be made ready to serve: %s",
			       strerror(-r));
	go_on_with_sessions(server, passed);
	r = listen_for_all(server, passed, why);
	if (r == 0 && server->service->config.daemon.metrics_listen[0])
		r = web_new(&server->web, server->base, server->service, why);
	return r;
}

int server_new(struct server **out, struct config *config, const struct config_sources *sources,
	       struct passed *passed, struct why *why)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (server) {
		server->clients.sock = server->admins.sock = -1;
		server->tick_fd = server->watchdog_fd = server->signal_fd = -1;
		r = open_all(server, config, sources, passed, why);
	} else {
		r = why_set(why, -ENOMEM, "out of memory");
	}
	passed_fini(passed);
	if (r < 0) {
		server_free(server);
		return r;
	}
	*out = server;
	return 0;
}

/*
 * Polls the sockets without sleeping while requests come, and for @busy_poll_ns after the last one:
 * the next request then finds the loop awake. Otherwise each request costs a wake-up.
 */
static void run_polling(struct server *server, uint64_t busy_poll_ns)
{
	const struct counters *counters = &server->service->counters;
	uint64_t seen = 0, since_ns = 0;

	while (!event_base_got_break(server->base)) {
		uint64_t now = service_now_ns();

		if (counters->messages != seen) {
			seen = counters->messages;
			since_ns = now;
		}
		event_base_loop(server->base,
				now - since_ns < busy_poll_ns ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
		sessions_next_round(server->sessions);
	}
}

static void run_sleeping(struct server *server)
{
	while (!event_base_got_break(server->base)) {
		event_base_loop(server->base, EVLOOP_ONCE);
		sessions_next_round(server->sessions);
	}
}

/*
 * Connections beyond what the service manager keeps are lost when the daemon restarts. Their
 * sessions are not, if the clients connect again.
 */
static void warn_of_store(uint32_t max_sessions)
{
	uint64_t most = notify_store_size();

	if (most > 0 && most < max_sessions)
		log_warning(
			"max-sessions is %" PRIu32 ", but the service manager keeps %" PRIu64
			" connections over a restart: clients beyond that have to connect again; "
			"raise FileDescriptorStoreMax= of the unit, and PMEMARENA_FDSTORE with it",
			max_sessions, most);
}

void server_run(struct server *server)
{
	uint64_t busy_poll_ns = UINT64_C(1000) * server->service->config.daemon.busy_poll_us;

	warn_of_store(server->service->config.daemon.max_sessions);
	describe(server);
	say_ready(server);
	log_info("ready: clients at %s, administrators at %s",
		 server->service->config.daemon.socket,
		 server->service->config.daemon.admin_socket);
	if (busy_poll_ns)
		run_polling(server, busy_poll_ns);
	else
		run_sleeping(server);
}

void server_free(struct server *server)
{
	if (!server)
		return;
	listener_fini(&server->clients);
	listener_fini(&server->admins);
	web_free(server->web);
	admin_free(server->admin);
	sessions_free(server->sessions);
	loop_close(server->tick_fd, &server->tick);
	loop_close(server->watchdog_fd, &server->watchdog);
	loop_close(server->signal_fd, &server->signals);
	loop_remove(&server->scrubbed);
	service_close(server->service);
	if (server->base)
		event_base_free(server->base);
	free(server);
}
