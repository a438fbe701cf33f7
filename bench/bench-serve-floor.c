/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * floor: a server that sends back what it gets, and its clients.
 */
#include <config.h>

#include "bench/bench-serve-floor.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PACKET      64
#define CLIENTS_MAX 100

struct ends {
	unsigned nr;
	int pairs[CLIENTS_MAX][2];      /* the server's, the client's */
};

static bool echo(int sock)
{
	char packet[PACKET];
	ssize_t n = recv(sock, packet, sizeof(packet), 0);

	return n > 0 && send(sock, packet, (size_t)n, MSG_NOSIGNAL) == n;
}

static void serve_many(const struct ends *ends)
{
	struct epoll_event event = { .events = EPOLLIN }, ready[CLIENTS_MAX];
	int poller = epoll_create1(EPOLL_CLOEXEC), nr;

	for (unsigned i = 0; i < ends->nr; i++) {
		event.data.fd = ends->pairs[i][0];
		epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
	}
	while ((nr = epoll_wait(poller, ready, CLIENTS_MAX, -1)) >= 0) {
		for (int i = 0; i < nr; i++)
			echo(ready[i].data.fd);
	}
}

static pid_t start_server(const struct ends *ends)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	place_server(0);
	if (ends->nr > 1)
		serve_many(ends);
	while (echo(ends->pairs[0][0]))
		;
	_exit(0);
}

static int open_end(void **context, const void *arg, unsigned index)
{
	const struct ends *ends = arg;

	*context = (void *)(uintptr_t)&ends->pairs[index][1];
	return 0;
}

static int work(struct turn *turn, void *context, const void *arg)
{
	char packet[PACKET] = "ping";
	int sock = *(const int *)context;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now();

		if (send(sock, packet, PACKET, MSG_NOSIGNAL) != PACKET ||
		    recv(sock, packet, PACKET, 0) != PACKET)
			return -EPIPE;
		turn_note(turn, PHASE_THERE, from, turn_now(), 1);
	}
	return 0;
}

int floor_run(struct timing *timing, enum placement placement, unsigned nr_clients, double seconds)
{
	struct timing timings[NR_PHASES];
	struct ends ends = { 0 };
	struct crew_plan plan = {
		.nr = nr_clients,
		.nr_threads = 1,
		.placement = placement,
		.seconds = seconds,
		.open = open_end,
		.work = work,
		.arg = &ends,
	};
	int r = nr_clients <= CLIENTS_MAX ? 0 : -EINVAL;
	pid_t server = -1;

	for (; r == 0 && ends.nr < nr_clients; ends.nr++)
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.pairs[ends.nr]) < 0)
			r = -errno;
	if (r == 0) {
		server = start_server(&ends);
		r = server < 0 ? -errno : crew_run(timings, &plan);
	}
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	while (ends.nr > 0) {
		close(ends.pairs[--ends.nr][0]);
		close(ends.pairs[ends.nr][1]);
	}
	*timing = timings[PHASE_THERE];
	return r;
}
