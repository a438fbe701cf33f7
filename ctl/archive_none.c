/* SPDX-License-Identifier: BSD-3-Clause */
/* archive_none: stands in for archive.c and archive_read.c where libarchive is absent. */
#include <config.h>

#include "ctl/archive.h"

static bool say(void)
{
	ctl_say("this pmemarenactl was built without libarchive, and has no export and import: "
		"install libarchive-dev and build it again");
	return false;
}

const char *ctl_archive_message(const struct ctl_archive *archive)
{
	return "";
}

void ctl_archive_free(struct ctl_archive *archive)
{
}

bool ctl_archive_create(struct ctl_archive **out, int fd, const char *arena, uint64_t page_size,
			const struct ctl_totals *totals)
{
	return say();
}

bool ctl_archive_put(struct ctl_archive *archive, const struct ctl_member *member,
		     const struct ctl_pieces *pieces)
{
	return false;
}

bool ctl_archive_write(struct ctl_archive *archive, const void *data, size_t len)
{
	return false;
}

bool ctl_archive_finish(struct ctl_archive *archive, const struct ctl_totals *totals,
			const struct ctl_sum *before)
{
	return false;
}

bool ctl_archive_open(struct ctl_archive **out, int fd, struct ctl_totals *totals)
{
	return say();
}

enum ctl_next ctl_archive_next(struct ctl_archive *archive, struct ctl_member *member)
{
	return CTL_NEXT_BAD;
}

bool ctl_archive_read(struct ctl_archive *archive, const void **data, size_t *len, uint64_t *off)
{
	return false;
}
