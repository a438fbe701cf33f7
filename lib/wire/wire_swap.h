/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_swap: the byte order of messages. Each function converts one struct in place, from the
 * host's order to little-endian or back; both ways are the same swap. A member that is left out
 * here would be right on little-endian hosts, and wrong on every other one.
 */
#ifndef PMEMARENA_WIRE_SWAP_H
#define PMEMARENA_WIRE_SWAP_H

#include <endian.h>
#include <stdint.h>

#include "lib/wire/wire.h"

static inline void wire_swap_header(struct wire_header *h)
{
	h->magic = htole32(h->magic);
	h->version = htole16(h->version);
	h->opcode = htole16(h->opcode);
	h->length = htole32(h->length);
	h->count = htole32(h->count);
	h->tag = htole64(h->tag);
	h->repeats = htole64(h->repeats);
}

static inline void wire_swap_hello(struct wire_hello *h)
{
	h->min_version = htole16(h->min_version);
	h->max_version = htole16(h->max_version);
	h->features = htole64(h->features);
	h->session = htole64(h->session);
}

static inline void wire_swap_welcome(struct wire_welcome *w)
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

static inline void wire_swap_arena(struct wire_arena *a)
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
	a->node_and_1 = htole32(a->node_and_1);
}

static inline void wire_swap_window(struct wire_window *w)
{
	w->result = (int32_t)htole32((uint32_t)w->result);
	w->arena = htole32(w->arena);
	w->window = htole64(w->window);
	w->nr_words = htole32(w->nr_words);
	w->resumed = htole32(w->resumed);
}

static inline void wire_swap_usage(struct wire_usage *u)
{
	u->result = (int32_t)htole32((uint32_t)u->result);
	u->arena = htole32(u->arena);
	u->size = htole64(u->size);
	u->free = htole64(u->free);
	u->largest_free = htole64(u->largest_free);
	u->leased = htole64(u->leased);
	u->reserved = htole64(u->reserved);
	u->quarantined = htole64(u->quarantined);
	for (unsigned i = 0; i < WIRE_CHARGES; i++) {
		u->used[i] = htole64(u->used[i]);
		u->limit[i] = htole64(u->limit[i]);
	}
}

static inline void wire_swap_request(struct wire_request *q)
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
	q->attributes_len = htole16(q->attributes_len);
}

static inline void wire_swap_result(struct wire_result *s)
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
	s->attributes_len = htole16(s->attributes_len);
	s->version = htole64(s->version);
	s->created_ns = htole64(s->created_ns);
	s->cursor = htole64(s->cursor);
}

/* Swaps the @nr-th item of a message of @opcode, whose items have a fixed layout. */
static inline void wire_swap_raw(void *item, uint16_t opcode, uint32_t nr)
{
	if (opcode == WIRE_HELLO)
		wire_swap_hello(item);
	else if (opcode == WIRE_WELCOME && nr == 0)
		wire_swap_welcome(item);
	else if (opcode == WIRE_WINDOWED)
		wire_swap_window(item);
	else if (opcode == WIRE_USED)
		wire_swap_usage(item);
	else
		wire_swap_arena(item);
}

#endif
