/* SPDX-License-Identifier: BSD-3-Clause */
/* archive_internal: what writing and reading an archive have in common. */
#ifndef PMEMARENA_CTL_ARCHIVE_INTERNAL_H
#define PMEMARENA_CTL_ARCHIVE_INTERNAL_H

#include <archive.h>
#include <archive_entry.h>

#include "ctl/archive.h"

#define ARCHIVE_FIRST "pmemarena-archive"
#define ARCHIVE_LAST  "pmemarena-end"

/* PAX records, as extended attributes: SCHILY.xattr.NAME. */
#define ARCHIVE_NAME	   "user.pmemarena.name"
#define ARCHIVE_ATTRIBUTES "user.pmemarena.attributes"
#define ARCHIVE_SUM	   "user.pmemarena.xxh128"
#define ARCHIVE_BEFORE	   "user.pmemarena.before.xxh128"

/* Contents travel in pieces of this size; it bounds the memory. */
#define ARCHIVE_BLOCK (1 << 20)

struct ctl_archive {
	struct archive *archive;                /* owned */
	struct archive_entry *entry;            /* owned when it writes */
	char message[CTL_TEXT];
	bool writes;
	struct ctl_totals seen;                 /* members that were read so far */
};

#endif
