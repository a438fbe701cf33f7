/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/arena: the arenas that a daemon serves. A program includes <pmemarena.h>, which
 * includes this.
 */
#ifndef PMA_ARENA_H
#define PMA_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pma_granularity { PMA_BYTE, PMA_CACHE_LINE, PMA_PAGE };

struct pma_arena {
	uint32_t index;
	/* A format makes a new one: handles and addresses of before mean nothing then. */
	uint8_t  uuid[16];
	char     name[64];
	char     device[96];    /* path on the daemon's side */
	/*
	 * The unit of large allocations, in bytes. Smaller allocations of one owner share a page.
	 */
	uint64_t page_size;
	uint64_t size;          /* bytes that clients can have */
	/* The offset and the length of a mapping on the device are multiples of this. */
	uint64_t align;
	bool     is_dax;
	enum pma_granularity granularity;       /* the unit in which stores are made durable */
	/* where the bytes that clients can have begin on the device, and its size; in bytes */
	uint64_t data_off, device_size;
	int      node;                  /* NUMA node of the memory; -1: unknown, as of a file */
};

/*
 * Arenas are numbered from 0, with the same numbers for every user; calls that take no arena use
 * number 0. The count includes arenas that this user may not use, and those that are gone: for them
 * pma_arena_get() returns -ENOENT, and a loop goes on with the next number. Arenas come and go
 * while the daemon runs; a number is never given to another arena. While the daemon is there, the
 * count is asked for: one message.
 */
PMA_PUBLIC uint32_t pma_arena_count(struct pma *pma);
/*
 * Describes the arena number @index; one message, if this session does not know it yet. -ENOENT
 * there is no such arena, or this user may not use it; or the errors of a connection.
 */
PMA_PUBLIC int pma_arena_get(struct pma_arena *out, struct pma *pma, uint32_t index);
/*
 * Finds the number of an arena by its name, or by its UUID as text; one message, if this session
 * does not know it yet. -ENOENT; or the errors of a connection.
 */
PMA_PUBLIC int pma_arena_find(uint32_t *index, struct pma *pma, const char *name_or_uuid);

/*
 * How full an arena is, and what the session's own user has of it. The numbers of one call belong
 * together but for `leased`, `reserved` and `quarantined`, which may be some tenths of a second
 * old; all of them may be others by the time that they are read.
 */
struct pma_charge {
	uint64_t used;
	uint64_t limit;                 /* the most that it may come to be; 0: there is no limit */
};
struct pma_usage {
	uint64_t size;                  /* bytes that clients can have in all */
	uint64_t free;                  /* bytes that nobody has */
	uint64_t largest_free;          /* the largest extent of these */
	/* of all users: taken ahead; reserved; freed, and perhaps still mapped or pinned */
	uint64_t leased, reserved, quarantined;
	struct pma_charge bytes, allocations, leased_bytes;     /* this user's, in this arena */
};
/*
 * Asks for the usage of an arena; one message. -ENOENT no such arena, or not for this user; -EIO
 * the arena is offline; -EOPNOTSUPP the daemon is older than this call; or the errors of a
 * connection. On failure *out is not written.
 */
PMA_PUBLIC int pma_usage_get(struct pma_usage *out, struct pma *pma, uint32_t arena);

#ifdef __cplusplus
}
#endif

#endif
