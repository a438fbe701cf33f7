/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * words: finds free pin words by trying. A thread begins with the word that it had last, so that
 * one which gets and puts in turn uses one word, and that word stays in its processor's cache.
 */
#include <config.h>

#include "lib/window/words.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"

/*
 * Threads begin this many words apart: a cache line of words, so that no two threads write to one
 * line.
 */
#define A_LINE 8u

/*
 * Where this thread looks first, plus 1; 0: it has not looked yet. All windows share this number,
 * so it is checked against the number of words of the window before it is used.
 */
static _Thread_local uint32_t hint;

/* ---- mapping ---- */

static bool is_sound(const struct words *words, uint64_t window)
{
	const struct pins_header *header = words->header;

	return le64toh(header->magic) == PINS_MAGIC && le32toh(header->layout) == PINS_LAYOUT &&
	       le32toh(header->nr_words) == words->nr && le64toh(header->window) == window &&
	       le32toh(header->nr_groups) <= PINS_MAX_GROUPS;
}

static int map_it(struct words *words, struct why *why)
{
	struct stat st;
	void *memory;

	if (fstat(words->fd, &st) < 0)
		return why_set(why, -errno, "the pins cannot be looked at: %s",
			       error_text(-errno));
	words->size = PINS_HEADER + words->nr * sizeof(uint64_t);
	if (words->nr == 0 || words->nr > PINS_MAX_WORDS || (uint64_t)st.st_size < words->size)
		return why_set(why, -EPROTO, "the pins have %lld bytes, which are not %u words",
			       (long long)st.st_size, words->nr);
	memory = mmap(NULL, words->size, PROT_READ | PROT_WRITE, MAP_SHARED, words->fd, 0);
	if (memory == MAP_FAILED)
		return error_map_why(why, -errno, words->size);
	words->header = memory;
	words->all = (void *)((char *)memory + PINS_HEADER);
	/* A forked child does not get the pins: its stores there would count as its parent's. */
	if (madvise(memory, words->size, MADV_DONTFORK) < 0)
		return why_set(why, -errno,
			       "the pins cannot be kept from children of fork(); the kernel says: %s",
			       error_text(-errno));
	return 0;
}

int words_init(struct words *words, int fd, uint32_t nr, uint64_t window, struct why *why)
{
	size_t nr_bits = (nr + 63) / 64;
	int r;

	words->fd = fd;
	words->nr = nr;
	words->lost[0] = calloc(2 * nr_bits, sizeof(uint64_t));
	if (!words->lost[0])
		return why_set(why, -ENOMEM, "%s", error_text(-ENOMEM));
	words->lost[1] = words->lost[0] + nr_bits;
	r = map_it(words, why);
	if (r == 0 && !is_sound(words, window))
		r = why_set(why, -EPROTO,
			    "the pins have a layout that this library does not know (it knows %d)",
			    PINS_LAYOUT);
	return r;
}

void words_fini(struct words *words, bool is_child)
{
	if (words->header && !is_child)
		munmap(words->header, words->size);
	if (words->fd >= 0)
		close(words->fd);
	free(words->lost[0]);
}

/* ---- taking ---- */

/*
 * Raises `high` to at least @high. The daemon reads only words below `high`, so it is raised before
 * a word is used; if it were raised after, the daemon could overlook a pin.
 */
static void raise_high(struct words *words, uint32_t high)
{
	uint32_t *at = &words->header->high;
	uint32_t was = __atomic_load_n(at, __ATOMIC_RELAXED);

	while (le32toh(was) < high &&
	       !__atomic_compare_exchange_n(at, &was, htole32(high), false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
}

/*
 * Orders the store of a pin before this thread's next look at the entry. Else the thread could find
 * the entry unchanged while the daemon does not see the pin yet, and frees the space. On x86 the
 * locked exchange of try_word() has ordered both already, so that only the compiler is told.
 */
static inline void full_fence(void)
{
#if defined(__x86_64__) || defined(__i386__)
	atomic_signal_fence(memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/*
 * Takes word @i if it is free. The plain load comes first: an exchange that fails would still take
 * the cache line away from whoever uses the word.
 */
static bool try_word(struct words *words, uint32_t i, uint64_t value)
{
	uint64_t none = 0;

	if (atomic_load_explicit(&words->all[i], memory_order_relaxed) != 0)
		return false;
	if (i >= le32toh(__atomic_load_n(&words->header->high, __ATOMIC_RELAXED)))
		raise_high(words, i + 1);
	if (!atomic_compare_exchange_strong(&words->all[i], &none, htole64(value)))
		return false;
	full_fence();
	return true;
}

/*
 * Spreads the threads over the words. Else all would begin with word 0, and fight for its cache
 * line.
 */
static uint32_t first_hint(const struct words *words)
{
	static _Atomic uint32_t nr_threads;

	return atomic_fetch_add(&nr_threads, 1) * A_LINE % words->nr;
}

/* Tries all words, from @from on and then from the first. */
static uint32_t search(struct words *words, uint32_t from, uint64_t value)
{
	for (uint32_t n = 0; n < words->nr; n++) {
		uint32_t i = from + n < words->nr ? from + n : from + n - words->nr;

		if (try_word(words, i, value))
			return i;
	}
	return WORDS_NONE;
}

uint32_t words_take(struct words *words, uint64_t value)
{
	uint32_t from = hint, i;

	from = from > 0 && from <= words->nr ? from - 1 : first_hint(words);
	i = try_word(words, from, value) ? from : search(words, from, value);
	if (i != WORDS_NONE)
		hint = i + 1;
	return i;
}

uint64_t words_value(const struct words *words, uint32_t index)
{
	return le64toh(atomic_load_explicit(&words->all[index], memory_order_acquire));
}

/*
 * Frees the word. The release orders the thread's loads from the allocation before this store: else
 * it could still be reading when the daemon gives the space to others.
 */
void words_give(struct words *words, uint32_t index)
{
	atomic_store_explicit(&words->all[index], 0, memory_order_release);
	hint = index + 1;
}

/* ---- lost words ---- */

void words_lose(struct words *words, uint32_t index)
{
	words->lost[0][index / 64] |= UINT64_C(1) << index % 64;
	words->nr_lost++;
}

static void recover(struct words *words, uint32_t index)
{
	for (int i = 0; i < 2; i++)
		words->lost[i][index / 64] &= ~(UINT64_C(1) << index % 64);
	words->nr_lost--;
	words_give(words, index);
}

static bool is_lost(const struct words *words, int which, uint32_t index)
{
	return words->lost[which][index / 64] >> index % 64 & 1;
}

void words_sweep(struct words *words)
{
	for (uint32_t i = 0; words->nr_lost > 0 && i < words->nr; i++) {
		if ((is_lost(words, 0, i) || is_lost(words, 1, i)) &&
		    words_value(words, i) != PINS_TAKEN)
			recover(words, i);
	}
}

void words_mark(struct words *words)
{
	for (uint32_t i = 0; i < (words->nr + 63) / 64; i++) {
		words->lost[1][i] |= words->lost[0][i];
		words->lost[0][i] = 0;
	}
}

void words_recover(struct words *words)
{
	for (uint32_t i = 0; words->nr_lost > 0 && i < words->nr; i++) {
		if (is_lost(words, 1, i))
			recover(words, i);
	}
}
