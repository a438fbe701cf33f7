/* SPDX-License-Identifier: BSD-3-Clause */
/* window_stage: see window_stage.h. */
#include <config.h>

#include "tests/unit/window_stage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct fake_daemon *fake;
struct pma *pma;
struct pma_window *window;
struct paper paper, next_paper;
struct pins_header *pins;
int pins_fd;
struct script script;


/* ---- the daemon ---- */

static int reopen(int fd, int flags)
{
	char path[64];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, flags | O_CLOEXEC);
	ck_assert_int_ge(opened, 0);
	return opened;
}

static bool is_same_file(int a, int b)
{
	struct stat one, two;

	return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_ino == two.st_ino &&
	       one.st_dev == two.st_dev;
}

static int catalog_fd(void)
{
	return script.has_next_paper ? next_paper.fd : paper.fd;
}

static void answer_window(struct fake_daemon *daemon, const struct fake_ask *ask)
{
	const struct wire_request *item = &ask->items[0];
	struct wire_window answer = { .result = script.window_result,
				      .arena = item->arena,
				      .window = NUMBER,
				      .secret = "the secret",
				      .nr_words = NR_PINS,
				      .resumed = item->id != 0 };
	struct wire_writer writer;
	uint8_t secret[16];
	int fds[3], nr_fds = 0;

	script.nr_windows++;
	if (item->id) {
		script.nr_again++;
		wire_unpack_secret(secret, item);
		ck_assert_uint_eq(item->id, NUMBER);
		ck_assert_str_eq((char *)secret, "the secret");
		ck_assert(is_same_file(daemon->got_fd, pins_fd));
	} else if (answer.result == 0) {
		fds[nr_fds++] = reopen(daemon->device,
				       item->flags & WIRE_READ_ONLY ? O_RDONLY : O_RDWR);
	}
	script.has_window = answer.result == 0;
	if (answer.result == 0)
		fds[nr_fds++] = reopen(catalog_fd(), O_RDONLY);
	if (answer.result == 0 && item->id == 0)
		fds[nr_fds++] = reopen(pins_fd, O_RDWR);
	wire_begin(&writer, daemon->buf, WIRE_WINDOWED, ask->tag);
	wire_add_raw(&writer, &answer, sizeof(answer));
	fake_send_fds(daemon, wire_end(&writer), fds, nr_fds);
	while (nr_fds > 0)
		close(fds[--nr_fds]);
}

static void add_pinned(struct wire_writer *writer, const struct wire_request *item)
{
	struct wire_extent extents[WIRE_MAX_INLINE_EXTENTS];
	struct wire_result result = { .arena = item->arena,
				      .slot = ASKED_SLOT,
				      .id = item->id ? item->id : ASKED_ID,
				      .version = script.version,
				      .mode = 0640 };

	result.nr_extents = script.nr_extents ? script.nr_extents : 1;
	result.nr_inline = result.nr_extents < WIRE_MAX_INLINE_EXTENTS ? (uint16_t)result.nr_extents
								       : WIRE_MAX_INLINE_EXTENTS;
	result.len = result.nr_extents * 4096;
	for (uint32_t i = 0; i < result.nr_inline; i++)
		extents[i] = (struct wire_extent){ i * PAPER_PAGE, 4096 };
	wire_add_result(writer, &result, extents, NULL, 0);
}

static void refuse_pin(struct wire_writer *writer, int err)
{
	struct wire_result result = { .result = err };

	wire_add_result(writer, &result, NULL, "no", 2);
}

static void answer_pins(struct fake_daemon *daemon, const struct fake_ask *ask)
{
	struct wire_writer writer;

	wire_begin(&writer, daemon->buf, WIRE_PINNED, ask->tag);
	for (uint32_t i = 0; i < ask->count; i++) {
		uint64_t *word = &pins_words(pins)[ask->items[i].arg];

		ck_assert_uint_lt(ask->items[i].arg, pins->high);
		ck_assert_uint_eq(*word, PINS_TAKEN);
		script.last_flags = ask->items[i].flags;
		if (script.nr_bad_first > 0 || !script.has_window) {
			refuse_pin(&writer, -EBADF);
		} else if (script.pin_result) {
			refuse_pin(&writer, script.pin_result);
		} else {
			__atomic_store_n(word, pins_word(ASKED_SLOT, (uint32_t)script.version),
					 __ATOMIC_SEQ_CST);
			add_pinned(&writer, &ask->items[i]);
		}
	}
	if (script.nr_bad_first > 0)
		script.nr_bad_first--;
	fake_send(daemon, wire_end(&writer));
}

static void answer_extents(struct fake_daemon *daemon, const struct fake_ask *ask)
{
	uint32_t first = (uint32_t)ask->items[0].arg;
	struct wire_extent extents[64];
	struct wire_result result = { .id = ask->items[0].id,
				      .version = script.extents_version,
				      .nr_extents = script.nr_extents };
	struct wire_writer writer;

	for (uint32_t i = first; i < script.nr_extents; i++)
		extents[result.nr_inline++] = (struct wire_extent){ i * PAPER_PAGE, 4096 };
	/* Whoever asks again after the last page meets what the pin has. */
	if (first > 0)
		script.extents_version = script.version;
	wire_begin(&writer, daemon->buf, WIRE_EXTENTED, ask->tag);
	wire_add_result(&writer, &result, extents, NULL, 0);
	fake_send(daemon, wire_end(&writer));
}

/* False: the connection is to end now. */
static bool answer(struct fake_daemon *daemon, const struct fake_ask *ask)
{
	if (ask->opcode == WIRE_WINDOW) {
		answer_window(daemon, ask);
	} else if (ask->opcode == WIRE_PIN) {
		script.nr_pin_messages++;
		script.nr_pins += ask->count;
		daemon->last_tag = daemon->read_tag = ask->tag;
		if (script.nr_hang_ups > 0) {
			for (uint32_t i = 0; script.fills_in && i < ask->count; i++)
				pins_words(pins)[ask->items[i].arg] = pins_word(ASKED_SLOT, 1);
			return false;
		}
		answer_pins(daemon, ask);
	} else if (ask->opcode == WIRE_EXTENTS && script.nr_extents) {
		answer_extents(daemon, ask);
	} else {
		fake_answer(daemon, ask);
	}
	return true;
}

void stage_serve(struct fake_daemon *daemon)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_welcome(daemon, NULL, false);
	while (fake_receive(daemon, ask)) {
		if (!answer(daemon, ask)) {
			script.nr_hang_ups--;
			script.has_window = false;
			fake_hang_up(daemon);
			fake_welcome(daemon, NULL, script.resumes);
		}
	}
	free(ask);
}

/* ---- the fixture ---- */

void stage_begin_with(uint64_t features)
{
	struct pma_options *options;

	memset(&script, 0, sizeof(script));
	script.version = script.extents_version = 1;
	script.resumes = true;
	paper_init(&paper, 16);
	paper_init(&next_paper, 16);
	pins_fd = pins_new(&pins, NR_PINS, NUMBER);
	fake = fake_new(stage_serve, NULL);
	fake->features = features;
	ck_assert_int_eq(pma_options_new(&options), 0);
	pma_options_set_socket(options, fake->path);
	ck_assert_msg(pma_connect(&pma, options) == 0, "%s", pma_message());
	pma_options_free(options);
	window = NULL;
}

void stage_begin(void)
{
	stage_begin_with(WIRE_REPEATS | WIRE_LENDS | WIRE_WINDOWS);
}

void stage_begin_open(void)
{
	stage_begin();
	ck_assert_msg(pma_window_open(&window, pma, 0, 0, 0) == 0, "%s", pma_message());
}

void stage_end(void)
{
	pma_window_close(window);
	pma_disconnect(pma);
	fake_free(fake);
	munmap(pins, pins_size(NR_PINS));
	close(pins_fd);
	paper_fini(&paper);
	paper_fini(&next_paper);
}

void stage_reopen(unsigned flags)
{
	pma_window_close(window);
	window = NULL;
	ck_assert_msg(pma_window_open(&window, pma, 0, flags, 0) == 0, "%s", pma_message());
}

int stage_get(struct pma_pin *pin, const char *name, unsigned flags)
{
	struct pma_key key = { .name = name };
	int r = pma_get(window, pin, &key, 1, flags);

	ck_assert_int_eq(r, pin->result == 0);
	return pin->result;
}

uint32_t stage_nr_in_use(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < NR_PINS; i++)
		nr += pins_words(pins)[i] != 0;
	return nr;
}

char *stage_at(uint64_t off)
{
	return (char *)pma_window_address(window) + off;
}
