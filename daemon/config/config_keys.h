/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_keys: the table of all keys: the section of each, where its value goes, how it is read and
 * printed, its default, its bounds, and whether it can change while the daemon runs.
 */
#ifndef PMEMARENA_CONFIG_KEYS_H
#define PMEMARENA_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/why.h"

enum config_section { CONFIG_DAEMON, CONFIG_ARENA, CONFIG_QUOTA };

struct config_key;

struct config_type {
	/*
	 * Reads @text into @field. 0; -EINVAL, with what would be right; the caller adds file, line
	 * and key.
	 */
	int (*parse)(void *field, const struct config_key *key, const char *text, struct why *why);
	/* Writes the value as a file would have it. */
	void (*print)(char *text, size_t size, const struct config_key *key, const void *field);
	size_t size;                            /* of the field; 0: key->max bytes */
};

struct config_key {
	enum config_section section;
	const char *name;
	/* in struct config_daemon, config_arena or config_quota */
	size_t offset;
	const struct config_type *type;
	/* the default, as a file would have it; NULL: it must be set */
	const char *fallback;
	/* of a number; max of a text is its size with the NUL */
	uint64_t min, max;
	/* the names of the values, ending with NULL; NULL: it is no choice */
	const char *const *choices;
	bool reloadable;
};

extern const struct config_key config_keys[];
extern const size_t nr_config_keys;

/* Returns the key; NULL: the section has no such key. */
const struct config_key *config_key_find(enum config_section section, const char *name);
/* Returns the key of the section that is spelled most like @name; NULL: none is similar. */
const struct config_key *config_key_nearest(enum config_section section, const char *name);
/* Fills the struct of a section with the defaults. */
void config_key_defaults(enum config_section section, void *base);
/*
 * Has the key the same bytes in both structs of its section? Values are written with zero padding:
 * otherwise a reload would find a change where nobody made one.
 */
bool config_key_is_equal(const struct config_key *key, const void *a, const void *b);
/* Copies the value of one key; all other keys of @to stay, as those need that want a restart. */
void config_key_copy(const struct config_key *key, void *to, const void *from);

#endif
