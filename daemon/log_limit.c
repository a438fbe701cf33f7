/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_limit: a small table that counts lines by kind and user. When all its entries are in use,
 * further users share one entry for each kind, so that many users together cannot fill the log
 * either.
 */
#include <config.h>

#include "daemon/log_limit.h"

#include <stddef.h>

static bool is_over(const struct log_limit_entry *entry, uint64_t now_ns)
{
	return now_ns - entry->since_ns >= LOG_LIMIT_INTERVAL_NS;
}

/* Returns the entry of @kind and @uid, a free one, or the one that all further users share. */
static struct log_limit_entry *find_entry(struct log_limit *limit, enum log_kind kind, uint32_t uid)
{
	struct log_limit_entry *entry, *place = NULL;

	for (size_t i = 0; i < LOG_LIMIT_ENTRIES; i++) {
		entry = &limit->entries[i];
		if (entry->nr > 0 && entry->kind == kind && entry->uid == uid)
			return entry;
		if (entry->nr == 0 && !place)
			place = entry;
	}
	if (place) {
		*place = (struct log_limit_entry){ .kind = kind, .uid = uid };
		return place;
	}
	place = &limit->entries[LOG_LIMIT_ENTRIES + kind];
	place->kind = kind;
	place->uid = LOG_LIMIT_ANYBODY;
	return place;
}

/*
 * An interval that is over and in which lines were left out is not begun anew: log_limit_next()
 * must still tell their number.
 */
bool log_limit_allows(struct log_limit *limit, enum log_kind kind, uint32_t uid, uint64_t now_ns)
{
	struct log_limit_entry *entry = find_entry(limit, kind, uid);

	if (entry->nr > 0 && entry->nr <= LOG_LIMIT_LINES && is_over(entry, now_ns))
		entry->nr = 0;
	if (entry->nr == 0)
		entry->since_ns = now_ns;
	if (entry->nr < UINT32_MAX)
		entry->nr++;
	return entry->nr <= LOG_LIMIT_LINES;
}

uint32_t log_limit_next(enum log_kind *kind, uint32_t *uid, struct log_limit *limit,
			uint64_t now_ns, bool all)
{
	for (size_t i = 0; i < sizeof(limit->entries) / sizeof(*limit->entries); i++) {
		struct log_limit_entry *entry = &limit->entries[i];
		uint32_t nr = entry->nr;

		if (nr == 0 || !(all || is_over(entry, now_ns)))
			continue;
		entry->nr = 0;
		if (nr <= LOG_LIMIT_LINES)
			continue;
		*kind = entry->kind;
		*uid = entry->uid;
		return nr - LOG_LIMIT_LINES;
	}
	return 0;
}
