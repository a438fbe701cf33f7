/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: encodes, decodes and validates messages. Trusts no byte it reads: a size, count or offset is compared with what is
 * left of the message before it is used, and an item must be exactly as long as its parts. It knows the shape of
 * messages and not what they ask for: whether a handle exists or a flag makes sense is for others.
 */
#include <config.h>

#include "lib/wire.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* A result's size is 16 bits, and an extent is 16 bytes. */
#define MAX_EXTENTS ((UINT16_MAX - sizeof(struct wire_result)) / sizeof(struct wire_extent))

static size_t round_up(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

/* ---- byte order: each function converts in place, from the host's to little-endian or back, which is the same ---- */

static void swap_header(struct wire_header *h)
{
	h->magic = htole32(h->magic);
	h->version = htole16(h->version);
	h->opcode = htole16(h->opcode);
	h->length = htole32(h->length);
	h->count = htole32(h->count);
	h->tag = htole64(h->tag);
	h->repeats = htole64(h->repeats);
}

static void swap_hello(struct wire_hello *h)
{
	h->min_version = htole16(h->min_version);
	h->max_version = htole16(h->max_version);
	h->features = htole64(h->features);
	h->session = htole64(h->session);
}

static void swap_welcome(struct wire_welcome *w)
{
	w->result = (int32_t)htole32((uint32_t)w->result);
	w->version = htole16(w->version);
	w->nr_arenas = htole16(w->nr_arenas);
	w->features = htole64(w->features);
	w->session = htole64(w->session);
	w->last_tag = htole64(w->last_tag);
	w->resumed = htole32(w->resumed);
	w->max_items = htole32(w->max_items);
	w->read_tag = htole64(w->read_tag);
}

static void swap_arena(struct wire_arena *a)
{
	a->result = (int32_t)htole32((uint32_t)a->result);
	a->index = htole32(a->index);
	a->page_size = htole64(a->page_size);
	a->size = htole64(a->size);
	a->data_off = htole64(a->data_off);
	a->device_size = htole64(a->device_size);
	a->align = htole64(a->align);
	a->is_dax = htole32(a->is_dax);
	a->granularity = htole32(a->granularity);
	a->nr_slots = htole64(a->nr_slots);
	a->state = htole32(a->state);
}

static void swap_request(struct wire_request *q)
{
	q->size = htole16(q->size);
	q->name_len = htole16(q->name_len);
	q->flags = htole32(q->flags);
	q->arena = htole32(q->arena);
	q->slot = htole32(q->slot);
	q->id = htole64(q->id);
	q->len = htole64(q->len);
	q->arg = htole64(q->arg);
	q->uid = htole32(q->uid);
	q->gid = htole32(q->gid);
	q->mode = htole32(q->mode);
}

static void swap_result(struct wire_result *s)
{
	s->size = htole16(s->size);
	s->nr_inline = htole16(s->nr_inline);
	s->result = (int32_t)htole32((uint32_t)s->result);
	s->arena = htole32(s->arena);
	s->slot = htole32(s->slot);
	s->id = htole64(s->id);
	s->len = htole64(s->len);
	s->uid = htole32(s->uid);
	s->gid = htole32(s->gid);
	s->mode = htole32(s->mode);
	s->flags = htole32(s->flags);
	s->nr_extents = htole32(s->nr_extents);
	s->text_len = htole16(s->text_len);
	s->version = htole64(s->version);
	s->created_ns = htole64(s->created_ns);
	s->cursor = htole64(s->cursor);
}

/* Which raw item the @nr-th of a message of @opcode is. */
static size_t raw_size(uint16_t opcode, uint32_t nr)
{
	switch (opcode) {
	case WIRE_HELLO:
		return sizeof(struct wire_hello);
	case WIRE_WELCOME:
		return nr == 0 ? sizeof(struct wire_welcome) : sizeof(struct wire_arena);
	case WIRE_ATTACHED:
		return sizeof(struct wire_arena);
	default:
		return 0;
	}
}

static void swap_raw(void *item, uint16_t opcode, uint32_t nr)
{
	if (opcode == WIRE_HELLO)
		swap_hello(item);
	else if (opcode == WIRE_WELCOME && nr == 0)
		swap_welcome(item);
	else
		swap_arena(item);
}

/* ---- writing ---- */

void wire_begin(struct wire_writer *w, void *buf, uint16_t opcode, uint64_t tag)
{
	struct wire_header header = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .opcode = opcode, .tag = tag };

	swap_header(&header);
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

int wire_add_request(struct wire_writer *w, const struct wire_request *request, const char *name, size_t name_len)
{
	struct wire_request item = *request;
	size_t size = round_up(sizeof(item) + name_len);

	if (name_len > WIRE_MAX_NAME)
		return -ENAMETOOLONG;
	if (!has_room(w, size))
		return -EMSGSIZE;
	item.size = (uint16_t)size;
	item.name_len = (uint16_t)name_len;
	swap_request(&item);
	append(w, &item, sizeof(item));
	append(w, name, name_len);
	append_padding(w);
	w->count++;
	return 0;
}

static void append_extents(struct wire_writer *w, const struct wire_extent *extents, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct wire_extent extent = { htole64(extents[i].off), htole64(extents[i].len) };

		append(w, &extent, sizeof(extent));
	}
}

int wire_add_result(struct wire_writer *w, const struct wire_result *result, const struct wire_extent *extents,
		    const char *text, size_t text_len)
{
	struct wire_result item = *result;
	size_t size = round_up(sizeof(item) + result->nr_inline * sizeof(*extents) + text_len);

	if (size > UINT16_MAX || text_len > UINT16_MAX || !has_room(w, size))
		return -EMSGSIZE;
	item.size = (uint16_t)size;
	item.text_len = (uint16_t)text_len;
	swap_result(&item);
	append(w, &item, sizeof(item));
	append_extents(w, extents, result->nr_inline);
	append(w, text, text_len);
	append_padding(w);
	w->count++;
	return 0;
}

size_t wire_fit_result(const struct wire_writer *w, struct wire_result *result, size_t text_len, uint32_t nr_after)
{
	size_t fixed = w->length + (1 + (size_t)nr_after) * sizeof(*result);
	size_t room = fixed < WIRE_MAX ? WIRE_MAX - fixed : 0;

	if (round_up(text_len) > room) {
		/* A name is whole or it is not there; a message for a person may lose its end. */
		if (result->result == 0 && writer_opcode(w) == WIRE_STATTED)
			result->result = -EMSGSIZE;
		text_len = result->result == 0 ? 0 : room;
	}
	room -= round_up(text_len);
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
	swap_raw(copy, opcode, w->count);
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

void wire_set_tag(void *message, uint64_t tag, uint64_t repeats)
{
	tag = htole64(tag);
	repeats = htole64(repeats);
	memcpy((uint8_t *)message + offsetof(struct wire_header, tag), &tag, sizeof(tag));
	memcpy((uint8_t *)message + offsetof(struct wire_header, repeats), &repeats, sizeof(repeats));
}

/* ---- reading ---- */

static bool is_request(uint16_t opcode)
{
	return opcode >= WIRE_HELLO && opcode < WIRE_OPCODES;
}

static bool is_reply(uint16_t opcode)
{
	return (opcode & 0xc000) == WIRE_REPLY && is_request(opcode & ~WIRE_REPLY);
}

/* Messages of these have one item whatever happens. */
static bool is_single(uint16_t opcode)
{
	switch (opcode) {
	case WIRE_HELLO:
	case WIRE_ATTACH:
	case WIRE_ATTACHED:
	case WIRE_EXTENTS:
	case WIRE_EXTENTED:
	case WIRE_LIST:
	case WIRE_SUBSCRIBE:
	case WIRE_SUBSCRIBED:
		return true;
	default:
		return false;
	}
}

static bool is_good_count(uint16_t opcode, uint32_t count)
{
	if (is_single(opcode))
		return count == 1;
	return count <= WIRE_MAX_ITEMS && (count > 0 || opcode == WIRE_LISTED);
}

int wire_open(struct wire_reader *r, const void *buf, size_t length)
{
	struct wire_header h;

	if (length < sizeof(h) || length > WIRE_MAX)
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	swap_header(&h);
	if (h.magic != WIRE_MAGIC || h.version != WIRE_VERSION || h.length != length)
		return -EPROTO;
	if (!is_request(h.opcode) && !is_reply(h.opcode) && h.opcode != WIRE_EVENT)
		return -EPROTO;
	if (!is_good_count(h.opcode, h.count))
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

/* After the last item: nothing may be left. */
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

	if (!is_request(r->header.opcode) || r->header.opcode == WIRE_HELLO)
		return -EPROTO;
	if (r->left == 0)
		return at_end(r);
	if (remaining(r) < sizeof(item))
		return -EPROTO;
	memcpy(&item, r->at, sizeof(item));
	swap_request(&item);
	if (item.name_len > WIRE_MAX_NAME || item.size != round_up(sizeof(item) + item.name_len) || item.size > remaining(r))
		return -EPROTO;
	if (memchr(r->at + sizeof(item), 0, item.name_len))
		return -EPROTO;
	*name = (const char *)r->at + sizeof(item);
	*request = item;
	advance(r, item.size);
	return 1;
}

static bool has_results(uint16_t opcode)
{
	return opcode == WIRE_EVENT || (is_reply(opcode) && opcode != WIRE_WELCOME && opcode != WIRE_ATTACHED);
}

/* Are the parts of @item as long as the whole, and is the text what its place allows? */
static bool is_good_result(const struct wire_result *item, uint16_t opcode, size_t room)
{
	size_t max_extents = opcode == WIRE_EXTENTED ? MAX_EXTENTS : WIRE_MAX_INLINE_EXTENTS;
	size_t max_text = item->result == 0 ? WIRE_MAX_NAME : WIRE_MAX_TEXT;

	return item->result <= 0 && item->nr_inline <= max_extents && item->text_len <= max_text &&
	       item->nr_inline <= item->nr_extents && item->size <= room &&
	       item->size == round_up(sizeof(*item) + item->nr_inline * sizeof(struct wire_extent) + item->text_len);
}

int wire_next_result(struct wire_reader *r, struct wire_result *result, const struct wire_extent **extents,
		     const char **text)
{
	struct wire_result item;
	size_t extents_size;

	if (!has_results(r->header.opcode))
		return -EPROTO;
	if (r->left == 0)
		return at_end(r);
	if (remaining(r) < sizeof(item))
		return -EPROTO;
	memcpy(&item, r->at, sizeof(item));
	swap_result(&item);
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

/* The texts of a struct wire_arena at @bytes. */
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
	swap_raw(item, r->header.opcode, nr);
	advance(r, size);
	return 1;
}

/* ---- what there is ---- */

uint32_t wire_known_flags(uint16_t opcode)
{
	switch (opcode) {
	case WIRE_ATTACH:
		return WIRE_READ_ONLY;
	case WIRE_RESERVE:
		return WIRE_PUBLISH | WIRE_CONTIGUOUS | WIRE_LEASE | WIRE_KEEP_OPEN;
	case WIRE_FREE:
	case WIRE_CLOSE:
	case WIRE_ABORT:
		return WIRE_UNMAPPED;
	case WIRE_OPEN:
		return WIRE_READ_ONLY | WIRE_WANT_UID;
	case WIRE_SETATTR:
		return WIRE_SET_UID | WIRE_SET_GID | WIRE_SET_MODE;
	case WIRE_SUBSCRIBE:
		return WIRE_UNSUBSCRIBE | WIRE_RECALLS;
	case WIRE_CARVE:
		return WIRE_KEEP_OPEN;
	default:
		return 0;
	}
}

const char *wire_opcode_name(uint16_t opcode)
{
	static const char *const names[WIRE_OPCODES] = {
		[WIRE_HELLO] = "hello", [WIRE_ATTACH] = "attach", [WIRE_RESERVE] = "reserve", [WIRE_COMMIT] = "commit",
		[WIRE_ABORT] = "abort", [WIRE_FREE] = "free", [WIRE_OPEN] = "open", [WIRE_CLOSE] = "close",
		[WIRE_RESIZE] = "resize", [WIRE_RENAME] = "rename", [WIRE_SETATTR] = "setattr", [WIRE_STAT] = "stat",
		[WIRE_EXTENTS] = "extents", [WIRE_LIST] = "list", [WIRE_SUBSCRIBE] = "subscribe",
		[WIRE_CARVE] = "carve",
	};

	if (opcode == WIRE_EVENT)
		return "event";
	if (is_reply(opcode))
		opcode &= ~WIRE_REPLY;
	return is_request(opcode) ? names[opcode] : "unknown";
}
