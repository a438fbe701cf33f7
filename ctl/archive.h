/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * archive: the tar archives of export and import, as doc/EXPORT.md describes them. archive.c writes
 * and archive_read.c reads them with libarchive; no other file knows it. Where it is absent,
 * archive_none.c says so.
 */
#ifndef PMEMARENA_CTL_ARCHIVE_H
#define PMEMARENA_CTL_ARCHIVE_H

#include <pmemarena.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"

#define CTL_ARCHIVE_FORMAT 1

/* ---- sum.c: the checksum of contents, XXH3 with 128 bits ---- */

struct ctl_sum {
	char hex[33];                   /* "": there is none */
};
struct ctl_summer;
struct ctl_summer *ctl_summer_new(void);        /* NULL: no memory */
void ctl_summer_free(struct ctl_summer *summer);
void ctl_summer_begin(struct ctl_summer *summer);
void ctl_summer_add(struct ctl_summer *summer, const void *data, size_t len);
void ctl_summer_add_zeroes(struct ctl_summer *summer, uint64_t len);
struct ctl_sum ctl_summer_end(const struct ctl_summer *summer);

/* ---- pieces.c: what of an allocation is not zero ---- */

/* So many at most, or the table of holes would have no bound; holes that are too small are data. */
#define CTL_PIECES_MAX 16384

struct ctl_piece {
	uint64_t off, len;
};
struct ctl_pieces {
	size_t nr;
	uint64_t grain;                 /* holes below this size are stored as data */
	struct ctl_piece list[CTL_PIECES_MAX];
};
void ctl_pieces_begin(struct ctl_pieces *pieces);
void ctl_pieces_add(struct ctl_pieces *pieces, uint64_t off, uint64_t len);
bool ctl_is_zero(const void *data, size_t len);

/* ---- progress.c: a line on a terminal that says how far it is ---- */

struct ctl_progress {
	uint64_t done, all;             /* bytes; all 0: nobody knows */
	uint64_t begun_ns, shown_ns;
	bool is_shown;
};
void ctl_progress_begin(struct ctl_progress *progress, uint64_t all);
void ctl_progress_add(struct ctl_progress *progress, uint64_t bytes, const char *name);
void ctl_progress_end(struct ctl_progress *progress);

/* ---- members of an archive ---- */

/* What the first member says, and again, counted, the last. */
struct ctl_totals {
	uint64_t allocations, bytes;
};

struct ctl_member {
	struct ctl_bytes name;          /* empty: it has none */
	uint64_t id;                    /* what it is called in the archive without a name */
	uint64_t len, created_ns;
	uint32_t uid, gid, mode;
	uint32_t attributes_len;
	uint8_t attributes[PMA_MAX_ATTRIBUTES];
	struct ctl_sum sum;
	/* of the contents of the member before this one, where its own sum was wrong already */
	struct ctl_sum before;
};

struct ctl_archive;

/* Sentences of a failure, for ctl_say(). */
const char *ctl_archive_message(const struct ctl_archive *archive);
void ctl_archive_free(struct ctl_archive *archive);

/*
 * Each returns false on failure. The descriptor stays the caller's. ctl_archive_create() and
 * ctl_archive_open() say the reason themselves.
 */
bool ctl_archive_create(struct ctl_archive **out, int fd, const char *arena, uint64_t page_size,
			const struct ctl_totals *totals);
bool ctl_archive_put(struct ctl_archive *archive, const struct ctl_member *member,
		     const struct ctl_pieces *pieces);
/* Contents follow in order, holes too, until there are member->len bytes of them. */
bool ctl_archive_write(struct ctl_archive *archive, const void *data, size_t len);
bool ctl_archive_finish(struct ctl_archive *archive, const struct ctl_totals *totals,
			const struct ctl_sum *before);

enum ctl_next {
	CTL_NEXT_MEMBER,
	/* The last member was there, and *member has nothing but before. */
	CTL_NEXT_END,
	CTL_NEXT_BAD                    /* ctl_archive_message() says why */
};

/* Reads the first member too. */
bool ctl_archive_open(struct ctl_archive **out, int fd, struct ctl_totals *totals);
enum ctl_next ctl_archive_next(struct ctl_archive *archive, struct ctl_member *member);
/*
 * The next contents: *data is valid until the next call, and NULL at the end. What is between what
 * was read and *off is a hole. false: the archive is damaged.
 */
bool ctl_archive_read(struct ctl_archive *archive, const void **data, size_t *len, uint64_t *off);

#endif
