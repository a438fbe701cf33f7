/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_keys: the table of every key: its section, where its value goes, how it is read and printed, its default, its
 * bounds, and whether it can change while the daemon runs. Used by config.c and by the test that sweeps all keys.
 */
#ifndef PMEMARENA_CONFIG_KEYS_H
#define PMEMARENA_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

enum config_section { CONFIG_DAEMON, CONFIG_ARENA, CONFIG_QUOTA };

struct config_key;

struct config_type {
	/* Read @text into @field. 0 or -EINVAL with what would be right (the caller adds file, line and key). */
	int (*parse)(void *field, const struct config_key *key, const char *text, struct why *why);
	/* Write the value as it is written in a file. */
	void (*print)(char *text, size_t size, const struct config_key *key, const void *field);
	size_t size;                            /* of the field; 0: key->max says it */
};

struct config_key {
	enum config_section section;
	const char *name;
	size_t offset;                          /* in struct config_daemon, _arena or _quota */
	const struct config_type *type;
	const char *fallback;                   /* the default, as it would be written; NULL: there is none, it must be set */
	uint64_t min, max;                      /* numbers; max is a text's size with its end */
	const char *const *choices;             /* enumerations: names by value, NULL-terminated */
	bool reloadable;
};

extern const struct config_key config_keys[];
extern const size_t nr_config_keys;

/* NULL: no such key there. */
const struct config_key *config_key_find(enum config_section section, const char *name);
/* The key of the section that is spelled most like @name; NULL: none is near. */
const struct config_key *config_key_nearest(enum config_section section, const char *name);
/* Fill a section's struct with its defaults. */
void config_key_defaults(enum config_section section, void *base);
bool config_key_is_equal(const struct config_key *key, const void *a, const void *b);
void config_key_copy(const struct config_key *key, void *to, const void *from);

#endif
