/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop: libevent as the daemon needs it.
 */
#include <config.h>

#include "daemon/loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/log.h"

/*
 * Logs what libevent has to say as any other line; by itself it would write to standard error,
 * without a level.
 */
static void log_of_loop(int severity, const char *what)
{
	if (severity >= EVENT_LOG_WARN)
		log_warning("the event loop: %s", what);
}

int loop_open(struct event_base **out)
{
	struct event_config *config;
	int r;

	event_set_log_callback(log_of_loop);
	config = event_config_new();
	if (!config)
		return -ENOMEM;
	/*
	 * The loop does not read the clock at each wake-up. It has few timers
	 * (daemon/serve/session_turn.c, session_aside.c), which are set only when something was put
	 * aside.
	 */
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	errno = 0;
	*out = event_base_new_with_config(config);
	r = *out ? 0 : errno ? -errno : -ENOMEM;
	event_config_free(config);
	return r;
}

/* libevent only says that it failed, so errno is the reason. */
int loop_add(struct event *event, struct event_base *base, int fd, event_callback_fn handler,
	     void *arg)
{
	if (event_assign(event, base, fd, EV_READ | EV_PERSIST, handler, arg) < 0)
		return -EINVAL;
	errno = 0;
	if (event_add(event, NULL) < 0)
		return errno ? -errno : -ENOMEM;
	return 0;
}

int loop_set_timer(int fd, uint64_t ms)
{
	struct timespec each = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };
	struct itimerspec spec = { .it_interval = each, .it_value = each };

	return timerfd_settime(fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

int loop_add_timer(struct event *event, struct event_base *base, int *fd, uint64_t ms,
		   event_callback_fn handler, void *arg)
{
	int r;

	*fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*fd < 0)
		return -errno;
	r = loop_add(event, base, *fd, handler, arg);
	return r < 0 ? r : loop_set_timer(*fd, ms);
}

void loop_drain_timer(int fd)
{
	uint64_t expirations;
	ssize_t n = read(fd, &expirations, sizeof(expirations));

	/* There may be nothing to read, if another call has read it already. */
	(void)n;
}

/* An event that was never assigned has no loop, and event_del() would crash. */
void loop_remove(struct event *event)
{
	if (event_get_base(event))
		event_del(event);
}

void loop_close(int fd, struct event *event)
{
	loop_remove(event);
	if (fd >= 0)
		close(fd);
}
