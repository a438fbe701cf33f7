/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * words: free words are found by trying, from the one that the thread had last. So a thread that
 * gets and puts in turn uses one word, which stays in its processor's cache.
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

/* Threads begin so far apart: the words of one cache line. */
#define A_LINE 8u

/*
 * Where this thread looks first, plus 1; 0: it has not looked yet. One number for all windows: it
 * is bounded by each window's own before it is used.
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
	/* A child that wrote there would speak in its parent's name. */
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
 * The daemon reads no word from `high` on: it is raised before the word is used, not after, or the
 * daemon would overlook a pin.
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
 * The store of a pin must be seen by all before this thread looks at the entry again. On x86 the
 * locked instruction of the exchange does that by itself.
 */
static inline void full_fence(void)
{
#if defined(__x86_64__) || defined(__i386__)
	atomic_signal_fence(memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

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

static uint32_t first_hint(const struct words *words)
{
	static _Atomic uint32_t nr_threads;

	return atomic_fetch_add(&nr_threads, 1) * A_LINE % words->nr;
}

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

/* What this thread read of the allocation, it read before. */
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
