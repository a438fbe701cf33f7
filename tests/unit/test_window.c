/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: gets and puts that need no message, over a memfd that stands in for the device, with a
 * catalog written by hand: hits, space that is used again beside them, and who may.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/window_stage.h"

/* ---- hits ---- */

START_TEST(test_window_hit_pins_without_a_message)
{
	struct pma_pin pin;
	struct pma_key by_handle = { .handle = { 0, 3, 77 } };
	struct catalog_entry *entry = paper_put(&paper, 3, 77, "name");

	entry->uid = 12;
	entry->gid = 13;
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	ck_assert_ptr_eq(pin.address, stage_at(3 * PAPER_PAGE));
	ck_assert_uint_eq(pin.len, PAPER_PAGE);
	ck_assert_uint_eq(pin.total, PAPER_PAGE);
	ck_assert_uint_eq(pin.nr_pieces, 1);
	ck_assert_uint_eq(pin.handle.id, 77);
	ck_assert_uint_eq(pin.handle.slot, 3);
	ck_assert_uint_eq(pin.version, 1);
	ck_assert(pin.uid == 12 && pin.gid == 13 && pin.mode == 0644);
	ck_assert_uint_eq(stage_nr_in_use(), 1);
	ck_assert_uint_eq(pins_words(pins)[pin.word - 1], entry->word);
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
	ck_assert_int_eq(pma_get(window, &pin, &by_handle, 1, 0), 1);
	ck_assert_ptr_eq(pin.address, stage_at(3 * PAPER_PAGE));
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(script.nr_pins, 0);
}
END_TEST

START_TEST(test_window_name_with_a_length_needs_no_nul)
{
	struct pma_key key = { .name = "name and more", .name_len = 4 };
	struct pma_pin pin;

	paper_put(&paper, 3, 77, "name");
	ck_assert_int_eq(pma_get(window, &pin, &key, 1, PMA_GET_LOCAL), 1);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_put_twice_puts_once)
{
	struct pma_pin pin, copy, other;

	paper_put(&paper, 3, 77, "name");
	paper_put(&paper, 4, 78, "other");
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	copy = pin;
	pma_put(window, &pin, 1);
	ck_assert_int_eq(stage_get(&other, "other", 0), 0);
	pma_put(window, &pin, 1);
	pma_put(window, &copy, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 1);
	pma_put(window, &other, 1);
}
END_TEST

START_TEST(test_window_address_is_what_the_device_has)
{
	struct pma_pin pin;

	paper_put(&paper, 5, 77, "name");
	ck_assert_int_eq(pwrite(fake->device, "bytes", 6, 5 * PAPER_PAGE), 6);
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	ck_assert_str_eq(pin.address, "bytes");
	ck_assert_uint_eq((uintptr_t)pin.address % PAPER_PAGE, 0);
	ck_assert_uint_eq(pma_window_length(window), FAKE_SIZE);
	ck_assert_uint_eq(pma_window_offset(window), 0);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_data_that_begins_inside_of_the_device)
{
	struct pma_pin pin;

	pma_window_close(window);
	pma_disconnect(pma);
	fake_free(fake);
	fake = fake_new(stage_serve, NULL);
	fake->features = WIRE_WINDOWS;
	fake->arenas[0].data_off = PAPER_PAGE;
	fake->arenas[0].size = FAKE_SIZE - PAPER_PAGE;
	setenv("PMEMARENA_SOCKET", fake->path, 1);
	ck_assert_int_eq(pma_connect(&pma, NULL), 0);
	ck_assert_int_eq(pma_window_open(&window, pma, 0, PMA_WINDOW_POPULATE, 0), 0);
	ck_assert_uint_eq(pma_window_offset(window), PAPER_PAGE);
	ck_assert_uint_eq(pma_window_length(window), FAKE_SIZE - PAPER_PAGE);
	ck_assert_uint_eq((uintptr_t)pma_window_address(window) % PAPER_PAGE, 0);
	paper_put(&paper, 5, 77, "name");
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), 0);
	ck_assert_ptr_eq(pin.address, stage_at(4 * PAPER_PAGE));
	pma_put(window, &pin, 1);
	/* Before the data there is nothing that a client may see. */
	paper.entries[5].off = 0;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_pieces_are_all_told)
{
	struct catalog_entry *entry = paper_put(&paper, 3, 77, "name");
	struct pma_range pieces[4];
	struct pma_pin pin;
	size_t nr = 4;

	entry->nr_extents = 3;
	entry->extra = 1;
	paper.extras[0].extents[0].off = 9 * PAPER_PAGE;
	paper.extras[0].extents[0].len = 4096;
	paper.extras[0].extents[1].off = 7 * PAPER_PAGE;
	paper.extras[0].extents[1].len = 8192;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), 0);
	ck_assert_uint_eq(pin.nr_pieces, 3);
	ck_assert_uint_eq(pin.len, PAPER_PAGE);
	ck_assert_uint_eq(pin.total, PAPER_PAGE + 12288);
	ck_assert_int_eq(pma_pin_pieces(pieces, &nr, &pin, 1), 0);
	ck_assert_uint_eq(nr, 2);
	ck_assert_ptr_eq(pieces[0].address, stage_at(9 * PAPER_PAGE));
	ck_assert_ptr_eq(pieces[1].address, stage_at(7 * PAPER_PAGE));
	ck_assert_uint_eq(pieces[1].len, 8192);
	pma_put(window, &pin, 1);
	entry->nr_extents = 18;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
}
END_TEST

/* ---- beside a daemon that reuses space ---- */

#define REUSED 3u               /* a slot; its data is its id, over and over */

static _Atomic bool is_over;
static uint64_t nr_reused;

static bool is_pinned(uint64_t word)
{
	uint32_t high = __atomic_load_n(&pins->high, __ATOMIC_SEQ_CST);

	for (uint32_t i = 0; i < high; i++) {
		if (__atomic_load_n(&pins_words(pins)[i], __ATOMIC_SEQ_CST) == word)
			return true;
	}
	return false;
}

static void store(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}

/* Frees what is in the slot, waits until nobody has it pinned, and gives its space to the next. */
static void *reuse_on_and_on(void *arg)
{
	struct catalog_entry *entry = &paper.entries[REUSED];
	uint64_t *data = arg;

	for (uint32_t n = 2; !atomic_load(&is_over); n++) {
		uint64_t word = entry->word;

		store(&entry->word, 0);
		store(&entry->id, 0);
		while (is_pinned(word) && !atomic_load(&is_over))
			;
		for (int i = 0; i < 4; i++)
			store(&data[i], n);
		store(&entry->id, n);
		store(&entry->word, pins_word(REUSED, n));
		nr_reused++;
	}
	return NULL;
}

static void check_reused(const struct pma_pin *pin)
{
	const uint64_t *data = pin->address;

	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(__atomic_load_n(&data[i], __ATOMIC_SEQ_CST), pin->handle.id);
}

START_TEST(test_window_pinned_space_is_not_reused)
{
	uint64_t *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fake->device,
			      REUSED * PAPER_PAGE);
	uint32_t nr_hits = 0;
	pthread_t daemon;

	ck_assert_ptr_ne(data, MAP_FAILED);
	paper_put(&paper, REUSED, 1, "name");
	for (int i = 0; i < 4; i++)
		data[i] = 1;
	nr_reused = 0;
	atomic_store(&is_over, false);
	ck_assert_int_eq(pthread_create(&daemon, NULL, reuse_on_and_on, data), 0);
	for (int i = 0; i < 60000; i++) {
		struct pma_pin pin;

		if (stage_get(&pin, "name", PMA_GET_LOCAL) == 0) {
			nr_hits++;
			check_reused(&pin);
			check_reused(&pin);
		}
		pma_put(window, &pin, 1);
	}
	atomic_store(&is_over, true);
	pthread_join(daemon, NULL);
	munmap(data, 4096);
	ck_assert_uint_gt(nr_hits, 0);
	ck_assert_uint_gt(nr_reused, 0);
}
END_TEST

/* ---- who may ---- */

struct rule {
	uint32_t uid, gid;              /* of the process */
	uint32_t groups[2], nr_groups;
	bool     has_all_groups;
	uint32_t owner, group, mode;    /* of the allocation */
	int      reads, writes;         /* the results; -EAGAIN: only the daemon can tell */
};

static const struct rule rules[] = {
	{ 0, 0, { 0 }, 0, true, 5, 5, 0000, 0, 0 },
	{ 5, 9, { 0 }, 0, true, 5, 5, 0600, 0, 0 },
	{ 5, 9, { 0 }, 0, true, 5, 5, 0400, 0, -EACCES },
	{ 5, 9, { 0 }, 0, true, 5, 5, 0200, -EACCES, -EACCES },
	{ 5, 5, { 5 }, 1, true, 5, 5, 0066, -EACCES, -EACCES },
	{ 6, 5, { 0 }, 0, true, 5, 5, 0640, 0, -EACCES },
	{ 6, 5, { 0 }, 0, true, 5, 5, 0606, -EACCES, -EACCES },
	{ 6, 9, { 8, 5 }, 2, true, 5, 5, 0660, 0, 0 },
	{ 6, 9, { 8, 7 }, 2, true, 5, 5, 0660, -EACCES, -EACCES },
	{ 6, 9, { 8, 7 }, 2, true, 5, 5, 0604, 0, -EACCES },
	{ 6, 9, { 8, 7 }, 2, false, 5, 5, 0604, -EAGAIN, -EACCES },
	{ 6, 9, { 8, 7 }, 2, false, 5, 5, 0640, -EAGAIN, -EACCES },
	{ 6, 9, { 8, 7 }, 2, false, 5, 5, 0644, 0, -EACCES },
	{ 6, 9, { 8, 5 }, 2, false, 5, 5, 0640, 0, -EACCES },
	{ 5, 9, { 8, 7 }, 2, false, 5, 5, 0600, 0, 0 },
};

START_TEST(test_window_rights_are_those_of_the_daemon)
{
	const struct rule *rule = &rules[_i];
	struct catalog_entry *entry = paper_put(&paper, 3, 77, "name");
	struct pma_pin pin;

	stage_reopen(PMA_WINDOW_WRITE);
	pins->uid = rule->uid;
	pins->gid = rule->gid;
	memcpy(pins->groups, rule->groups, sizeof(rule->groups));
	pins->nr_groups = rule->nr_groups;
	pins->state = rule->has_all_groups ? PINS_ALL_GROUPS : 0;
	entry->uid = rule->owner;
	entry->gid = rule->group;
	entry->mode = (uint16_t)rule->mode;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), rule->reads);
	pma_put(window, &pin, 1);
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL | PMA_GET_WRITE), rule->writes);
	pma_put(window, &pin, 1);
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_last_of_very_many_groups_counts)
{
	struct catalog_entry *entry = paper_put(&paper, 3, 77, "name");
	struct pma_pin pin;

	pins->uid = pins->gid = 6;
	pins->nr_groups = PINS_MAX_GROUPS;
	pins->groups[PINS_MAX_GROUPS - 1] = 5;
	entry->uid = entry->gid = 5;
	entry->mode = 0640;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), 0);
	pma_put(window, &pin, 1);
	pins->nr_groups--;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EACCES);
}
END_TEST

START_TEST(test_window_everything_is_asked_when_the_daemon_says_so)
{
	struct pma_pin pin;

	paper_put(&paper, 3, 77, "name");
	pins->state |= PINS_ASK;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
	script.pin_result = -EACCES;
	ck_assert_int_eq(stage_get(&pin, "name", 0), -EACCES);
	ck_assert_str_eq(pma_message(), "no");
	ck_assert_uint_eq(stage_nr_in_use(), 0);
}
END_TEST

START_TEST(test_window_poisoned_is_asked_for)
{
	struct pma_pin pin;

	paper_put(&paper, 3, 77, "name")->flags = CATALOG_POISONED;
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_LOCAL), -EAGAIN);
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	ck_assert_uint_eq(script.nr_pins, 1);
	pma_put(window, &pin, 1);
}
END_TEST

START_TEST(test_window_for_reading_gives_nothing_to_write)
{
	struct pma_pin pin;
	struct pma_key key = { .name = "name" };
	int status;
	pid_t child;

	paper_put(&paper, 3, 77, "name");
	ck_assert_int_eq(pma_get(window, &pin, &key, 1, PMA_GET_WRITE), -EACCES);
	ck_assert_int_eq(stage_get(&pin, "name", 0), 0);
	child = fork();
	if (child == 0) {
		/* A sanitizer would make a report of it. */
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)pin.address = 1;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	pma_put(window, &pin, 1);
	stage_reopen(PMA_WINDOW_WRITE);
	ck_assert_int_eq(stage_get(&pin, "name", PMA_GET_WRITE), 0);
	*(volatile char *)pin.address = 1;
	pma_put(window, &pin, 1);
}
END_TEST

#define NR(array) ((int)(sizeof(array) / sizeof(*(array))))

static void add_open(TCase *t)
{
	tcase_add_test(t, test_window_hit_pins_without_a_message);
	tcase_add_test(t, test_window_name_with_a_length_needs_no_nul);
	tcase_add_test(t, test_window_put_twice_puts_once);
	tcase_add_test(t, test_window_address_is_what_the_device_has);
	tcase_add_test(t, test_window_data_that_begins_inside_of_the_device);
	tcase_add_test(t, test_window_pieces_are_all_told);
	tcase_add_test(t, test_window_pinned_space_is_not_reused);
	tcase_add_loop_test(t, test_window_rights_are_those_of_the_daemon, 0, NR(rules));
	tcase_add_test(t, test_window_last_of_very_many_groups_counts);
	tcase_add_test(t, test_window_everything_is_asked_when_the_daemon_says_so);
	tcase_add_test(t, test_window_poisoned_is_asked_for);
	tcase_add_test(t, test_window_for_reading_gives_nothing_to_write);
}

UNIT("window",
     { .add = add_open, .setup = stage_begin_open, .teardown = stage_end, .timeout_s = 30 });
