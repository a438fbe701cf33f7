/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins: the words in which each process that has a window says what it uses. A process stores a
 * word without a message; the daemon reads the words of all windows before it gives freed space to
 * anybody.
 *
 * The pins are a memfd, sealed so that nobody can make it shorter: the daemon would get a SIGBUS.
 * When the daemon is killed, the process still has it, and hands it in again. The ledger knows
 * which file it was; until it is back, the window counts as having pinned everything.
 */
#include <config.h>

#include "daemon/arena/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/arena/charge.h"
#include "daemon/arena/window.h"
#include "daemon/clock.h"

/* So long the reading of all pins may take to be done for each settle. */
#define CHEAP_NS UINT64_C(50000)

/* ---- the file of the pins ---- */

static uint64_t pins_bytes(uint32_t nr_words)
{
	return PINS_HEADER + nr_words * sizeof(uint64_t);
}

static uint64_t *words_of(const struct window *window)
{
	return (uint64_t *)(void *)((char *)window->pins + PINS_HEADER);
}

int pins_map(struct window *window, int fd)
{
	void *map = mmap(NULL, pins_bytes(window->id.nr_words), PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	window->pins = map;
	return 0;
}

void pins_unmap(struct window *window)
{
	if (window->pins)
		munmap(window->pins, pins_bytes(window->id.nr_words));
	window->pins = NULL;
}

void pins_introduce(struct window *window, const struct caller *caller)
{
	struct pins_header *pins = window->pins;
	uint32_t nr = caller->nr_groups > 0 ? (uint32_t)caller->nr_groups : 0;
	uint32_t state = window->id.read_only ? 0 : PINS_WRITES;

	if (nr > PINS_MAX_GROUPS)
		nr = PINS_MAX_GROUPS;
	else
		state |= PINS_ALL_GROUPS;
	pins->layout = htole32(PINS_LAYOUT);
	pins->nr_words = htole32(window->id.nr_words);
	pins->window = htole64(window->id.number);
	pins->uid = htole32(caller->uid);
	pins->gid = htole32(caller->gid);
	for (uint32_t i = 0; i < nr; i++)
		pins->groups[i] = htole32(caller->groups[i]);
	pins->nr_groups = htole32(nr);
	__atomic_store_n(&pins->state, htole32(state), __ATOMIC_RELEASE);
	__atomic_store_n(&pins->magic, htole64(PINS_MAGIC), __ATOMIC_RELEASE);
}

int pins_make(struct window *window, int *out)
{
	int fd = memfd_create("pmemarena-pins", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;
	struct stat st;

	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, (off_t)pins_bytes(window->id.nr_words));
	if (r == 0 && (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
		       fstat(fd, &st) < 0))
		r = -errno;
	if (r == 0)
		r = pins_map(window, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	window->id.ino = st.st_ino;
	window->id.dev = (uint32_t)st.st_dev;
	*out = fd;
	return 0;
}

int pins_check_file(const struct window *window, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* EINVAL: it is no file in memory, and knows no seals. */
	if (seals < 0)
		return errno == EINVAL ? -ESTALE : -errno;
	if (!(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_GROW))
		return -ESTALE;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_ino == window->id.ino && (uint32_t)st.st_dev == window->id.dev &&
			       (uint64_t)st.st_size == pins_bytes(window->id.nr_words)
		       ? 0
		       : -ESTALE;
}

/* ---- who has what pinned ---- */

/*
 * Notes that the window has the allocation of a pin word, with its version, pinned. The lowest
 * version counts: a process with that version also has what was cut off since.
 */
static void note_pin(struct arena *arena, const struct window *window, uint64_t word)
{
	uint64_t slot = pins_slot(word);
	uint32_t version = (uint32_t)word;
	struct alloc *alloc = slot < arena->nr_objects ? arena->objects[slot] : NULL;

	if (!alloc)
		return;
	if (alloc->pin_scan != arena->pin_scan || version < alloc->pin_version)
		alloc->pin_version = version;
	if (alloc->pin_scan != arena->pin_scan)
		alloc->pin_uid = window->id.uid;
	alloc->pin_scan = arena->pin_scan;
	arena->nr_pins++;
}

/* A process may have stored anything on purpose: no word is believed to make sense. */
uint32_t pins_high(const struct window *window)
{
	uint32_t high = le32toh(__atomic_load_n(&window->pins->high, __ATOMIC_ACQUIRE));

	return high < window->id.nr_words ? high : window->id.nr_words;
}

uint64_t pins_load(const struct window *window, uint32_t index)
{
	return le64toh(__atomic_load_n(&words_of(window)[index], __ATOMIC_ACQUIRE));
}

static void read_pins(struct arena *arena, const struct window *window)
{
	uint32_t high = pins_high(window);

	for (uint32_t i = 0; i < high; i++) {
		uint64_t word = pins_load(window, i);

		if (word >> 32)
			note_pin(arena, window, word);
	}
}

/*
 * Orders the stores to the catalog before the loads of the pins. ThreadSanitizer does not know
 * fences, so a build with it leaves the fence out: that build tests the daemon's own threads and
 * has no client.
 */
static void full_fence(void)
{
#ifndef __SANITIZE_THREAD__
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static void read_all_pins(struct arena *arena)
{
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	struct window *window;

	arena->pin_scan++;
	arena->hides_seen = arena->hides;
	arena->pins_round = arena->rounds;
	arena->nr_pins = 0;
	arena->pins_missing = NULL;
	/*
	 * Allocations were hidden from the catalog by stores before this fence, and the pins are
	 * loaded after it. A process stores its pin first and then looks into the catalog: so
	 * either it sees that the allocation is hidden, or its pin is seen here.
	 */
	full_fence();
	TAILQ_FOREACH(window, &arena->windows, link) {
		if (window->pins)
			read_pins(arena, window);
		else
			arena->pins_missing = window;
	}
	arena->pins_read_ns = clock_ns(CLOCK_MONOTONIC);
	arena->pins_cost_ns = arena->pins_read_ns - begun_ns;
}

/*
 * To read the pins of a thousand windows takes half a millisecond, which others wait for: then they
 * are read at most a sixteenth of the time, and what is freed meanwhile waits for the next tick, or
 * for a request that finds no space. The pins of a few windows are read for each settle.
 */
static bool is_too_soon(const struct arena *arena)
{
	return arena->pins_cost_ns > CHEAP_NS && arena->pins_round == arena->rounds &&
	       clock_ns(CLOCK_MONOTONIC) - arena->pins_read_ns < 16 * arena->pins_cost_ns;
}

/* Was @alloc pinned when all pins were read last? *uid is the user of the window that pins it. */
static bool is_pinned(uint32_t *uid, const struct arena *arena, const struct alloc *alloc)
{
	const struct alloc *pinned = alloc;

	if (arena->pins_missing) {
		*uid = arena->pins_missing->id.uid;
		return true;
	}
	/*
	 * A part that was cut off an allocation was pinned with the whole, in the versions that had
	 * it.
	 */
	if (alloc->cut_from) {
		pinned = alloc->pin_slot < arena->nr_objects ? arena->objects[alloc->pin_slot]
							     : NULL;
		if (!pinned || pinned->id != alloc->cut_from ||
		    pinned->pin_version > alloc->pin_limit)
			return false;
	}
	*uid = pinned->pin_uid;
	return pinned->pin_scan == arena->pin_scan;
}

bool pins_let_go(struct arena *arena, struct alloc *alloc)
{
	uint32_t uid = 0;
	bool pinned;

	if (TAILQ_EMPTY(&arena->windows))
		return true;
	if (alloc->hidden > arena->hides_seen) {
		if (is_too_soon(arena))
			return false;
		read_all_pins(arena);
	}
	pinned = is_pinned(&uid, arena, alloc);
	if (pinned && arena->pins_round != arena->rounds) {
		read_all_pins(arena);
		pinned = is_pinned(&uid, arena, alloc);
	}
	if (pinned)
		charge_pin(arena, alloc, uid);
	return !pinned;
}

void pins_look(struct arena *arena)
{
	arena->pins_missing = NULL;
	if (!TAILQ_EMPTY(&arena->windows))
		read_all_pins(arena);
}

bool pins_has(const struct arena *arena, const struct alloc *alloc)
{
	uint32_t uid;

	return !TAILQ_EMPTY(&arena->windows) && is_pinned(&uid, arena, alloc);
}

void pins_hide(struct arena *arena, struct alloc *alloc)
{
	alloc->hidden = ++arena->hides;
}

void pins_forget(struct arena *arena, struct alloc *alloc)
{
	charge_unpin(arena, alloc);
}

void pins_expire(struct arena *arena)
{
	arena->pins_round = UINT64_MAX;
}

int pins_store(const struct window *window, uint64_t index, uint64_t word)
{
	uint64_t taken = htole64(PINS_TAKEN), *at;

	at = index < window->id.nr_words ? &words_of(window)[index] : NULL;
	if (at && __atomic_compare_exchange_n(at, &taken, htole64(word), false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED))
		return 0;
	return -EINVAL;
}
