/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait: waits until there is an allocation of a name, or none any more. It is told by events and
 * looks once after each: what happened between a look and a sleep has sent an event.
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <pmemarena.h>
#include <time.h>

#include "ctl/ctl.h"

static const char help[] =
	"Ends with status 0 when it is published, and 1 when the time is over.\n"
	"\n"
	"      --gone                until there is none of this name\n"
	"      --timeout SECONDS     how long; default, and 0: for ever\n"
	"      --arena NAME          by name or UUID; default: the first\n";

struct wish {
	struct ctl_bytes name;
	const char *arena;
	bool gone;
	uint64_t deadline_ms;           /* 0: none */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The event only wakes: what is true then is asked. */
static void on_event(const struct pma_event *event, void *arg)
{
}

/* 1: it is as was wished; 0: not yet; or -errno. */
static int look(struct pma *pma, uint32_t arena, const struct wish *wish)
{
	struct pma_info info;
	int r = pma_stat_name(&info, pma, arena, wish->name.bytes);

	if (r == 0)
		return info.is_reserved == wish->gone;
	return r == -ENOENT ? wish->gone : r;
}

/* Sleeps until there is something to look at. 0; -ETIME the time is over; or -errno. */
static int sleep_on(struct pma *pma, const struct wish *wish)
{
	struct pollfd ready = { .fd = pma_get_fd(pma), .events = POLLIN };
	uint64_t now = now_ms();
	int n, r;

	if (ready.fd < 0)
		return ready.fd;
	if (wish->deadline_ms && now >= wish->deadline_ms)
		return -ETIME;
	n = poll(&ready, 1, wish->deadline_ms ? (int)(wish->deadline_ms - now) : -1);
	if (n < 0 && errno != EINTR)
		return -errno;
	r = n > 0 ? pma_dispatch(pma) : 0;
	/* A daemon that was restarted is connected again by the next call. */
	return r == -ENOTCONN ? 0 : r;
}

static int wait_for(struct pma *pma, const struct wish *wish)
{
	struct pma_arena arena;
	int r = ctl_client_arena(&arena, pma, wish->arena);

	if (r == 0)
		r = pma_subscribe(pma, arena.index, wish->name.bytes, on_event, NULL);
	while (r == 0) {
		r = look(pma, arena.index, wish);
		if (r == 0)
			r = sleep_on(pma, wish);
	}
	return r;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { .gone = false };
	const struct ctl_option options[] = { { "arena", &wish.arena, NULL },
					      { "gone", NULL, &wish.gone },
					      { NULL, NULL, NULL } };
	struct pma *pma;
	char name[CTL_TEXT];
	int status, r;

	if (!ctl_begin(&status, ctl, &ctl_wait, argc, argv, options, 1, 1))
		return status;
	if (!ctl_read_name(&wish.name, argv[1]))
		return CTL_USAGE;
	if (ctl->has_timeout && ctl->timeout_s > 0)
		wish.deadline_ms = now_ms() + (uint64_t)(ctl->timeout_s * 1000) + 1;
	status = ctl_connect(&pma, ctl);
	if (status != CTL_DONE)
		return status;
	r = wait_for(pma, &wish);
	if (r == -ETIME) {
		ctl_say("within %g s %s was not %s", ctl->timeout_s,
			ctl_shown(name, wish.name.bytes, wish.name.len),
			wish.gone ? "freed" : "published");
		status = CTL_FAILED;
	} else if (r < 0) {
		status = ctl_refused(r);
	}
	pma_disconnect(pma);
	return status;
}

const struct ctl_command ctl_wait = { "wait", "NAME [--gone] [--timeout SECONDS]",
				      "Wait until an allocation is published", help, run };
