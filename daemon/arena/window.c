/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: a process maps the arena's data area once, for as long as it lives, and finds what it
 * wants in the catalog, without a message. So the daemon does not know what it uses. Instead it
 * reads, before it gives freed space to anybody, the *pins* of all windows: words in which each
 * process says what it uses (pins.c).
 *
 * A window belongs to a process and not to a session: the descriptor of the device that comes with
 * it has a mark of its own (an OFD lock on a byte that has the window's number), which lives as
 * long as that descriptor or a mapping made through it, in any process. While the mark is there the
 * pins count, whatever became of the process and its sessions, and so do the holds of sessions that
 * use the window.
 */
#include <config.h>

#include "daemon/arena/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/arena/arena_trace.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/index.h"
#include "daemon/arena/pins.h"
#include "daemon/arena/rules.h"
#include "daemon/clock.h"

/* How many windows are asked at each tick whether their mark is still there. */
#define LOOKS_WINDOWS 64

/* ---- marks ---- */

static uint64_t mark_of(const struct window *window)
{
	return window->id.number * 2 + window->id.read_only;
}

uint64_t window_mark_byte(const struct window *window)
{
	return device_mark_byte(mark_of(window));
}

/* An error counts as a mark that is there: it does not prove that nobody has the window. */
static bool has_mark(const struct window *window)
{
	return device_is_marked(window->arena->device, mark_of(window)) != 0;
}

/* ---- what devices may still write to ---- */

void arena_set_device_grace(struct arena *arena, uint32_t seconds)
{
	arena->device_grace_ns = seconds * UINT64_C(1000000000);
}

static bool has_pins(const struct window *window)
{
	for (uint32_t i = 0, high = pins_high(window); i < high; i++)
		if (pins_slot(pins_load(window, i)) != UINT64_MAX)
			return true;
	return false;
}

/* May a session that uses the window have something reserved or open? */
static bool has_holds(const struct window *window)
{
	const struct holder *holder;

	TAILQ_FOREACH(holder, &window->arena->holders, link)
		if (holder->window == window && !TAILQ_EMPTY(&holder->holds))
			return true;
	return false;
}

/*
 * The mark is gone. Does the window still count? A process that is killed loses its mappings first,
 * and the descriptor of its GPU or network card some time later: until the driver has taken the
 * memory away from the device, the device writes to it. No kernel interface tells when that was,
 * so the configuration says how long it may take. A process that had nothing in use has given
 * nothing to a device. Of a window whose pins were never handed in, that is not known.
 */
static bool is_in_grace(struct window *window)
{
	uint64_t now;

	if (!window->arena->device_grace_ns ||
	    (window->pins && !has_pins(window) && !has_holds(window)))
		return false;
	now = clock_ns(CLOCK_MONOTONIC);
	if (!window->gone_ns)
		window->gone_ns = now;
	return now - window->gone_ns < window->arena->device_grace_ns;
}

bool window_is_marked(struct window *window)
{
	if (window->looked == window->arena->rounds)
		return window->was_marked;
	window->was_marked = has_mark(window) || is_in_grace(window);
	window->looked = window->arena->rounds;
	return window->was_marked;
}

/* ---- windows come and go ---- */

struct window *window_find(const struct arena *arena, uint64_t number)
{
	struct window *window;

	TAILQ_FOREACH(window, &arena->windows, link)
		if (window->id.number == number)
			return window;
	return NULL;
}

uint64_t window_count(const struct arena *arena)
{
	const struct window *window;
	uint64_t nr = 0;

	TAILQ_FOREACH(window, &arena->windows, link)
		nr++;
	return nr;
}

static struct window *new_window(struct arena *arena)
{
	struct window *window = calloc(1, sizeof(*window));

	if (!window)
		return NULL;
	window->arena = arena;
	window->looked = UINT64_MAX;
	return window;
}

static void use(struct holder *holder, struct window *window)
{
	if (holder->window == window)
		return;
	window_leave(holder);
	holder->window = window;
	window->nr_users++;
	window->session = holder->session;
	window->who = holder->who;
	/* From here on the window's mark keeps what the session holds, too. */
	ledger_set_window(holder->arena->ledger, holder->entry, window->id.number);
	holder->looked = 0;
}

void window_leave(struct holder *holder)
{
	if (holder->window)
		holder->window->nr_users--;
	holder->window = NULL;
}

static void drop(struct window *window)
{
	struct arena *arena = window->arena;
	struct holder *holder;

	TAILQ_FOREACH(holder, &arena->holders, link)
		if (holder->window == window) {
			window_leave(holder);
			ledger_set_window(arena->ledger, holder->entry, 0);
		}
	arena_trace_window_gone(arena, window);
	ledger_remove(arena->ledger, window->entry);
	TAILQ_REMOVE(&arena->windows, window, link);
	if (arena->pins_missing == window)
		arena->pins_missing = NULL;
	pins_unmap(window);
	free(window);
}

void window_look(struct arena *arena)
{
	struct window *window, *last = TAILQ_LAST(&arena->windows, window_list);
	bool is_last;

	for (unsigned nr = LOOKS_WINDOWS; (window = TAILQ_FIRST(&arena->windows)) && nr > 0; nr--) {
		is_last = window == last;
		TAILQ_REMOVE(&arena->windows, window, link);
		TAILQ_INSERT_TAIL(&arena->windows, window, link);
		if (!window_is_marked(window))
			drop(window);
		if (is_last)
			break;
	}
}

void window_distrust(struct holder *holder)
{
	if (holder->window && holder->window->pins)
		__atomic_or_fetch(&holder->window->pins->state, htole32(PINS_ASK),
				  __ATOMIC_RELEASE);
}

int window_adopt(struct arena *arena, const struct ledger_item *item)
{
	struct window *window = new_window(arena);

	if (!window)
		return -ENOMEM;
	window->id = item->window;
	window->entry = item->entry;
	TAILQ_INSERT_TAIL(&arena->windows, window, link);
	return 0;
}

void window_free_all(struct arena *arena)
{
	struct window *window;

	while ((window = TAILQ_FIRST(&arena->windows))) {
		TAILQ_REMOVE(&arena->windows, window, link);
		pins_unmap(window);
		free(window);
	}
}

/* ---- what clients ask for ---- */

static bool is_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
	uint8_t differs = 0;

	/*
	 * Takes the same time wherever the secrets differ: nobody can guess a secret byte by byte.
	 */
	for (size_t i = 0; i < size; i++)
		differs |= a[i] ^ b[i];
	return differs == 0;
}

static int check_other(struct holder *holder, const struct window *wanted, struct why *why)
{
	struct window *own = holder->window;

	if (!own || own == wanted)
		return 0;
	if (has_mark(own))
		return why_set(why, -EBUSY,
			       "this session has a window in arena %s: close that one first, or "
			       "use it",
			       holder->arena->identity.name);
	/*
	 * Of others that have it, or had it and are gone, nobody knows whether a device of theirs
	 * still writes there.
	 */
	if (own->nr_users > 1 || is_in_grace(own)) {
		window_leave(holder);
		ledger_set_window(holder->arena->ledger, holder->entry, 0);
	} else {
		drop(own);
	}
	return 0;
}

static void describe(struct arena_window *out, const struct window *window, bool is_resumed)
{
	out->number = window->id.number;
	out->nr_words = window->id.nr_words;
	out->is_resumed = is_resumed;
	memcpy(out->secret, window->id.secret, sizeof(out->secret));
}

/* Opens the device once more, and sets the window's mark on that descriptor. */
static int open_device(int *fd, const struct window *window)
{
	struct device *device = window->arena->device;
	int r = device_reopen(fd, device, window->id.read_only ? O_RDONLY : O_RDWR);

	if (r < 0)
		return r;
	r = device_mark(*fd, mark_of(window));
	if (r == -EBUSY)
		device_blame(device, mark_of(window));
	if (r < 0)
		close(*fd);
	return r;
}

static int make_window(struct window *window, struct arena_window *out, const struct caller *caller,
		       const struct arena_window_ask *ask)
{
	int r;

	window->id.number = ask->number;
	window->id.uid = caller->uid;
	window->id.read_only = ask->read_only;
	window->id.nr_words = ask->nr_words ? ask->nr_words : PINS_WORDS;
	errno = 0;
	if (getrandom(window->id.secret, sizeof(window->id.secret), 0) !=
	    sizeof(window->id.secret))
		return errno ? -errno : -EIO;
	r = pins_make(window, &out->pins_fd);
	if (r < 0)
		return r;
	pins_introduce(window, caller);
	r = open_device(&out->device_fd, window);
	if (r == 0) {
		r = ledger_add_window(&window->entry, window->arena->ledger, &window->id);
		if (r < 0)
			close(out->device_fd);
	}
	if (r < 0)
		close(out->pins_fd);
	return r;
}

int arena_window_open(struct arena_window *out, struct arena *arena, const struct caller *caller,
		      const struct arena_window_ask *ask, struct why *why)
{
	struct window *window;
	int r = rules_serving(arena, false, why);

	if (r == 0 && ask->nr_words > PINS_MAX_WORDS)
		r = why_set(why, -EINVAL, "a window has at most %u pin words; %u were asked for",
			    PINS_MAX_WORDS, ask->nr_words);
	if (r == 0)
		r = rules_not_above(arena, caller->uid, why);
	if (r == 0)
		r = check_other(caller->holder, NULL, why);
	if (r < 0)
		return r;
	window = new_window(arena);
	if (!window)
		return -ENOMEM;
	r = make_window(window, out, caller, ask);
	if (r < 0) {
		pins_unmap(window);
		free(window);
		return r;
	}
	TAILQ_INSERT_TAIL(&arena->windows, window, link);
	use(caller->holder, window);
	describe(out, window, false);
	arena_trace_window(arena, caller, window);
	return 0;
}

int arena_window_resume(struct arena_window *out, struct arena *arena, const struct caller *caller,
			const struct arena_window_ask *ask, int pins_fd, struct why *why)
{
	struct window *window = window_find(arena, ask->number);
	int r;

	if (!window || !is_equal(window->id.secret, ask->secret, sizeof(ask->secret)))
		return why_set(why, -ENOENT,
			       "there is no window %llu in arena %s (any more), or this is not its "
			       "secret",
			       (unsigned long long)ask->number, arena->identity.name);
	if (window->id.uid != caller->uid)
		return why_set(why, -EACCES, "the window is of uid %u; this session is of uid %u",
			       window->id.uid, caller->uid);
	r = check_other(caller->holder, window, why);
	if (r < 0)
		return r;
	if (pins_fd >= 0)
		r = pins_check_file(window, pins_fd);
	else if (!window->pins)
		r = -ESTALE;
	if (r == -ESTALE)
		return why_set(why, -ESTALE,
			       "the window's pins have to come with the request, and no other "
			       "file");
	if (r < 0)
		return r;
	if (!window->pins) {
		r = pins_map(window, pins_fd);
		if (r < 0)
			return r;
	}
	pins_introduce(window, caller);
	use(caller->holder, window);
	describe(out, window, true);
	arena_trace_window(arena, caller, window);
	return 0;
}

bool arena_awaits_pins(const struct arena *arena)
{
	const struct window *window;

	TAILQ_FOREACH(window, &arena->windows, link)
		if (!window->pins)
			return true;
	return false;
}
