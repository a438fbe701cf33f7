/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * import_check: what can be said of an archive before anything is changed. All headers are read,
 * and the end; contents are only skipped, so that damage in them is found when they are imported.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ctl/import.h"

#define TOLD_MAX 10             /* names that are said to exist; more of them help nobody */

int ctl_import_exists(struct import *import, const struct ctl_member *member)
{
	struct pma_info info;
	int r;

	if (!member->name.len)
		return 0;
	r = pma_stat_name(&info, import->pma, import->arena.index, member->name.bytes);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

bool ctl_import_fits(struct import *import, uint64_t bytes)
{
	struct pma_usage usage;
	int r = pma_usage_get(&usage, import->pma, import->arena.index);

	if (r < 0) {
		ctl_refused(r);
		return false;
	}
	if (bytes > usage.size)
		ctl_say("the archive has %" PRIu64 " bytes, and arena %s has %" PRIu64
			" in all: nothing was imported",
			bytes, import->arena.name, usage.size);
	else if (bytes > usage.free + usage.leased + usage.quarantined && !import->replaces)
		ctl_say("the archive has %" PRIu64 " bytes, and %" PRIu64 " are free in arena %s: "
			"nothing was imported",
			bytes, usage.free, import->arena.name);
	else
		return true;
	return false;
}

struct found {
	uint64_t bytes, existing;
};

static int look_at(struct found *found, struct import *import, const struct ctl_member *member)
{
	char name[CTL_TEXT];
	int r = ctl_import_exists(import, member);

	if (r < 0)
		return ctl_refused(r);
	if (r == 0 || import->replaces)
		found->bytes += member->len;
	if (r == 0 || import->replaces || import->skips)
		return CTL_DONE;
	if (found->existing++ < TOLD_MAX)
		ctl_say("%s exists", ctl_shown(name, member->name.bytes, member->name.len));
	return CTL_DONE;
}

static int look_through(struct found *found, struct import *import)
{
	enum ctl_next next = CTL_NEXT_MEMBER;
	struct ctl_member member;
	int status = CTL_DONE;

	while (status == CTL_DONE &&
	       (next = ctl_archive_next(import->archive, &member)) == CTL_NEXT_MEMBER)
		status = look_at(found, import, &member);
	if (next == CTL_NEXT_BAD && status == CTL_DONE) {
		ctl_say("%s: %s: nothing was imported", import->path,
			ctl_archive_message(import->archive));
		status = CTL_FAILED;
	}
	return status;
}

int ctl_import_check(struct import *import, int fd)
{
	struct found found = { 0 };
	off_t begin = lseek(fd, 0, SEEK_CUR);
	int status;

	if (!ctl_archive_open(&import->archive, fd, &import->totals))
		return CTL_FAILED;
	status = look_through(&found, import);
	ctl_archive_free(import->archive);
	import->archive = NULL;
	if (status == CTL_DONE && found.existing) {
		ctl_say("%" PRIu64 " of the names exist in arena %s: nothing was imported; "
			"--skip-existing leaves them as they are, --replace replaces them",
			found.existing, import->arena.name);
		status = CTL_FAILED;
	}
	if (status == CTL_DONE && !ctl_import_fits(import, found.bytes))
		status = CTL_FAILED;
	if (lseek(fd, begin, SEEK_SET) < 0) {
		ctl_say("%s: %s", import->path, strerror(errno));
		status = CTL_FAILED;
	}
	return status;
}
