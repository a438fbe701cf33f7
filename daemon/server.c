/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: one thread, one loop. It knows when something is to be done, and nothing of how.
 *
 * Time comes from a timerfd, not from timers of the loop: with none of those it reads no clock on the way of a request.
 */
#include <config.h>

#include "daemon/server.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/admin.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/notify.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "lib/conn.h"

#define TICK_BUSY_MS 100
#define TICK_IDLE_MS 2000
/* Clients of an earlier daemon have this long to come back. */
#define GRACE_NS     UINT64_C(10000000000)
/* What is under way when we are told to stop has this long: scrubbing for those who wait, and clients that read slowly. */
#define DRAIN_NS     UINT64_C(3000000000)

#define CLIENT_GROUP "pmemarena"

struct server {
	struct event_base *base;        /* owned, as all below */
	struct service *service;
	struct sessions *sessions;
	struct admin *admin;
	struct metrics *metrics;        /* NULL: off */
	struct listener clients, admins;
	struct event sigterm, sigint, sighup;
	struct event tick, watchdog, scrubbed;
	int      tick_fd, watchdog_fd;
	unsigned tick_ms;               /* how the timer is set */
	bool     has_signals, has_orphans;
	uint64_t stopping_since_ns;     /* 0: it is not */
	char     status[160];           /* as the service manager knows it */
};

/* ---- status ---- */

static const char *plural(uint32_t nr)
{
	return nr == 1 ? "" : "s";
}

/* true: it is another than before. */
static bool describe(struct server *server)
{
	const struct service *service = server->service;
	uint32_t nr_open = service_nr_open(service), nr_awaited = roster_orphans(service->roster);
	char arenas[64], awaited[64] = "", before[sizeof(server->status)];

	memcpy(before, server->status, sizeof(before));
	if (nr_open == service->nr_arenas)
		snprintf(arenas, sizeof(arenas), "Serving %" PRIu32 " arena%s", nr_open, plural(nr_open));
	else
		snprintf(arenas, sizeof(arenas), "Degraded: %" PRIu32 " of %" PRIu32 " arenas are online", nr_open, service->nr_arenas);
	if (nr_awaited)
		snprintf(awaited, sizeof(awaited), ", %" PRIu32 " awaited", nr_awaited);
	snprintf(server->status, sizeof(server->status), "%s, %" PRIu32 " session%s%s", arenas, service->nr_sessions,
		 plural(service->nr_sessions), awaited);
	return strcmp(before, server->status) != 0;
}

/* ---- time ---- */

static int set_timer(int fd, uint64_t ms)
{
	struct timespec each = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	struct itimerspec spec = { .it_interval = each, .it_value = each };

	return timerfd_settime(fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

static void set_tick(struct server *server, unsigned ms)
{
	if (server->tick_ms == ms)
		return;
	server->tick_ms = ms;
	set_timer(server->tick_fd, ms);
}

static void drain_timer(int fd)
{
	uint64_t expirations;
	ssize_t n = read(fd, &expirations, sizeof(expirations));

	/* Nothing to be read means another look found it first: that is fine. */
	(void)n;
}

static void stop_when_quiet(struct server *server)
{
	if (sessions_are_quiet(server->sessions) || service_now_ns() - server->stopping_since_ns > DRAIN_NS)
		event_base_loopbreak(server->base);
}

static void drop_orphans_in_time(struct server *server)
{
	if (!server->has_orphans || service_now_ns() - server->service->started_mono_ns < GRACE_NS)
		return;
	server->has_orphans = false;
	service_drop_orphans(server->service);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	bool busy;

	drain_timer(fd);
	service_tick(server->service, &busy);
	/* A verifier, a poisoned page, an arena that went: they may have made room too. */
	if (service_collect(server->service))
		sessions_retry(server->sessions);
	busy |= sessions_tick(server->sessions);
	busy |= listener_tick(&server->clients);
	busy |= listener_tick(&server->admins);
	drop_orphans_in_time(server);
	if (server->stopping_since_ns) {
		stop_when_quiet(server);
		return;
	}
	set_tick(server, busy ? TICK_BUSY_MS : TICK_IDLE_MS);
	if (!busy && describe(server))
		notify_status(server->status);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	drain_timer(fd);
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

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct server *server = arg;

	if (server->stopping_since_ns) {
		log_notice("told to stop twice: stopping at once");
		event_base_loopbreak(server->base);
		return;
	}
	log_info("stopping (%s)", sig == SIGTERM ? "SIGTERM" : "SIGINT");
	notify_stopping();
	server->stopping_since_ns = service_now_ns();
	listener_fini(&server->clients);
	listener_fini(&server->admins);
	sessions_stop(server->sessions);
	set_tick(server, TICK_BUSY_MS);
	stop_when_quiet(server);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct server *server = arg;
	char kept[512];
	struct why why;

	notify_reloading();
	if (service_reload(server->service, kept, sizeof(kept), &why) < 0)
		log_error("the configuration was not reloaded, all stays as it was: %s", why.text);
	else if (kept[0])
		log_warning("the configuration was reloaded, but these change with a restart only: %s", kept);
	else
		log_info("the configuration was reloaded");
	describe(server);
	notify_ready(server->status);
}

static void add_signal(struct event *event, struct server *server, int sig, event_callback_fn handler)
{
	event_assign(event, server->base, sig, EV_SIGNAL | EV_PERSIST, handler, server);
	event_add(event, NULL);
}

static void add_signals(struct server *server)
{
	add_signal(&server->sigterm, server, SIGTERM, on_stop);
	add_signal(&server->sigint, server, SIGINT, on_stop);
	add_signal(&server->sighup, server, SIGHUP, on_reload);
	server->has_signals = true;
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

/* Who may connect is a matter of the socket's group; a daemon that is not root's can only give it its own. */
static void give_to_group(const char *path, const char *name)
{
	struct group *group = path[0] == '@' || geteuid() != 0 ? NULL : getgrnam(name);

	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warning("%s could not be given to group %s: %s", path, name, strerror(errno));
}

static int listen_at(int *sock, const char *path, int type, mode_t mode, const char *group, struct why *why)
{
	int r;

	if (*sock >= 0)
		return 0;
	r = conn_listen(path, type, mode);
	if (r == -EADDRINUSE)
		return why_set(why, r, "socket %s: another process listens there; is a pmemarenad running?", path);
	if (r < 0)
		return why_set(why, r, "socket %s: %s", path, strerror(-r));
	*sock = r;
	give_to_group(path, group);
	return 0;
}

static int listen_for_all(struct server *server, struct passed *passed, struct why *why)
{
	const struct config_daemon *config = &server->service->config.daemon;
	int r;

	r = listen_at(&passed->client, config->socket, SOCK_SEQPACKET, 0660, CLIENT_GROUP, why);
	if (r == 0)
		r = listen_at(&passed->admin, config->admin_socket, SOCK_STREAM, 0660, config->admin_group, why);
	if (r < 0)
		return r;
	listener_init(&server->clients, server->base, passed->client, accept_client, server->sessions);
	passed->client = -1;
	listener_init(&server->admins, server->base, passed->admin, accept_admin, server->admin);
	passed->admin = -1;
	return 0;
}

/* ---- begin and end ---- */

static int open_loop(struct server *server)
{
	struct event_config *config = event_config_new();

	if (!config)
		return -ENOMEM;
	/* The loop has no timers: it need not read the clock each time it wakes up. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	server->base = event_base_new_with_config(config);
	event_config_free(config);
	return server->base ? 0 : -ENOMEM;
}

static int add_timer(int *fd, struct event *event, struct server *server, event_callback_fn handler, uint64_t ms)
{
	*fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*fd < 0)
		return -errno;
	event_assign(event, server->base, *fd, EV_READ | EV_PERSIST, handler, server);
	event_add(event, NULL);
	return set_timer(*fd, ms);
}

static int add_events(struct server *server)
{
	uint64_t watchdog_ms = notify_watchdog_ms();
	int r;

	server->tick_ms = TICK_BUSY_MS;
	r = add_timer(&server->tick_fd, &server->tick, server, on_tick, TICK_BUSY_MS);
	if (r == 0 && watchdog_ms)
		r = add_timer(&server->watchdog_fd, &server->watchdog, server, on_watchdog, watchdog_ms);
	if (r < 0)
		return r;
	event_assign(&server->scrubbed, server->base, scrubber_fd(server->service->scrubber), EV_READ | EV_PERSIST, on_scrubbed, server);
	event_add(&server->scrubbed, NULL);
	add_signals(server);
	return 0;
}

/* Their clients have not noticed anything. Before anyone new is let in. */
static void go_on_with_sessions(struct server *server, struct passed *passed)
{
	for (size_t i = 0; i < passed->nr_sessions; i++) {
		sessions_adopt(server->sessions, passed->sessions[i].sock, passed->sessions[i].number);
		passed->sessions[i].sock = -1;
	}
	if (passed->nr_sessions)
		log_info("went on with %" PRIu32 " of %zu sessions of the daemon before", server->service->nr_sessions, passed->nr_sessions);
}

static int open_all(struct server *server, struct config *config, const struct config_sources *sources, struct passed *passed,
		    struct why *why)
{
	int r;

	r = open_loop(server);
	if (r < 0)
		return why_set(why, r, "the event loop cannot be made");
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
		return why_set(why, r, "%s", strerror(-r));
	go_on_with_sessions(server, passed);
	r = listen_for_all(server, passed, why);
	if (r == 0 && server->service->config.daemon.metrics_listen[0])
		r = metrics_new(&server->metrics, server->base, server->service, why);
	return r;
}

int server_new(struct server **out, struct config *config, const struct config_sources *sources, struct passed *passed, struct why *why)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (server) {
		server->clients.sock = server->admins.sock = server->tick_fd = server->watchdog_fd = -1;
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
 * Spin while requests keep coming, and for a while after the last one: the next one then finds us awake. Without that wish a
 * request costs a wake-up.
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
		event_base_loop(server->base, now - since_ns < busy_poll_ns ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
	}
}

void server_run(struct server *server)
{
	uint64_t busy_poll_ns = UINT64_C(1000) * server->service->config.daemon.busy_poll_us;

	describe(server);
	notify_ready(server->status);
	log_info("ready: clients at %s, administrators at %s", server->service->config.daemon.socket,
		 server->service->config.daemon.admin_socket);
	if (busy_poll_ns)
		run_polling(server, busy_poll_ns);
	else
		event_base_dispatch(server->base);
}

static void close_timer(int fd, struct event *event)
{
	if (fd < 0)
		return;
	event_del(event);
	close(fd);
}

void server_free(struct server *server)
{
	if (!server)
		return;
	listener_fini(&server->clients);
	listener_fini(&server->admins);
	metrics_free(server->metrics);
	admin_free(server->admin);
	sessions_free(server->sessions);
	close_timer(server->tick_fd, &server->tick);
	close_timer(server->watchdog_fd, &server->watchdog);
	if (server->has_signals) {
		event_del(&server->scrubbed);
		event_del(&server->sigterm);
		event_del(&server->sigint);
		event_del(&server->sighup);
	}
	service_close(server->service);
	if (server->base)
		event_base_free(server->base);
	free(server);
}
