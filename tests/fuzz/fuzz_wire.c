/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_wire: any bytes as a message, read as each of the three kinds of items. What the reader lets
 * through can be written again, and reads as the same.
 */
#include <config.h>

#include "lib/wire/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : abort())

static uint64_t written[WIRE_MAX / 8];

/*
 * Item by item from @r into a message of our own: its length, or 0 when the sender did not keep the
 * protocol.
 */
static size_t copy_requests(struct wire_reader *r)
{
	struct wire_request request;
	struct wire_writer w;
	const char *name;
	int next;

	wire_begin(&w, written, r->header.opcode, r->header.tag);
	while ((next = wire_next_request(r, &request, &name)) == 1) {
		must(request.name_len <= WIRE_MAX_NAME);
		must(wire_add_request(&w, &request, name, request.name_len) == 0);
	}
	return next == 0 ? wire_end(&w) : 0;
}

static void requests(const void *message, size_t length)
{
	struct wire_request a, b;
	const char *name_a, *name_b;
	struct wire_reader r, copy;
	size_t copied;

	must(wire_open(&r, message, length) == 0);
	copied = copy_requests(&r);
	if (copied == 0)
		return;
	must(wire_open(&r, message, length) == 0);
	must(wire_open(&copy, written, copied) == 0);
	while (wire_next_request(&r, &a, &name_a) == 1) {
		must(wire_next_request(&copy, &b, &name_b) == 1);
		must(a.flags == b.flags && a.arena == b.arena && a.slot == b.slot && a.id == b.id &&
		     a.len == b.len && a.arg == b.arg);
		must(a.uid == b.uid && a.gid == b.gid && a.mode == b.mode &&
		     a.name_len == b.name_len);
		must(memcmp(name_a, name_b, a.name_len) == 0);
	}
	must(wire_next_request(&copy, &b, &name_b) == 0);
}

static size_t copy_results(struct wire_reader *r)
{
	const struct wire_extent *extents;
	struct wire_result result;
	struct wire_writer w;
	const char *text;
	int next;

	wire_begin(&w, written, r->header.opcode, r->header.tag);
	while ((next = wire_next_result(r, &result, &extents, &text)) == 1)
		must(wire_add_result(&w, &result, extents, text, result.text_len) == 0);
	return next == 0 ? wire_end(&w) : 0;
}

static void results(const void *message, size_t length)
{
	const struct wire_extent *extents_a, *extents_b;
	struct wire_result a, b;
	const char *text_a, *text_b;
	struct wire_reader r, copy;
	size_t copied;

	must(wire_open(&r, message, length) == 0);
	copied = copy_results(&r);
	if (copied == 0)
		return;
	must(wire_open(&r, message, length) == 0);
	must(wire_open(&copy, written, copied) == 0);
	while (wire_next_result(&r, &a, &extents_a, &text_a) == 1) {
		must(wire_next_result(&copy, &b, &extents_b, &text_b) == 1);
		must(a.result == b.result && a.id == b.id && a.len == b.len &&
		     a.nr_inline == b.nr_inline && a.text_len == b.text_len);
		must(memcmp(extents_a, extents_b, a.nr_inline * sizeof(*extents_a)) == 0);
		must(memcmp(text_a, text_b, a.text_len) == 0);
	}
}

static void raws(const void *message, size_t length)
{
	struct wire_welcome welcome;
	struct wire_window window;
	struct wire_arena arena;
	struct wire_reader r;

	must(wire_open(&r, message, length) == 0);
	if (wire_next_raw(&r, &welcome, sizeof(welcome)) == 1)
		while (wire_next_raw(&r, &arena, sizeof(arena)) == 1)
			;
	must(wire_open(&r, message, length) == 0);
	while (wire_next_raw(&r, &window, sizeof(window)) == 1)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader r;
	void *message;

	/* As large as the message to the byte, so that the sanitizer sees a read behind its end. */
	message = malloc(size);
	if (!message)
		return 0;
	memcpy(message, data, size);
	if (wire_open(&r, message, size) == 0) {
		must(wire_opcode_name(r.header.opcode) != NULL);
		requests(message, size);
		results(message, size);
		raws(message, size);
	}
	free(message);
	return 0;
}
