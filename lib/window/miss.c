/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * miss: gets by message. The process takes a word for each key (it stores PINS_TAKEN there) and
 * names it in the request, and the daemon stores the pin in it. So such a pin ends as one of a hit
 * does, without a message. When a request got no answer, the daemon may store a pin in its words
 * later: they count as lost, until words.h says that nothing can come any more.
 */
#include <config.h>

#include "lib/window/miss.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/session/call.h"
#include "lib/session/listing.h"
#include "lib/window/pin.h"

/*
 * How many times a key is asked for: once more after a lost answer, or after the allocation changed
 * while its pieces were fetched.
 */
#define MAX_TRIES 3

/* One message with its keys, until it is answered. */
struct asking {
	struct call call;
	struct pma_window *window;      /* borrowed */
	struct pma_pin *pins;           /* borrowed; those of the whole get */
	uint32_t nr;
	uint32_t nr_answered;
	bool     with_attributes;       /* the daemon can send attributes with a pin */
	size_t   index[WIRE_MAX_ITEMS]; /* for each key: its place in @pins */
	uint32_t words[WIRE_MAX_ITEMS];
	/* what the daemon said about the first key that it refused */
	struct why why;
};

/* ---- the reply; under link.lock ---- */

/*
 * Fills in @pin from the answer to its key. PIN_PARTIAL: the answer has not all pieces, or not the
 * attributes; fetch_pieces() gets them. -EPROTO: the answer makes no sense.
 */
static int describe(struct pma_pin *pin, const struct pma_window *window,
		    const struct wire_result *result, const struct wire_extent *extents,
		    const char *attributes)
{
	struct pma_extent all[WIRE_MAX_INLINE_EXTENTS];

	if (result->id == 0 || result->arena != window->arena || result->nr_extents == 0)
		return -EPROTO;
	pin->handle = (struct pma_handle){ result->arena, result->slot, result->id };
	pin->version = result->version;
	pin->uid = result->uid;
	pin->gid = result->gid;
	pin->mode = result->mode;
	pin->total = result->len;
	pin->nr_pieces = result->nr_extents;
	pin->attributes_len = result->attributes_len;
	memcpy(pin->attributes, attributes, result->attributes_len);
	if (result->nr_inline < result->nr_extents ||
	    (!result->attributes_len && (result->flags & WIRE_HAS_ATTRIBUTES)))
		return PIN_PARTIAL;
	for (uint32_t i = 0; i < result->nr_inline; i++) {
		struct wire_extent extent = wire_extent_at(extents, i);

		all[i] = (struct pma_extent){ extent.off, extent.len };
	}
	return pin_set_extents(pin, window, all, result->nr_inline);
}

/*
 * Takes the answer to key @i, for which the daemon has stored a pin in the key's word. A word
 * without a pin means that the daemon does not keep the protocol.
 */
static int take_pin(struct asking *asking, uint32_t i, const struct wire_result *result,
		    const struct wire_extent *extents, const char *attributes)
{
	struct words *words = &asking->window->words;
	struct pma_pin *pin = &asking->pins[asking->index[i]];
	uint64_t value = words_value(words, asking->words[i]);

	if (value == 0 || value == PINS_TAKEN)
		return -EPROTO;
	pin->result = describe(pin, asking->window, result, extents, attributes);
	if (pin->result == -EPROTO)
		return -EPROTO;
	if (pin->result < 0) {
		words_give(words, asking->words[i]);
		if (!asking->why.text[0])
			why_set(&asking->why, 0, "%s", error_text(pin->result));
		return 0;
	}
	pin->word = asking->words[i] + 1;
	pin->value = value;
	return 0;
}

/* Takes a refusal of key @i. The daemon stored no pin, so the word is free at once. */
static void take_refusal(struct asking *asking, uint32_t i, const struct wire_result *result,
			 const char *text)
{
	struct pma_pin *pin = &asking->pins[asking->index[i]];

	words_give(&asking->window->words, asking->words[i]);
	pin->result = result->result;
	if (asking->why.text[0])
		return;
	if (result->text_len)
		why_set(&asking->why, 0, "%.*s", result->text_len, text);
	else
		why_set(&asking->why, 0, "%s", strerror(-result->result));
}

static int absorb(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct asking *asking = (struct asking *)call;
	const struct wire_extent *extents;
	struct wire_result result;
	const char *text;

	(void)fds;
	(void)nr_fds;
	if (reader->header.count != asking->nr)
		return -EPROTO;
	for (uint32_t i = 0; i < asking->nr; i++) {
		if (wire_next_result(reader, &result, &extents, &text) != 1)
			return -EPROTO;
		if (result.result < 0)
			take_refusal(asking, i, &result, text);
		else if (take_pin(asking, i, &result, extents, text + result.text_len) < 0)
			return -EPROTO;
		asking->nr_answered = i + 1;
	}
	return wire_next_result(reader, &result, &extents, &text);
}

/*
 * Gives back the words of keys that got no answer; their result stays PIN_MISSED. If the message
 * was sent, the daemon may still store a pin in such a word, so that it is lost and not free.
 */
static void finished(struct call *call)
{
	struct asking *asking = (struct asking *)call;

	for (uint32_t i = asking->nr_answered; i < asking->nr; i++) {
		if (call->nr_sent > 0)
			words_lose(&asking->window->words, asking->words[i]);
		else
			words_give(&asking->window->words, asking->words[i]);
	}
}

/* ---- the request ---- */

static size_t name_length(const struct pma_key *key)
{
	if (!key->name)
		return 0;
	return key->name_len ? key->name_len : strlen(key->name);
}

/*
 * Adds the key of pins[@index] to the message. -EMSGSIZE: the message is full; -ENOBUFS: no word is
 * free.
 */
static int add(struct asking *asking, struct wire_writer *writer, const struct pma_key *key,
	       size_t index, unsigned flags)
{
	struct pma_window *window = asking->window;
	struct wire_request request = { .arena = window->arena,
					.flags = flags & PMA_GET_WRITE ? 0 : WIRE_READ_ONLY };
	uint32_t word;
	int r;

	if (asking->nr == WIRE_MAX_ITEMS)
		return -EMSGSIZE;
	word = words_take(&window->words, PINS_TAKEN);
	if (word == WORDS_NONE)
		return -ENOBUFS;
	request.arg = word;
	if (asking->with_attributes)
		request.flags |= WIRE_WITH_ATTRIBUTES;
	if (!key->name) {
		request.slot = key->handle.slot;
		request.id = key->handle.id;
	}
	r = wire_add_request(writer, &request, key->name, name_length(key));
	if (r < 0) {
		words_give(&window->words, word);
		return r;
	}
	asking->index[asking->nr] = index;
	asking->words[asking->nr++] = word;
	return 0;
}

/*
 * Packs keys from *at on into the message. A key for which no word is free fails at once: all words
 * have pins that the program got earlier, and only the program can put them, so that waiting would
 * not help.
 */
static void pack(struct asking *asking, struct wire_writer *writer, const struct pma_key *keys,
		 size_t *at, size_t nr, unsigned flags)
{
	for (; *at < nr; (*at)++) {
		int r;

		if (asking->pins[*at].result != PIN_MISSED)
			continue;
		r = add(asking, writer, &keys[*at], *at, flags);
		if (r == -EMSGSIZE)
			return;
		if (r < 0)
			asking->pins[*at].result =
				error_set(r,
					  "all %u pins of the window are in use: put some, or open "
					  "it with more",
					  asking->window->words.nr);
	}
}

/* Sends one message for keys from *at on and waits for the reply. */
static int ask(struct pma_window *window, struct asking *asking, uint8_t *buf,
	       const struct pma_key *keys, size_t *at, size_t nr, unsigned flags)
{
	struct wire_writer writer;
	struct pma *pma = window->tie.pma;
	int r;

	client_lock(pma);
	asking->with_attributes = pma->link.attributes;
	words_sweep(&window->words);
	client_unlock(pma);
	wire_begin(&writer, buf, WIRE_PIN, 0);
	pack(asking, &writer, keys, at, nr, flags);
	if (asking->nr == 0)
		return 0;
	asking->call.message = buf;
	asking->call.length = (uint32_t)wire_end(&writer);
	r = client_call(pma, &asking->call);
	if (r == 0 && asking->why.text[0])
		error_set(0, "%s", asking->why.text);
	return r;
}

static void give_up_pin(struct pma_window *window, struct pma_pin *pin, int result)
{
	words_give(&window->words, pin->word - 1);
	pin->word = 0;
	pin->result = result;
}

static void fail_rest(struct pma_window *window, struct pma_pin *pins, size_t nr, int err)
{
	for (size_t i = 0; i < nr; i++) {
		if (pins[i].result == PIN_PARTIAL)
			give_up_pin(window, &pins[i], err);
		else if (pins[i].result == PIN_MISSED)
			pins[i].result = err;
	}
}

/*
 * Marks the keys that the daemon refused with -EBADF, because it did not know the window yet, to be
 * asked for again. Returns whether there is any.
 */
static bool ask_for_them_again(struct pma_pin *pins, size_t nr)
{
	bool is_any = false;

	for (size_t i = 0; i < nr; i++) {
		if (pins[i].result == -EBADF) {
			pins[i].result = PIN_MISSED;
			is_any = true;
		}
	}
	return is_any;
}

static int ask_all(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys,
		   size_t nr, unsigned flags, struct asking *asking, uint8_t *buf)
{
	size_t at = 0;
	int r = 0;

	while (at < nr && r == 0) {
		*asking = (struct asking){
			.call = { .opcode = WIRE_PIN, .absorb = absorb, .finished = finished },
			.window = window,
			.pins = pins
		};
		r = ask(window, asking, buf, keys, &at, nr, flags);
	}
	return r;
}

/* ---- what did not fit into the reply ---- */

/*
 * Fetches the pieces and the attributes that did not fit into the reply. The pin keeps the version
 * that the daemon pinned, and these requests answer for the current version. If they differ the pin
 * would describe a mixture, so it is given up and the key is asked for again.
 */
static int fetch_pieces(struct pma_window *window, struct pma_pin *pin)
{
	struct pma_extent *extents;
	uint64_t version;
	size_t nr;
	int r = listing_extents(&extents, &nr, &version, window->tie.pma, pin->handle);

	if (r < 0)
		return r;
	r = version == pin->version ? pin_set_extents(pin, window, extents, (uint32_t)nr)
				    : PIN_MISSED;
	free(extents);
	return r == -ENOMEM ? error_memory() : r;
}

static int fetch_attributes(struct pma_window *window, struct pma_pin *pin)
{
	struct pma_info info;
	int r = pma_stat(&info, window->tie.pma, pin->handle);

	if (r < 0)
		return r;
	if (info.version != pin->version)
		return PIN_MISSED;
	pin->attributes_len = info.attributes_len;
	memcpy(pin->attributes, info.attributes, info.attributes_len);
	return 0;
}

static bool fetch_all(struct pma_window *window, struct pma_pin *pins, size_t nr)
{
	bool is_again = false;
	int r;

	for (size_t i = 0; i < nr; i++) {
		if (pins[i].result != PIN_PARTIAL)
			continue;
		r = fetch_attributes(window, &pins[i]);
		if (r == 0)
			r = fetch_pieces(window, &pins[i]);
		if (r == 0)
			pins[i].result = 0;
		else
			give_up_pin(window, &pins[i], r);
		is_again |= r == PIN_MISSED;
	}
	return is_again;
}

/* ---- all of it ---- */

static int run(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys, size_t nr,
	       unsigned flags, struct asking *asking, uint8_t *buf)
{
	int r = -EAGAIN;

	for (int i = 0; i < MAX_TRIES; i++) {
		bool is_again;

		r = window_need(window);
		if (r < 0)
			return r;
		r = ask_all(window, pins, keys, nr, flags, asking, buf);
		if (r < 0 && r != -ESTALE)
			return r;
		is_again = ask_for_them_again(pins, nr);
		is_again |= fetch_all(window, pins, nr);
		if (r == 0 && !is_again)
			return 0;
	}
	return r < 0 ? r : error_set(-EAGAIN, "it changes all the time: ask again");
}

int miss_run(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys, size_t nr,
	     unsigned flags)
{
	struct asking *asking = malloc(sizeof(*asking));
	uint8_t *buf = aligned_alloc(8, WIRE_MAX);
	int r;

	r = asking && buf ? run(window, pins, keys, nr, flags, asking, buf) : error_memory();
	free(asking);
	free(buf);
	if (r < 0)
		fail_rest(window, pins, nr, r);
	return r;
}
