/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lender: what the program (lender.c), who has it (lender_who.c) and how it is lent (lender_ways.c)
 * share.
 */
#ifndef PMEMARENA_LENDER_H
#define PMEMARENA_LENDER_H

#include <pmemarena.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LEN (UINT64_C(2) << 20)

extern struct pma *pma, *other;
extern struct pma_cache *cache;
extern struct pma_handle handle;
extern struct pma_mapping *map;         /* ours, while there is one */
extern char *view;                      /* what was lent, LEN bytes of it */
extern int go[2], answer[2];            /* to and from the child that has it */
extern pid_t child;                     /* 0: this process has it by means of its own */

__attribute__((noreturn)) void fail(const char *file, int line, const char *what, int r);

#define OK(call)                                               \
	do {                                                   \
		int r_ = (call);                               \
		if (r_ < 0)                                    \
			fail(__FILE__, __LINE__, #call, r_);   \
	} while (0)
#define CHECK(what)                                            \
	do {                                                   \
		if (!(what))                                   \
			fail(__FILE__, __LINE__, #what, 0);    \
	} while (0)
#define NR(table) (sizeof(table) / sizeof(*(table)))

/* ---- lender_who.c ---- */

void stamp(char *at, char with);
bool has_stamp(const char *at);
/* Each makes a process that has what `view` shows, and asks it later whether it is as it was. */
void fork_child(void);
void clone_child(void);
void fork_grandchild(void);
bool still_sees_it(void);

/* ---- lender_ways.c ---- */

extern const struct how {
	const char *name;
	void (*lend)(void);
} hows[];
extern const size_t nr_hows;

void create_and_map(void);
void unmap(void);
void reserve_piece(void);
void publish_piece(void);
void end_cache(void);

#endif
