/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_limit: bounds the lines that a client can cause as often as it likes. In each interval a few
 * lines of a kind and user are written; the rest are counted, and told in one line when the
 * interval is over. So nobody can fill the journal, or push another user's lines out of it. It
 * reads no clock and writes no log.
 */
#ifndef PMEMARENA_LOG_LIMIT_H
#define PMEMARENA_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* lines of one kind and user that are written in each interval */
#define LOG_LIMIT_LINES       5
#define LOG_LIMIT_INTERVAL_NS UINT64_C(60000000000)
/* pairs of kind and user that are counted at a time */
#define LOG_LIMIT_ENTRIES     64
/* stands for all users who have no entry of their own */
#define LOG_LIMIT_ANYBODY     UINT32_MAX

enum log_kind {
	LOG_KIND_REFUSED,
	LOG_KIND_PROTOCOL,
	LOG_KIND_SILENT,
	LOG_KIND_CONNECTION,
	LOG_KIND_ADMIN,
	LOG_KINDS
};

/* All zeroes is a valid state: it has counted nothing. */
struct log_limit {
	struct log_limit_entry {
		uint64_t since_ns;
		uint32_t nr;            /* lines asked for in this interval; 0: the entry is free */
		uint32_t uid;
		enum log_kind kind;
	/* the last LOG_KINDS entries, one for each kind, are those of LOG_LIMIT_ANYBODY */
	} entries[LOG_LIMIT_ENTRIES + LOG_KINDS];
};

/* May the line be written? If not, it is counted. */
bool log_limit_allows(struct log_limit *limit, enum log_kind kind, uint32_t uid, uint64_t now_ns);
/*
 * Call it at each tick until it returns 0. Returns how many lines of *kind and *uid
 * (LOG_LIMIT_ANYBODY: of several users) were left out in an interval that is over; with @all, at
 * the end, also in one that is not.
 */
uint32_t log_limit_next(enum log_kind *kind, uint32_t *uid, struct log_limit *limit,
			uint64_t now_ns, bool all);

#endif
