/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history_internal: what the files of a history share. Each step is a function of its own; @op is
 * the step's name for failures, and false means that there was nothing it could be done to, or that
 * the arena refused.
 */
#ifndef PMEMARENA_HISTORY_INTERNAL_H
#define PMEMARENA_HISTORY_INTERNAL_H

#include "tests/crash/history.h"

/* ---- history_choice.c ---- */

/* Draws one that is in @state now; with @told, one that the client was told of. NULL: none. */
struct object *history_pick(struct history *h, enum object_state state, bool told);
struct alloc *history_alloc(const struct history *h, const struct object *object);
/* Also what was freed since. */
struct alloc *history_held(const struct history *h, const struct object *object);
/* Who asks: the one session of the world, as user @uid. */
struct caller history_caller(const struct history *h, uint32_t uid);
/* Few names, so that they are freed and taken again; some of them need several slots. */
uint8_t history_random_name(struct history *h, char name[ALLOC_MAX_NAME]);
uint64_t history_random_len(struct history *h);
/*
 * What is handed out reads as zeroes, from byte @from on, and is not what somebody who is alive has
 * mapped.
 */
void history_check_hand_out(struct history *h, const struct alloc *alloc, uint64_t from);
/*
 * What was reserved with any contents has nothing but what its own user stored earlier, and is not
 * what somebody who is alive has mapped.
 */
void history_check_own(struct history *h, const struct alloc *alloc);
/*
 * What goes is quarantined for as long as its client has it open; to be told before, and again when
 * it is done.
 */
void history_note_going(struct history *h, const struct alloc *alloc, uint64_t from);
void history_note_gone(struct history *h, const struct object *object);
/* Refusals that a client must expect. */
bool history_is_refused(struct history *h, enum history_op op, int r);
/* What is given up is what others wait for. */
void history_remember(struct history *h, const struct object *object, uint64_t bytes);
/* As users give them: most of them none, or a number of their own. */
uint64_t history_random_token(struct history *h);
/* Writes into the model what a step that returned @r made of @object; false: it was refused. */
bool history_changed(struct history *h, enum history_op op, struct object *object, int r,
		     uint64_t begun);
/* What is left of it after parts were carved off is not one run: it only goes back. */
bool history_is_in_pieces(const struct alloc *alloc);

/* ---- history_change.c ---- */

bool history_reserve(struct history *h, enum history_op op);
bool history_carve(struct history *h, enum history_op op);
bool history_publish(struct history *h, enum history_op op);
bool history_release(struct history *h, enum history_op op);
bool history_rename(struct history *h, enum history_op op);
bool history_resize(struct history *h, enum history_op op);
bool history_setattr(struct history *h, enum history_op op);
bool history_poison(struct history *h, enum history_op op);

/* ---- history_data.c ---- */

bool history_write(struct history *h, enum history_op op);
bool history_close(struct history *h, enum history_op op);

/* ---- history_life.c ---- */

bool history_restart(struct history *h, enum history_op op);
bool history_kill(struct history *h, enum history_op op);
/* The daemon is killed in the settle that makes it durable. */
bool history_kill_in_settle(struct history *h, enum history_op op);

/* ---- history_replace.c ---- */

bool history_replace(struct history *h, enum history_op op);

/* ---- history_attributes.c ---- */

bool history_attributes(struct history *h, enum history_op op);

/* ---- history_evict.c ---- */

bool history_evict(struct history *h, enum history_op op);

/* ---- history_bundle.c ---- */

bool history_bundle(struct history *h, enum history_op op);

/* ---- history_contents.c ---- */

bool history_contents(struct history *h, enum history_op op);

/* ---- history.c ---- */

/* Draws a number < @n. */
uint64_t history_rnd(struct history *h, uint64_t n);
/* Says that the daemon did what it must not, and counts it. */
void history_fail(struct history *h, const char *what, int err);
/* Draws one of the steps before @end, each as often as its weight says. */
enum history_op history_random_op(struct history *h, enum history_op end);

#endif
