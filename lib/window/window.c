/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: opens a window, takes it up again after a lost connection, and closes it; get.c reads in
 * it.
 */
#include <config.h>

#include "lib/window/window.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/session/call.h"
#include "lib/session/link_error.h"
#include "lib/session/site.h"

/* descriptors of one reply: the device, the catalog, the pins, and perhaps the touches */
#define MAX_FDS 4

/* One WINDOW request under way. */
struct window_call {
	struct call call;
	LIST_ENTRY(window_call) link;   /* in window.calls, as long as @window is not NULL */
	/* Borrowed. NULL: the window was closed meanwhile, or the request opens a new one. */
	struct pma_window *window;
	struct link *link_;             /* borrowed */
	struct wire_window answer;
	int      fds[MAX_FDS];          /* owned; -1: none */
	int      nr_fds;
	/* the reply came, but the receive had no buffer for descriptors, so the kernel dropped them */
	bool     is_lost;
	uint8_t  message[sizeof(struct wire_header) + sizeof(struct wire_request)]
		__attribute__((aligned(8)));
};

/* ---- the call ---- */

static int absorb_windowed(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct window_call *ask = (struct window_call *)call;
	int nr;

	if (wire_next_raw(reader, &ask->answer, sizeof(ask->answer)) != 1 || ask->answer.result > 0)
		return -EPROTO;
	ask->is_lost = nr_fds == 0 && ask->answer.result == 0 && !ask->link_->had_room;
	nr = ask->answer.result < 0 || ask->is_lost ? 0 : call->has_fd ? 1 : 3;
	/* The touches come last, from a daemon that knows them and has memory for them. */
	if (nr_fds != nr && (nr == 0 || nr_fds != nr + 1))
		return -EPROTO;
	for (int i = 0; i < nr_fds; i++) {
		ask->fds[i] = fds[i];
		fds[i] = -1;
	}
	ask->nr_fds = nr_fds;
	return 0;
}

static void close_fds(struct window_call *ask)
{
	for (int i = 0; i < MAX_FDS; i++) {
		if (ask->fds[i] >= 0)
			close(ask->fds[i]);
		ask->fds[i] = -1;
	}
}

static void call_init(struct window_call *ask, struct link *link, const struct wire_request *request)
{
	struct wire_writer writer;

	*ask = (struct window_call){ .call = { .opcode = WIRE_WINDOW, .absorb = absorb_windowed },
				     .link_ = link,
				     .fds = { -1, -1, -1, -1 } };
	/* The buffer has room for one item, and this one has no name behind it. */
	wire_begin(&writer, ask->message, WIRE_WINDOW, 0);
	wire_add_request(&writer, request, NULL, 0);
	ask->call.message = ask->message;
	ask->call.length = (uint32_t)wire_end(&writer);
}

/* ---- taking it up again ---- */

/*
 * Makes the catalog of @fd the one that gets read. The old one stays mapped, since other threads
 * may be reading it. If the catalog has a layout that this library does not know, the window has
 * none: then every get is a message.
 */
static int use_catalog(struct pma_window *window, int fd, struct why *why)
{
	struct view *now = atomic_load(&window->view), *view = NULL;
	int r;

	if (now && view_shows(now, fd))
		return 0;
	r = view_new(&view, fd, why);
	if (r < 0 && r != -EPROTO)
		return r;
	if (r == 0)
		SLIST_INSERT_HEAD(&window->views, view, link);
	atomic_store_explicit(&window->view, view, memory_order_release);
	return 0;
}

/* Says for the user why a window could not be taken up again. */
static const char *reason(int err)
{
	switch (err) {
	case -ENOENT:
		return "the daemon does not know it any more (its runtime directory was lost), or "
		       "this user may not use the arena any more";
	case -EACCES:
		return "this user may not use it so any more";
	case -EOPNOTSUPP:
		return "the daemon that is there now is too old";
	default:
		return error_text(err);
	}
}

/*
 * Ends the window for good. The daemon keeps its catalog up to date no longer, and a get would
 * return memory that is somebody else's by now; so gets no longer read it.
 */
static void end_window(struct pma_window *window, int err)
{
	window->state = WINDOW_OVER;
	atomic_store(&window->view, NULL);
	why_set(&window->why, err, "%s", reason(err));
}

/* Can asking again not help? After other errors the next miss asks again. */
static bool is_final(int err)
{
	return err == -ENOENT || err == -EACCES || err == -EPERM || err == -ESTALE ||
	       err == -EOPNOTSUPP;
}

/*
 * Takes the answer to the request that takes the window up again. A daemon that made a new window
 * instead of resuming this one does not know its pins: then the window is over.
 */
static void take_answer(struct pma_window *window, struct window_call *ask)
{
	struct why why = { "" };
	int r = ask->call.result;

	if (r == 0 && ask->is_lost)
		r = -EMFILE;
	if (r == 0)
		r = ask->answer.result;
	if (r == 0 && (ask->answer.window != window->number || !ask->answer.resumed))
		r = -ENOENT;
	if (r == 0)
		r = use_catalog(window, ask->fds[0], &why);
	if (r == 0 && ask->nr_fds == 2)
		uses_take(&window->uses, ask->fds[1]);
	if (r == 0) {
		words_recover(&window->words);
		window->state = WINDOW_UP;
	} else if (is_final(r)) {
		end_window(window, r);
	} else {
		window->state = WINDOW_DOWN;
		window->err = why_set(&window->why, r, "%s", why.text[0] ? why.text : error_text(r));
	}
}

static void finished(struct call *call)
{
	struct window_call *ask = (struct window_call *)call;

	ask->link_->nr_awaiting_fds--;
	if (ask->window) {
		LIST_REMOVE(ask, link);
		take_answer(ask->window, ask);
	}
	close_fds(ask);
	if (!call->waiter)
		free(ask);
}

/* Fills in a request that takes the window up again. The caller has link.lock. */
static void prepare_again(struct window_call *ask, struct pma_window *window)
{
	struct wire_request request = { .arena = window->arena,
					.id = window->number,
					.flags = window->is_writable ? 0 : WIRE_READ_ONLY };
	struct link *link = &window->tie.pma->link;

	wire_pack_secret(&request, window->secret);
	call_init(ask, link, &request);
	ask->call.finished = finished;
	ask->call.has_fd = true;
	ask->call.fd = window->words.fd;
	ask->window = window;
	link->nr_awaiting_fds++;
	LIST_INSERT_HEAD(&window->calls, ask, link);
	window->state = WINDOW_ASKED;
	words_mark(&window->words);
}

/* Takes the window up again in a new session, before other requests, so that no get is refused. */
static int revive(struct client_revival *revival)
{
	struct pma_window *window =
		(struct pma_window *)((char *)revival - offsetof(struct pma_window, revival));
	struct link *link = &window->tie.pma->link;
	struct window_call *ask;

	if (window->state == WINDOW_OVER)
		return 0;
	/*
	 * The window has no number: pma_window_open() waits for its answer, perhaps still from the
	 * old session. The first miss takes the window up again.
	 */
	if (window->number == 0) {
		window->state = WINDOW_DOWN;
		return 0;
	}
	if (!link->windows) {
		end_window(window, -EOPNOTSUPP);
		return 0;
	}
	ask = malloc(sizeof(*ask));
	if (!ask)
		return -ENOMEM;
	prepare_again(ask, window);
	call_submit_first(link, &ask->call);
	return 0;
}

/* Asks again and waits for the answer. The caller has link.lock, released during the wait. */
static int ask_again(struct pma *pma, struct pma_window *window)
{
	struct waiter waiter = WAITER_INIT;
	struct window_call ask;

	prepare_again(&ask, window);
	ask.call.waiter = &waiter;
	call_submit(&pma->link, &ask.call);
	link_wait(&pma->link, &waiter);
	return ask.call.result < 0 ? link_error(&pma->link, ask.call.result) : 0;
}

static int say_over(const struct pma_window *window)
{
	return error_set(-ESTALE, "this window is over: %s: close it and open another",
			 window->why.text);
}

int window_need(struct pma_window *window)
{
	struct pma *pma = window->tie.pma;
	int r = 0;

	if (!pma)
		return error_set(-ENOTCONN, "this program has disconnected");
	client_lock(pma);
	if (window->state == WINDOW_DOWN)
		r = ask_again(pma, window);
	if (window->state == WINDOW_OVER)
		r = say_over(window);
	else if (r == 0 && window->state == WINDOW_DOWN)
		r = error_set(window->err, "the window cannot be taken up again: %s",
			      window->why.text);
	client_unlock(pma);
	return r;
}

/* ---- opening ---- */

static int refuse(struct pma *pma, uint32_t arena, int err, bool is_writable)
{
	char name[SITE_NAME_MAX];

	site_name(name, pma, arena);
	switch (err) {
	case -ENOENT:
		return site_refuse(arena);
	case -EACCES:
		return error_set(err, "arena %s: this user may read it and not write to it", name);
	case -EBUSY:
		return error_set(err,
				 "arena %s: this connection has a window there already, or a process "
				 "has locked the bytes of its device by which the daemon knows who has "
				 "it mapped",
				 name);
	case -EOPNOTSUPP:
		return error_set(err, "the daemon is too old: it knows no windows");
	default:
		return error_set(err, "arena %s: no %s window: %s", name,
				 is_writable ? "writable" : "read-only", strerror(-err));
	}
}

/*
 * Asks for a new window. A thread that began to receive before nr_awaiting_fds was raised has no
 * buffer for descriptors, so that the kernel may drop those of the reply (site.c has the same
 * case). Then the request is made again: every receive that begins from now on has a buffer. The
 * window of the lost reply ended when its descriptors were dropped.
 */
static int ask_for_window(struct window_call *ask, struct pma *pma,
			  const struct wire_request *request)
{
	int r;

	client_lock(pma);
	pma->link.nr_awaiting_fds++;
	client_unlock(pma);
	do {
		call_init(ask, &pma->link, request);
		r = client_call(pma, &ask->call);
	} while (r == 0 && ask->is_lost);
	client_lock(pma);
	pma->link.nr_awaiting_fds--;
	client_unlock(pma);
	return r;
}

/* Maps what the reply brought. A descriptor is the request's until a part has taken it. */
static int set_up(struct pma_window *window, struct window_call *ask, const struct wire_arena *arena,
		  unsigned flags)
{
	struct why why = { "" };
	int r = words_init(&window->words, ask->fds[2], ask->answer.nr_words, ask->answer.window,
			   &why);

	ask->fds[2] = -1;
	if (r == 0)
		r = use_catalog(window, ask->fds[1], &why);
	if (r == 0)
		r = area_init(&window->area, ask->fds[0], arena, window->is_writable, &why);
	if (r == 0 && ask->nr_fds == MAX_FDS)
		uses_take(&window->uses, ask->fds[3]);
	if (r < 0)
		return error_set(r, "arena %s: %s", arena->name, why.text);
	if (flags & PMA_WINDOW_POPULATE) {
		r = area_populate(&window->area, window->is_writable);
		if (r < 0)
			return error_set(r, "arena %s: its %llu bytes cannot all be made present: %s",
					 arena->name, (unsigned long long)arena->size, error_text(r));
	}
	return 0;
}


/* Enters the window into its connection's lists: a new session then calls revive(). */
static void tie(struct pma_window *window, struct pma *pma)
{
	client_lock(pma);
	window->tie.pma = pma;
	LIST_INSERT_HEAD(&pma->ties, &window->tie, link);
	LIST_INSERT_HEAD(&pma->revivals, &window->revival, link);
	client_unlock(pma);
}

/*
 * Takes the window out of the lists of its connection. Requests under way go on without it and free
 * themselves: else their answers would be written into freed memory.
 */
static void untie(struct pma_window *window)
{
	struct pma *pma = window->tie.pma;
	struct window_call *ask;

	if (!pma)
		return;
	client_lock(pma);
	while ((ask = LIST_FIRST(&window->calls))) {
		LIST_REMOVE(ask, link);
		ask->window = NULL;
	}
	LIST_REMOVE(&window->revival, link);
	LIST_REMOVE(&window->tie, link);
	client_unlock(pma);
	window->tie.pma = NULL;
}

static int open_it(struct pma_window *window, struct pma *pma, unsigned flags, uint32_t nr_pins)
{
	struct wire_request request = { .arena = window->arena,
					.slot = nr_pins,
					.flags = window->is_writable ? 0 : WIRE_READ_ONLY };
	struct wire_arena arena;
	struct window_call ask;
	int r;

	r = ask_for_window(&ask, pma, &request);
	if (r < 0)
		return r;
	if (ask.answer.result < 0)
		return refuse(pma, window->arena, ask.answer.result, window->is_writable);
	arena = site_arena(pma, window->arena);
	window->page_size = arena.page_size;
	r = arena.align == 0 ? error_set(-EIO, "arena %s is offline", arena.name)
			     : set_up(window, &ask, &arena, flags);
	close_fds(&ask);
	if (r < 0)
		return r;
	client_lock(pma);
	window->number = ask.answer.window;
	memcpy(window->secret, ask.answer.secret, sizeof(window->secret));
	client_unlock(pma);
	return 0;
}

static int check_open(struct pma *pma, uint32_t arena, unsigned flags, uint32_t nr_pins)
{
	bool knows_windows;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (flags & ~(unsigned)(PMA_WINDOW_WRITE | PMA_WINDOW_POPULATE))
		return error_set(-EINVAL, "flags %#x mean nothing here", flags);
	if (nr_pins > PINS_MAX_WORDS)
		return error_set(-EINVAL, "%u pins; a window has at most %u", nr_pins,
				 PINS_MAX_WORDS);
	if (arena >= pma->sites.nr)
		return site_refuse(arena);
	client_lock(pma);
	knows_windows = pma->link.windows;
	client_unlock(pma);
	return knows_windows ? 0 : refuse(pma, arena, -EOPNOTSUPP, false);
}

int pma_window_open(struct pma_window **out, struct pma *pma, uint32_t arena, unsigned flags,
		    uint32_t nr_pins)
{
	struct pma_window *window;
	int r = check_open(pma, arena, flags, nr_pins);

	if (r < 0)
		return r;
	window = calloc(1, sizeof(*window));
	if (!window)
		return error_memory();
	window->process = pma->process;
	window->arena = arena;
	window->is_writable = flags & PMA_WINDOW_WRITE;
	window->words.fd = -1;
	window->revival.revive = revive;
	SLIST_INIT(&window->views);
	LIST_INIT(&window->calls);
	tie(window, pma);
	r = open_it(window, pma, flags, nr_pins);
	if (r < 0) {
		pma_window_close(window);
		return r;
	}
	*out = window;
	return 0;
}

void pma_window_close(struct pma_window *window)
{
	bool is_child;
	struct view *view;

	if (!window)
		return;
	/* A child of fork() only unmaps: lists and lock are its parent's, perhaps half changed. */
	is_child = !process_is(window->process);
	if (!is_child)
		untie(window);
	area_fini(&window->area);
	words_fini(&window->words, is_child);
	uses_fini(&window->uses);
	while ((view = SLIST_FIRST(&window->views))) {
		SLIST_REMOVE_HEAD(&window->views, link);
		view_free(view);
	}
	free(window);
}

/* ---- what it is ---- */

int window_check(const struct pma_window *window)
{
	if (!window)
		return error_set(-EINVAL, "no window");
	if (!process_is(window->process))
		return error_set(-EPERM, "this window is the parent process's: a child of fork() "
					 "must connect and open one for itself");
	return 0;
}
