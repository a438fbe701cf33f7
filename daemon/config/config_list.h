/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_list: who is named in a setting: users and groups, by name or number, with blanks or
 * commas between them. A name is looked up when it is read. "*" is everybody who may connect, "-"
 * is nobody.
 */
#ifndef PMEMARENA_CONFIG_LIST_H
#define PMEMARENA_CONFIG_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/why.h"

/* bytes with the NUL, as of a path: libinih reads lines of so few that no longer value comes */
#define CONFIG_LIST_TEXT 176
/* the most entries: each takes at least a digit and a blank of the text */
#define CONFIG_LIST_MAX  (CONFIG_LIST_TEXT / 2)

/*
 * What a list may name. A group stands as it is in a list of groups, and with an @ in front in one
 * of readers.
 */
enum config_list_of { CONFIG_LIST_USERS, CONFIG_LIST_GROUPS, CONFIG_LIST_BOTH };

/*
 * It has no pointers, and all its padding is zero: lists that were written alike and mean the same
 * are equal bytes.
 */
struct config_list {
	char     text[CONFIG_LIST_TEXT];        /* as it was written; "": it was not set */
	uint32_t nr;
	bool     is_everyone;
	bool     is_group[CONFIG_LIST_MAX];
	uint32_t ids[CONFIG_LIST_MAX];          /* gids where is_group says so, else uids */
};

/*
 * Reads a list; an empty @text is a list that was not set. -EINVAL, with what would be right: *list
 * is unchanged.
 */
int config_list_parse(struct config_list *list, enum config_list_of of, const char *text,
		      struct why *why);

/*
 * Look up a name; a number is an id even if nobody has it. -EINVAL: it is no id; -ENOENT: there is
 * no such name.
 */
int config_find_uid(uint32_t *uid, const char *name);
int config_find_gid(uint32_t *gid, const char *name);

#endif
