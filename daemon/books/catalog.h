/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catalog: what is published in an arena, by name and by slot, in a file <dir>/<uuid>.catalog that
 * processes with a window map read-only: they find there, without a message, where an allocation
 * lies. lib/wire/window.h has its layout, and in which order it is written and read. Its mode is
 * 0600: with the descriptor that it was given, a process could otherwise reopen the file for
 * writing.
 *
 * It is a cache of what the table says. An entry that cannot be written is a miss, and is asked for
 * by message; it is never an error for a client.
 *
 * One thread calls.
 */
#ifndef PMEMARENA_CATALOG_H
#define PMEMARENA_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/space/extent.h"
#include "lib/wire/why.h"

struct catalog;

/*
 * Opens the catalog of the arena @uuid in @dir, with room for slots 0 to @nr_slots - 1. The file of
 * an earlier daemon of this boot is taken over, so that processes which have it mapped go on
 * hitting by handle. A file of another boot, arena, size or layout is declared void (its layout
 * becomes 0, which processes see), removed, and a new one made.
 *
 * Nothing is found by name until catalog_ready(). The caller puts everything that is published, and
 * then calls that.
 *
 * On success the caller owns *out. -EINVAL: more slots than 32 bits count, or something that is no
 * regular file; -ENOSPC; -ENOMEM; errors of open(), ftruncate(), mmap() and unlink(). On failure
 * *why says what could not be done.
 */
int catalog_open(struct catalog **out, const char *dir, const uint8_t uuid[16], uint64_t nr_slots,
		 struct why *why);
void catalog_close(struct catalog *catalog);    /* Frees @catalog; its file stays. NULL is fine. */

/* Returns the read-only descriptor for clients, which the catalog keeps and closes. */
int catalog_fd(const struct catalog *catalog);
/* Returns how many bytes of the file clients map. */
uint64_t catalog_bytes(const struct catalog *catalog);

/* What an entry says. Name, extents and attributes are copied. */
struct catalog_item {
	uint32_t slot;                  /* < nr_slots */
	uint32_t version;
	uint64_t id;                    /* not 0 */
	uint32_t uid, gid, mode;
	bool is_poisoned, is_evictable;
	uint8_t name_len;               /* 0: no name */
	const char *name;               /* borrowed; any bytes */
	const struct extent *extents;   /* borrowed; in bytes, from the start of the device */
	uint32_t nr_extents;            /* not 0 */
	const void *attributes;         /* borrowed; copied */
	uint16_t attributes_len;        /* at most CATALOG_NOTE; 0: none */
};

/*
 * Enters @item, in the place of what its slot had. A reader sees the old entry, the new one, or
 * nothing. An entry that says the same already is never away, not even for an instant.
 *
 * -ENOSPC: the file system is full, and the slot has no entry now; or another error of
 * posix_fallocate(), and the same.
 */
int catalog_put(struct catalog *catalog, const struct catalog_item *item);
/*
 * Takes the entry of @slot away; it is cheap when there is none. Between this and a look at the
 * pins the caller needs a full fence (atomic_thread_fence(memory_order_seq_cst)).
 */
void catalog_drop(struct catalog *catalog, uint32_t slot);
/*
 * As catalog_drop(), for an entry that is put again soon, since its allocation is being changed:
 * until then nobody takes it for gone, but asks.
 */
void catalog_withdraw(struct catalog *catalog, uint32_t slot);
/*
 * Ends the start: drops what an earlier daemon entered and nobody put again, and lets processes
 * find by name what was put.
 */
void catalog_ready(struct catalog *catalog);

/* Returns how many entries were put and are still there. */
uint64_t catalog_nr_entries(const struct catalog *catalog);
/* Returns how many entries are found by name: those that have one and whose chain had room. */
uint64_t catalog_nr_named(const struct catalog *catalog);
/* Returns how many bytes of memory the file takes now. */
uint64_t catalog_memory(const struct catalog *catalog);

#endif
