/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: encodes, decodes and validates messages. No byte that was received is trusted: each size,
 * count and offset is compared with what is left of the message before it is used, and an item must
 * be exactly as long as its parts together. The file knows the shape of messages; whether a handle
 * exists or a flag makes sense for this user is decided elsewhere.
 */
#include <config.h>

#include "lib/wire/wire.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/wire/wire_opcode.h"
#include "lib/wire/wire_swap.h"

/*
 * How many extents a result can have at most: its size field has 16 bits, and an extent takes 16
 * bytes.
 */
#define MAX_EXTENTS ((UINT16_MAX - sizeof(struct wire_result)) / sizeof(struct wire_extent))

static size_t round_up(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

/*
 * The size of the @nr-th item of a message of @opcode, for the messages whose items have a fixed
 * layout (hello, welcome, attached, surveyed, windowed, used). 0: the items of this opcode are
 * requests or results.
 */
static size_t raw_size(uint16_t opcode, uint32_t nr)
{
	switch (opcode) {
	case WIRE_HELLO:
		return sizeof(struct wire_hello);
	case WIRE_WELCOME:
		return nr == 0 ? sizeof(struct wire_welcome) : sizeof(struct wire_arena);
	case WIRE_ATTACHED:
	case WIRE_SURVEYED:
		return sizeof(struct wire_arena);
	case WIRE_WINDOWED:
		return sizeof(struct wire_window);
	case WIRE_USED:
		return sizeof(struct wire_usage);
	default:
		return 0;
	}
}

/* ---- writing ---- */

void wire_begin(struct wire_writer *w, void *buf, uint16_t opcode, uint64_t tag)
{
	struct wire_header header = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .opcode = opcode, .tag = tag
	};

	wire_swap_header(&header);
	memcpy(buf, &header, sizeof(header));
	w->buf = buf;
	w->length = sizeof(header);
	w->count = 0;
}

static uint16_t writer_opcode(const struct wire_writer *w)
{
	uint16_t opcode;

	memcpy(&opcode, w->buf + offsetof(struct wire_header, opcode), sizeof(opcode));
	return le16toh(opcode);
}

static bool has_room(const struct wire_writer *w, size_t size)
{
	return w->count < WIRE_MAX_ITEMS && size <= WIRE_MAX - w->length;
}

static void append(struct wire_writer *w, const void *bytes, size_t size)
{
	if (size)
		memcpy(w->buf + w->length, bytes, size);
	w->length += (uint32_t)size;
}

static void append_padding(struct wire_writer *w)
{
	size_t padding = round_up(w->length) - w->length;

	memset(w->buf + w->length, 0, padding);
	w->length += (uint32_t)padding;
}

int wire_add_request_with(struct wire_writer *w, const struct wire_request *request,
			  const char *name, size_t name_len, const void *attributes)
{
	size_t attributes_len = request->flags & WIRE_WITH_ATTRIBUTES ? request->attributes_len : 0;
	struct wire_request item = *request;
	size_t size = round_up(sizeof(item) + name_len + attributes_len);

	if (name_len > WIRE_MAX_NAME)
		return -ENAMETOOLONG;
	if (attributes_len > WIRE_MAX_ATTRIBUTES || !has_room(w, size))
		return -EMSGSIZE;
	item.size = (uint16_t)size;
	item.name_len = (uint16_t)name_len;
	wire_swap_request(&item);
	append(w, &item, sizeof(item));
	append(w, name, name_len);
	append(w, attributes, attributes_len);
	append_padding(w);
	w->count++;
	return 0;
}

int wire_add_request(struct wire_writer *w, const struct wire_request *request, const char *name,
		     size_t name_len)
{
	struct wire_request item = *request;

	item.attributes_len = 0;
	return wire_add_request_with(w, &item, name, name_len, NULL);
}

static void append_extents(struct wire_writer *w, const struct wire_extent *extents, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct wire_extent extent = { htole64(extents[i].off), htole64(extents[i].len) };

		append(w, &extent, sizeof(extent));
	}
}

int wire_add_result_with(struct wire_writer *w, const struct wire_result *result,
			 const struct wire_extent *extents, const char *text, size_t text_len,
			 const void *attributes)
{
	struct wire_result item = *result;
	size_t size = round_up(sizeof(item) + result->nr_inline * sizeof(*extents) + text_len +
			       result->attributes_len);

	if (size > UINT16_MAX || text_len > UINT16_MAX || !has_room(w, size))
		return -EMSGSIZE;
	item.size = (uint16_t)size;
	item.text_len = (uint16_t)text_len;
	wire_swap_result(&item);
	append(w, &item, sizeof(item));
	append_extents(w, extents, result->nr_inline);
	append(w, text, text_len);
	append(w, attributes, result->attributes_len);
	append_padding(w);
	w->count++;
	return 0;
}

int wire_add_result(struct wire_writer *w, const struct wire_result *result,
		    const struct wire_extent *extents, const char *text, size_t text_len)
{
	struct wire_result item = *result;

	item.attributes_len = 0;
	return wire_add_result_with(w, &item, extents, text, text_len, NULL);
}

/*
 * Name and attributes are sent whole or not at all: half a name would be the name of something
 * else. A message for a person may lose its end.
 */
static size_t fit_text(struct wire_result *result, size_t text_len, size_t room)
{
	if (round_up(text_len + result->attributes_len) <= room)
		return text_len;
	result->attributes_len = 0;
	if (round_up(text_len) <= room)
		return text_len;
	return result->result == 0 ? 0 : room;
}

size_t wire_fit_result(const struct wire_writer *w, struct wire_result *result, size_t text_len,
		       uint32_t nr_after)
{
	size_t fixed = w->length + (1 + (size_t)nr_after) * sizeof(*result);
	size_t room = fixed < WIRE_MAX ? WIRE_MAX - fixed : 0;
	size_t wanted = text_len + result->attributes_len;

	text_len = fit_text(result, text_len, room);
	if (result->result == 0 && text_len + result->attributes_len < wanted &&
	    writer_opcode(w) == WIRE_STATTED) {
		result->result = -EMSGSIZE;
		result->attributes_len = 0;
		text_len = 0;
	}
	room -= round_up(text_len + result->attributes_len);
	if (result->nr_inline > room / sizeof(struct wire_extent))
		result->nr_inline = (uint16_t)(room / sizeof(struct wire_extent));
	return text_len;
}

int wire_add_raw(struct wire_writer *w, const void *item, size_t size)
{
	uint8_t copy[sizeof(struct wire_arena)] __attribute__((aligned(8)));
	uint16_t opcode = writer_opcode(w);

	if (size != raw_size(opcode, w->count))
		return -EINVAL;
	if (!has_room(w, size))
		return -EMSGSIZE;
	memcpy(copy, item, size);
	wire_swap_raw(copy, opcode, w->count);
	append(w, copy, size);
	w->count++;
	return 0;
}

size_t wire_end(struct wire_writer *w)
{
	uint32_t length = htole32(w->length), count = htole32(w->count);

	memcpy(w->buf + offsetof(struct wire_header, length), &length, sizeof(length));
	memcpy(w->buf + offsetof(struct wire_header, count), &count, sizeof(count));
	return w->length;
}

void wire_pack_secret(struct wire_request *request, const uint8_t secret[16])
{
	memcpy(&request->len, secret, 8);
	memcpy(&request->arg, secret + 8, 8);
	request->len = le64toh(request->len);
	request->arg = le64toh(request->arg);
}

void wire_unpack_secret(uint8_t secret[16], const struct wire_request *request)
{
	uint64_t halves[2] = { htole64(request->len), htole64(request->arg) };

	memcpy(secret, halves, 16);
}

void wire_set_tag(void *message, uint64_t tag, uint64_t repeats)
{
	tag = htole64(tag);
	repeats = htole64(repeats);
	memcpy((uint8_t *)message + offsetof(struct wire_header, tag), &tag, sizeof(tag));
	memcpy((uint8_t *)message + offsetof(struct wire_header, repeats), &repeats,
	       sizeof(repeats));
}

/* ---- reading ---- */

int wire_open(struct wire_reader *r, const void *buf, size_t length)
{
	struct wire_header h;

	if (length < sizeof(h) || length > WIRE_MAX)
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	wire_swap_header(&h);
	if (h.magic != WIRE_MAGIC || h.version != WIRE_VERSION || h.length != length)
		return -EPROTO;
	if (!wire_opcode_is_request(h.opcode) && !wire_opcode_is_reply(h.opcode) &&
	    h.opcode != WIRE_EVENT)
		return -EPROTO;
	if (!wire_opcode_is_good_count(h.opcode, h.count))
		return -EPROTO;
	r->header = h;
	r->at = (const uint8_t *)buf + sizeof(h);
	r->end = (const uint8_t *)buf + length;
	r->left = h.count;
	return 0;
}

static size_t remaining(const struct wire_reader *r)
{
	return (size_t)(r->end - r->at);
}

/* All items were read. -EPROTO: bytes are left over, so the sender's count was wrong. */
static int at_end(const struct wire_reader *r)
{
	return remaining(r) == 0 ? 0 : -EPROTO;
}

static void advance(struct wire_reader *r, size_t size)
{
	r->at += size;
	r->left--;
}

int wire_next_request(struct wire_reader *r, struct wire_request *request, const char **name)
{
	struct wire_request item;

	if (!wire_opcode_is_request(r->header.opcode) || r->header.opcode == WIRE_HELLO)
		return -EPROTO;
	if (r->left == 0)
		return at_end(r);
	if (remaining(r) < sizeof(item))
		return -EPROTO;
	memcpy(&item, r->at, sizeof(item));
	wire_swap_request(&item);
	if (!(item.flags & WIRE_WITH_ATTRIBUTES))
		item.attributes_len = 0;
	if (item.name_len > WIRE_MAX_NAME || item.attributes_len > WIRE_MAX_ATTRIBUTES ||
	    item.size != round_up(sizeof(item) + item.name_len + item.attributes_len) ||
	    item.size > remaining(r))
		return -EPROTO;
	if (memchr(r->at + sizeof(item), 0, item.name_len))
		return -EPROTO;
	*name = (const char *)r->at + sizeof(item);
	*request = item;
	advance(r, item.size);
	return 1;
}

/*
 * Is the item exactly as long as its parts together, does it fit into the @room bytes that are
 * left, and are its numbers within the limits for @opcode?
 */
static bool is_good_result(const struct wire_result *item, uint16_t opcode, size_t room)
{
	size_t max_extents = opcode == WIRE_EXTENTED ? MAX_EXTENTS : WIRE_MAX_INLINE_EXTENTS;
	size_t max_text = item->result == 0 ? WIRE_MAX_NAME : WIRE_MAX_TEXT;
	size_t max_attributes = item->result == 0 ? WIRE_MAX_ATTRIBUTES : 0;

	return item->result <= 0 && item->attributes_len <= max_attributes &&
	       item->nr_inline <= max_extents && item->text_len <= max_text &&
	       item->nr_inline <= item->nr_extents && item->size <= room &&
	       item->size == round_up(sizeof(*item) + item->nr_inline * sizeof(struct wire_extent) +
				      item->text_len + item->attributes_len);
}

int wire_next_result(struct wire_reader *r, struct wire_result *result,
		     const struct wire_extent **extents, const char **text)
{
	struct wire_result item;
	size_t extents_size;

	if (!wire_opcode_has_results(r->header.opcode))
		return -EPROTO;
	if (r->left == 0)
		return at_end(r);
	if (remaining(r) < sizeof(item))
		return -EPROTO;
	memcpy(&item, r->at, sizeof(item));
	wire_swap_result(&item);
	if (!is_good_result(&item, r->header.opcode, remaining(r)))
		return -EPROTO;
	extents_size = item.nr_inline * sizeof(struct wire_extent);
	if (memchr(r->at + sizeof(item) + extents_size, 0, item.text_len))
		return -EPROTO;
	*extents = (const void *)(r->at + sizeof(item));
	*text = (const char *)r->at + sizeof(item) + extents_size;
	*result = item;
	advance(r, item.size);
	return 1;
}

struct wire_extent wire_extent_at(const struct wire_extent *extents, uint32_t i)
{
	struct wire_extent extent;

	memcpy(&extent, (const uint8_t *)extents + i * sizeof(extent), sizeof(extent));
	return (struct wire_extent){ le64toh(extent.off), le64toh(extent.len) };
}

/*
 * Do the two texts of the struct wire_arena at @bytes end in a NUL inside their arrays? If one did
 * not, whoever prints it would read on.
 */
static bool are_terminated(const uint8_t *bytes)
{
	const struct wire_arena *arena;

	return memchr(bytes + offsetof(struct wire_arena, name), 0, sizeof(arena->name)) &&
	       memchr(bytes + offsetof(struct wire_arena, device), 0, sizeof(arena->device));
}

int wire_next_raw(struct wire_reader *r, void *item, size_t size)
{
	uint32_t nr = r->header.count - r->left;

	if (r->left == 0)
		return at_end(r);
	if (size != raw_size(r->header.opcode, nr) || size > remaining(r))
		return -EPROTO;
	if (size == sizeof(struct wire_arena) && !are_terminated(r->at))
		return -EPROTO;
	memcpy(item, r->at, size);
	wire_swap_raw(item, r->header.opcode, nr);
	advance(r, size);
	return 1;
}
