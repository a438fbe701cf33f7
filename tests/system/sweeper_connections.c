/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_connections: the calls about options, connections, events and the admin socket; a
 * connection that is lost, and a child of fork() that has it.
 */
#include <config.h>

#include "tests/system/sweeper_acts.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/session/client.h"

#define RECONNECT_MS 300

int run_options(struct world *w)
{
	int r = w->options ? 0 : pma_options_new(&w->options);

	return r < 0 ? r : pma_options_set_socket(w->options, w->socket);
}

void undo_options(struct world *w)
{
	pma_options_free(w->options);
	w->options = NULL;
}

void have_options(struct world *w)
{
	must(run_options(w), "options");
	must(pma_options_set_reconnect_ms(w->options, RECONNECT_MS), "options");
}

int run_connect(struct world *w)
{
	return pma_connect(&w->pma, w->options);
}

void undo_connect(struct world *w)
{
	pma_disconnect(w->pma);
	w->pma = NULL;
	undo_options(w);
}

void have_options_for_nobody(struct world *w)
{
	have_options(w);
	must(pma_options_set_socket(w->options, "/nobody/listens/here"), "options");
}

int run_disconnect(struct world *w)
{
	pma_disconnect(w->pma);
	w->pma = NULL;
	return 0;
}

static void count_event(const struct pma_event *event, void *arg)
{
	struct world *w = arg;

	w->nr_events++;
}

int run_subscribe(struct world *w)
{
	return pma_subscribe(w->pma, 0, "s", count_event, w);
}

void undo_subscribe(struct world *w)
{
	pma_subscribe(w->pma, 0, NULL, NULL, NULL);
}

int run_get_fd(struct world *w)
{
	int fd = pma_get_fd(w->pma);

	return fd < 0 ? fd : 0;
}

void have_event(struct world *w)
{
	must(run_subscribe(w), "subscribe");
	have_allocation(w);
	/* It is delivered, or it waits in the socket. */
	must(run_stat(w), "stat");
}

/* What cannot be kept is lost, and that is told. */
int run_dispatch(struct world *w)
{
	int r = pma_dispatch(w->pma);

	if (r == 0 && w->nr_events == 0)
		must(-ENOMSG, "an event is neither delivered nor told as lost");
	return r;
}

void undo_dispatch(struct world *w)
{
	undo_subscribe(w);
	undo_free(w);
}

void have_many_things(struct world *w)
{
	have_event(w);
	must(run_get_fd(w), "descriptor for a loop");
	must(run_map(w), "map");
}

/* The daemon takes it for the end of the session. */
void have_lost(struct world *w)
{
	have_many_things(w);
	shutdown(w->pma->link.sock, SHUT_RDWR);
}

void have_restarted(struct world *w)
{
	have_many_things(w);
	restart_daemon();
}

int run_dispatch_until_up(struct world *w)
{
	int r;

	for (int i = 0; i < 2000; i++) {
		r = pma_dispatch(w->pma);
		if (r == 0 && w->nr_events > 0)
			break;
		usleep(500);
	}
	return r;
}

void undo_lost(struct world *w)
{
	pma_unmap(w->map);
	w->map = NULL;
	undo_dispatch(w);
}

/* ---- in a child of fork() ---- */

/* What a child cannot unmap its parent must go on to see: attend() looks. */
int run_child_unmap(struct world *w)
{
	char *address = pma_map_address(w->map);
	unsigned char page;

	pma_unmap(w->map);
	w->map = NULL;
	w->is_mapped = mincore(address, 4096, &page) == 0;
	return 0;
}

int run_child_connect(struct world *w)
{
	struct pma_info info;

	if (w->map) {
		if (pma_stat(&info, w->pma, w->handle) != -EPERM)
			must(-EPERM, "a child is served on its parent's connection");
		pma_disconnect(w->pma);
		w->pma = NULL;
		w->map = NULL;
	}
	return run_connect(w);
}

/* ---- the admin socket ---- */

int run_admin_call(struct world *w)
{
	return pma_admin_call(&w->json, NULL, w->admin_socket, "ping", "{}");
}

void undo_admin_call(struct world *w)
{
	free(w->json);
	w->json = NULL;
}

static bool is_enough(const char *json, void *arg)
{
	return false;
}

/* There is nothing to watch unless something happens. */
void have_noise(struct world *w)
{
	have_options(w);
	w->noise = fork();
	if (w->noise != 0)
		return;
	must(run_connect(w), "connect");
	while (getppid() == w->parent) {
		if (pma_create(&w->handle, w->pma, w->name, KIB(4), 0) == 0)
			pma_free(w->pma, w->handle);
		usleep(1000);
	}
	_exit(0);
}

void undo_noise(struct world *w)
{
	kill(w->noise, SIGKILL);
	waitpid(w->noise, NULL, 0);
	must(run_connect(w), "connect");
	free_named(w, w->name);
	undo_connect(w);
}

int run_admin_watch(struct world *w)
{
	return pma_admin_watch(w->admin_socket, "watch", NULL, is_enough, NULL);
}
