/* SPDX-License-Identifier: BSD-3-Clause */
/* sweeper_windows: the calls of windows among the acts of the sweep. */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/session/client.h"
#include "tests/system/sweeper.h"

#define KIB(n) (UINT64_C(n) << 10)
#define MIB(n) (UINT64_C(n) << 20)

int run_window_open(struct world *w)
{
	return pma_window_open(&w->window, w->pma, 0, PMA_WINDOW_WRITE, 8);
}

int run_window_open_populated(struct world *w)
{
	return pma_window_open(&w->window, w->pma, 0, PMA_WINDOW_POPULATE, 8);
}

void undo_window_of_reservation(struct world *w)
{
	run_window_close(w);
	pma_abort(w->pma, w->handle);   /* it is gone if the session was lost */
}

void undo_window(struct world *w)
{
	run_window_close(w);
	if (w->handle.id)
		must(pma_free(w->pma, w->handle), "free");
}

void have_window(struct world *w)
{
	must(run_window_open(w), "window");
	must(pma_create(&w->handle, w->pma, w->name, KIB(8), 0), "create");
}

/* Two pieces: what is after the first belongs to another while it grows. */
void have_window_of_parts(struct world *w)
{
	struct pma_handle beside;

	must(run_window_open(w), "window");
	must(pma_create(&w->handle, w->pma, w->name, MIB(2), 0), "create");
	must(pma_reserve(&beside, w->pma, NULL, MIB(2), 0), "reserve");
	must(pma_resize(w->pma, w->handle, MIB(4)), "resize");
	must(pma_abort(w->pma, beside), "abort");
}

/* What is not published is not in the catalog: the get is a message. */
void have_window_of_reservation(struct world *w)
{
	must(run_window_open(w), "window");
	must(pma_reserve(&w->handle, w->pma, w->name, KIB(8), 0), "reserve");
}

void have_window_of_lost(struct world *w)
{
	have_window(w);
	shutdown(w->pma->link.sock, SHUT_RDWR);
}

void have_window_of_killed(struct world *w)
{
	have_window(w);
	restart_daemon();
}

static int get(struct world *w, const struct pma_key *key)
{
	struct pma_pin pin = { .result = -EINVAL };
	int r = pma_get(w->window, &pin, key, 1, 0);

	if (r != 1)
		return r < 0 ? r : pin.result;
	/* Where it lies is where its bytes are: a wrong address would be somebody else's. */
	if (!pin.address || pin.total < KIB(8))
		must(-EFAULT, "a pin without memory");
	memset(pin.address, 0x5a, 64);
	pma_put(w->window, &pin, 1);
	return 0;
}

int run_get_name(struct world *w)
{
	return get(w, &(struct pma_key){ .name = w->name });
}

int run_get_handle(struct world *w)
{
	return get(w, &(struct pma_key){ .handle = w->handle });
}

/* A name that nobody has: the daemon is asked, and says so. */
int run_get_absent(struct world *w)
{
	return get(w, &(struct pma_key){ .name = "nobody has this name" });
}

/* After the connection was lost: a message first, then a get that is one too. */
int run_get_again(struct world *w)
{
	struct pma_info info;
	int r = pma_stat(&info, w->pma, w->handle);

	if (r == 0)
		r = run_get_absent(w);
	if (r == 0)
		must(-EEXIST, "a name that nobody has");
	return r == -ENOENT ? run_get_name(w) : r;
}

/* What munmap() refuses stays mapped, and so does its mark: the daemon is told nothing wrong. */
int run_window_close(struct world *w)
{
	pma_window_close(w->window);
	w->window = NULL;
	return 0;
}

void undo_window_close(struct world *w)
{
	must(pma_free(w->pma, w->handle), "free");
}
