/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * get: pma_get() and pma_put(). A hit, a get that the catalog answers, makes no system call and
 * takes no lock; lib/wire/window.h says why its answer is right. Where the catalog leaves anything
 * uncertain the get is a miss and the daemon is asked; also where the mode forbids the get, since
 * the catalog may lag behind.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/error.h"
#include "lib/window/miss.h"
#include "lib/window/pin.h"
#include "lib/window/window.h"

/*
 * How often a get looks at an entry that the daemon keeps changing. After that it asks the daemon
 * by message.
 */
#define MAX_TRIES 4
#define AT_ONCE   16u   /* How many names are prefetched into the processor's cache together. */

enum outcome {
	HIT,
	ABSENT,
	UNKNOWN,
	FORBIDDEN,
	NO_WORD,
};

/* ---- who may ---- */

enum right { MAY, MAY_NOT, ASK };

static enum right has(uint32_t bits, uint32_t wanted)
{
	return (bits & wanted) == wanted ? MAY : MAY_NOT;
}

static bool is_member(const struct pins_header *who, uint32_t gid)
{
	uint32_t nr = le32toh(who->nr_groups);

	if (gid == le32toh(who->gid))
		return true;
	for (uint32_t i = 0; i < nr && i < PINS_MAX_GROUPS; i++) {
		if (le32toh(who->groups[i]) == gid)
			return true;
	}
	return false;
}

/*
 * Decides what the mode allows, as the daemon does: owner, group, others, of which the first that
 * matches counts. @who has the user and groups of this process, as the daemon saw them when it
 * connected.
 */
static enum right right_to(const struct sight *sight, const struct pins_header *who, uint32_t wanted)
{
	uint32_t uid = le32toh(who->uid);
	uint32_t state = le32toh(__atomic_load_n(&who->state, __ATOMIC_RELAXED));

	if (state & PINS_ASK)
		return ASK;
	if (uid == 0)
		return MAY;
	if (uid == sight->uid)
		return has(sight->mode >> 6, wanted);
	if (is_member(who, sight->gid))
		return has(sight->mode >> 3, wanted);
	/*
	 * The process may be of a group for which the pins had no room, and the mode may give that
	 * group less than others.
	 */
	if (!(state & PINS_ALL_GROUPS) && has(sight->mode >> 3, wanted) != has(sight->mode, wanted))
		return ASK;
	return has(sight->mode, wanted);
}

/* ---- a hit ---- */

static bool fill(struct pma_pin *pin, const struct pma_window *window, const struct sight *sight,
		 const struct wire_extent *more)
{
	struct pma_extent extents[1 + CATALOG_EXTRA_EXTENTS];

	extents[0] = (struct pma_extent){ sight->first.off, sight->first.len };
	for (uint32_t i = 1; i < sight->nr_extents; i++)
		extents[i] = (struct pma_extent){ more[i - 1].off, more[i - 1].len };
	if (pin_set_extents(pin, window, extents, sight->nr_extents) < 0)
		return false;
	pin->handle = (struct pma_handle){ window->arena, sight->slot, sight->id };
	pin->version = (uint32_t)sight->word;
	pin->uid = sight->uid;
	pin->gid = sight->gid;
	pin->mode = sight->mode;
	pin->value = sight->word;
	return true;
}

/*
 * Pins what @sight shows. UNKNOWN: the entry changed before the pin was seen, or it has something
 * that the catalog does not show, so that the daemon must be asked.
 */
static enum outcome pin_it(struct pma_pin *pin, struct pma_window *window, const struct view *view,
			   const struct sight *sight)
{
	struct wire_extent more[CATALOG_EXTRA_EXTENTS];
	uint32_t word;

	if (sight->nr_extents > 1 && !view_more_extents(more, view, sight))
		return UNKNOWN;
	if (!view_attributes(pin->attributes, &pin->attributes_len, view, sight))
		return UNKNOWN;
	word = words_take(&window->words, sight->word);
	if (word == WORDS_NONE)
		return NO_WORD;
	/*
	 * The daemon sees the pin from here on. If the entry is still what it was, the pin came in
	 * time, and all that was read is of one version.
	 */
	if (!view_is_same(view, sight) || !fill(pin, window, sight, more)) {
		words_give(&window->words, word);
		return UNKNOWN;
	}
	pin->word = word + 1;
	if (sight->flags & CATALOG_EVICTABLE)
		uses_note(&window->uses, sight->slot);
	return HIT;
}

/* A key, with what is computed from it before the catalog is searched. */
struct sought {
	const struct pma_key *key;
	size_t   len;                   /* of the name */
	/* hash of the name, as the view that is searched wants it */
	uint32_t tag;
};

static enum sighting find(struct sight *sight, const struct view *view, const struct sought *sought)
{
	const struct pma_key *key = sought->key;

	return key->name ? view_find_name(sight, view, sought->tag, key->name, sought->len)
			 : view_find_id(sight, view, key->handle.slot, key->handle.id);
}

/*
 * Looks at the catalog once. UNKNOWN where the daemon must decide: the entry is changing, its pages
 * are bad, or the groups of this process are not all known.
 */
static enum outcome try_hit(struct pma_pin *pin, struct pma_window *window, const struct view *view,
			    const struct sought *sought, uint32_t wanted)
{
	struct sight sight;
	enum sighting found = find(&sight, view, sought);
	enum right right;

	if (found != VIEW_FOUND)
		return found == VIEW_ABSENT ? ABSENT : UNKNOWN;
	if (sight.flags & CATALOG_POISONED || sight.nr_extents == 0)
		return UNKNOWN;
	right = right_to(&sight, window->words.header, wanted);
	if (right != MAY)
		return right == MAY_NOT && view_is_same(view, &sight) ? FORBIDDEN : UNKNOWN;
	return pin_it(pin, window, view, &sight);
}

/* Looks at the catalog up to MAX_TRIES times, as long as the entry changes meanwhile. */
static enum outcome hit(struct pma_pin *pin, struct pma_window *window, const struct view *view,
			const struct sought *sought, uint32_t wanted)
{
	enum outcome outcome = UNKNOWN;

	for (int i = 0; view && outcome == UNKNOWN && i < MAX_TRIES; i++)
		outcome = try_hit(pin, window, view, sought, wanted);
	return outcome;
}

/* ---- get ---- */

static int check_key(const struct pma_window *window, const struct sought *sought)
{
	const struct pma_key *key = sought->key;
	size_t len = sought->len;

	if (!key->name)
		return key->handle.arena == window->arena
			       ? 0
			       : error_set(-EINVAL, "the handle is of arena %u, the window of %u",
					   key->handle.arena, window->arena);
	if (len == 0)
		return error_set(-EINVAL, "the name is empty; NULL is how to ask by a handle");
	if (len > PMA_MAX_NAME)
		return error_set(-EINVAL, "the name has %zu bytes; at most %d are possible", len,
				 PMA_MAX_NAME);
	return 0;
}

/*
 * Turns the outcome of a look at the catalog into the result of a key. PIN_MISSED: the daemon must
 * be asked; a local get never asks, so it gets an error.
 */
static int result_of(enum outcome outcome, const struct pma_window *window, bool is_local)
{
	switch (outcome) {
	case HIT:
		return 0;
	case NO_WORD:
		return is_local ? -ENOBUFS
				: error_set(-ENOBUFS,
					    "all %u pins of the window are in use: put some, or open it "
					    "with more",
					    window->words.nr);
	case ABSENT:
		return is_local ? -ENOENT : PIN_MISSED;
	case FORBIDDEN:
		return is_local ? -EACCES : PIN_MISSED;
	default:
		return is_local ? -EAGAIN : PIN_MISSED;
	}
}

static int get_one(struct pma_pin *pin, struct pma_window *window, const struct view *view,
		   const struct sought *sought, unsigned flags)
{
	int r = check_key(window, sought);

	pin->word = 0;
	pin->pieces = NULL;
	if (r < 0)
		return r;
	return result_of(hit(pin, window, view, sought, flags & PMA_GET_WRITE ? 6 : 4), window,
			 flags & PMA_GET_LOCAL);
}

static struct sought seek(const struct pma_key *key, const struct view *view)
{
	struct sought sought = { .key = key };

	if (!key->name)
		return sought;
	sought.len = key->name_len ? key->name_len : strlen(key->name);
	if (view)
		sought.tag = view_tag(view, key->name, sought.len);
	return sought;
}

/*
 * Gets at most AT_ONCE keys. To find a name the processor loads its bucket, then its entry. With
 * many names neither is in the cache, so the loads of all buckets are begun together, then those of
 * all entries; else each load would be waited for by itself.
 */
static void get_some(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys,
		     size_t nr, unsigned flags)
{
	const struct view *view = atomic_load_explicit(&window->view, memory_order_acquire);
	struct sought sought[AT_ONCE];

	for (size_t i = 0; i < nr; i++) {
		sought[i] = seek(&keys[i], view);
		if (nr > 1 && view && keys[i].name)
			view_fetch_head(view, sought[i].tag);
	}
	for (size_t i = 0; nr > 1 && view && i < nr; i++) {
		if (keys[i].name)
			view_fetch_entry(view, sought[i].tag);
	}
	for (size_t i = 0; i < nr; i++)
		pins[i].result = get_one(&pins[i], window, view, &sought[i], flags);
}

static int check_get(const struct pma_window *window, unsigned flags)
{
	int r = window_check(window);

	if (r < 0)
		return r;
	if (flags & ~(unsigned)(PMA_GET_LOCAL | PMA_GET_WRITE))
		return error_set(-EINVAL, "flags %#x mean nothing here", flags);
	if ((flags & PMA_GET_WRITE) && !window->is_writable)
		return error_set(-EACCES, "the window was opened for reading");
	return 0;
}

int pma_get(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys, size_t nr,
	    unsigned flags)
{
	size_t nr_got = 0, nr_missed = 0;
	int r = check_get(window, flags);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i += AT_ONCE)
		get_some(window, pins + i, keys + i, nr - i < AT_ONCE ? nr - i : AT_ONCE, flags);
	for (size_t i = 0; i < nr; i++) {
		nr_got += pins[i].result == 0;
		nr_missed += pins[i].result == PIN_MISSED;
	}
	if (nr_missed == 0)
		return (int)nr_got;
	r = miss_run(window, pins, keys, nr, flags);
	for (size_t i = nr_got = 0; i < nr; i++)
		nr_got += pins[i].result == 0;
	return nr_got == 0 && r < 0 ? r : (int)nr_got;
}

/* ---- put ---- */

/*
 * Gives back the word of one pin, and the memory of its pieces. Does nothing for a pin that was put
 * already.
 */
static void put_one(struct pma_window *window, struct pma_pin *pin)
{
	uint32_t word = pin->word - 1;

	if (pin->word == 0 || word >= window->words.nr)
		return;
	pin->word = 0;
	/*
	 * A word with another value means that @pin is a copy of a pin that was put already.
	 * Somebody else may use the word by now, and would lose its pin.
	 */
	if (words_value(&window->words, word) != pin->value)
		return;
	words_give(&window->words, word);
	if (pin->pieces)
		pin_fini(pin);
}

void pma_put(struct pma_window *window, struct pma_pin *pins, size_t nr)
{
	if (window_check(window) < 0)
		return;
	/*
	 * Puts the last pin first: the thread looks for its next free word where it put last, and
	 * that is then the one with which the next round of gets begins.
	 */
	for (size_t i = nr; i > 0; i--)
		put_one(window, &pins[i - 1]);
}
