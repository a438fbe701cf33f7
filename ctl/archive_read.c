/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * archive_read: reads an archive of export, member by member. It believes nothing: an archive comes
 * from wherever somebody brought it.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/archive_internal.h"

#define LINES_MAX 4096          /* bytes of a member of lines */

static bool fail(struct ctl_archive *archive, const char *what)
{
	snprintf(archive->message, sizeof(archive->message), "%s", what);
	return false;
}

static bool fail_with(struct ctl_archive *archive, const char *what)
{
	const char *why = archive_error_string(archive->archive);

	snprintf(archive->message, sizeof(archive->message), "%s: %s", what,
		 why ? why : "it ends too early");
	return false;
}

/* Reads a whole member of lines. */
static bool read_lines(struct ctl_archive *archive, char lines[LINES_MAX])
{
	la_ssize_t n = archive_read_data(archive->archive, lines, LINES_MAX - 1);

	if (n < 0)
		return fail_with(archive, "the archive is cut or damaged");
	lines[n] = '\0';
	return true;
}

/* The number behind @key at the beginning of a line. */
static bool find_number(uint64_t *out, const char *lines, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = lines; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, len) == 0 && at[len] == ' ')
			return sscanf(at + len, " %" SCNu64, out) == 1;
	}
	return false;
}

static bool read_totals(struct ctl_archive *archive, struct ctl_totals *totals, bool is_first)
{
	char lines[LINES_MAX];
	uint64_t format = 0;

	if (!read_lines(archive, lines))
		return false;
	if (is_first && !find_number(&format, lines, "format"))
		return fail(archive, "it is no archive of pmemarenactl export: its first member "
				     "says no format");
	if (is_first && format != CTL_ARCHIVE_FORMAT) {
		snprintf(archive->message, sizeof(archive->message),
			 "the archive has format %" PRIu64 ", and this pmemarenactl reads format "
			 "%d: take one of the version that wrote it",
			 format, CTL_ARCHIVE_FORMAT);
		return false;
	}
	if (!find_number(&totals->allocations, lines, "allocations") ||
	    !find_number(&totals->bytes, lines, "bytes"))
		return fail(archive, "the archive is damaged: it does not say how much is in it");
	return true;
}

/* The next header; *path is what it is called. NULL: there is none, and the message says why. */
static const char *next_path(struct ctl_archive *archive)
{
	int r = archive_read_next_header(archive->archive, &archive->entry);
	const char *path;

	if (r == ARCHIVE_EOF) {
		fail(archive, "the archive is cut: its end is missing");
		return NULL;
	}
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
		fail_with(archive, "the archive is cut or damaged");
		return NULL;
	}
	path = archive_entry_pathname(archive->entry);
	if (!path || archive_entry_filetype(archive->entry) != AE_IFREG) {
		fail(archive, "the archive has a member that export does not write");
		return NULL;
	}
	return path;
}

static bool take_first(struct ctl_archive *archive, struct ctl_totals *totals)
{
	const char *path = next_path(archive);

	if (!path || strcmp(path, ARCHIVE_FIRST) != 0)
		return fail(archive, "it is no archive of pmemarenactl export");
	return read_totals(archive, totals, true);
}

bool ctl_archive_open(struct ctl_archive **out, int fd, struct ctl_totals *totals)
{
	struct ctl_archive *archive = calloc(1, sizeof(*archive));

	if (archive)
		archive->archive = archive_read_new();
	if (!archive || !archive->archive) {
		free(archive);
		ctl_say("out of memory");
		return false;
	}
	if (archive_read_support_format_tar(archive->archive) != ARCHIVE_OK ||
	    archive_read_open_fd(archive->archive, fd, ARCHIVE_BLOCK) != ARCHIVE_OK ||
	    !take_first(archive, totals)) {
		if (!archive->message[0])
			fail_with(archive, "the archive cannot be read");
		ctl_say("%s", archive->message);
		ctl_archive_free(archive);
		return false;
	}
	*out = archive;
	return true;
}

/* Copies the record @key, of at most @size bytes. Returns its length; 0: there is none. */
static size_t take_record(void *to, size_t size, struct archive_entry *entry, const char *key)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
		if (strcmp(name, key) != 0 || len > size)
			continue;
		memcpy(to, value, len);
		return len;
	}
	return 0;
}

static void take_sum(struct ctl_sum *sum, struct archive_entry *entry, const char *key)
{
	sum->hex[take_record(sum->hex, sizeof(sum->hex) - 1, entry, key)] = '\0';
}

/* Is it a member that export could have written? */
static bool take_member(struct ctl_archive *archive, struct ctl_member *member, bool is_named)
{
	struct archive_entry *entry = archive->entry;

	member->name.len =
		take_record(member->name.bytes, PMA_MAX_NAME, entry, ARCHIVE_NAME);
	member->attributes_len = (uint32_t)take_record(
		member->attributes, sizeof(member->attributes), entry, ARCHIVE_ATTRIBUTES);
	take_sum(&member->sum, entry, ARCHIVE_SUM);
	member->len = (uint64_t)archive_entry_size(entry);
	member->uid = (uint32_t)archive_entry_uid(entry);
	member->gid = (uint32_t)archive_entry_gid(entry);
	member->mode = (uint32_t)archive_entry_perm(entry) & 0666;
	if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) <= 0 ||
	    strlen(member->sum.hex) != 32 || is_named != (member->name.len > 0) ||
	    memchr(member->name.bytes, '\0', member->name.len))
		return fail(archive, "the archive is damaged: a member lacks its name, its size or "
				     "its checksum");
	archive->seen.allocations++;
	archive->seen.bytes += member->len;
	return true;
}

static enum ctl_next take_last(struct ctl_archive *archive)
{
	struct ctl_totals totals = { 0 };

	if (!read_totals(archive, &totals, false))
		return CTL_NEXT_BAD;
	if (totals.allocations == archive->seen.allocations && totals.bytes == archive->seen.bytes)
		return CTL_NEXT_END;
	snprintf(archive->message, sizeof(archive->message),
		 "the archive is damaged: %" PRIu64 " allocations are in it, and its end says "
		 "%" PRIu64,
		 archive->seen.allocations, totals.allocations);
	return CTL_NEXT_BAD;
}

enum ctl_next ctl_archive_next(struct ctl_archive *archive, struct ctl_member *member)
{
	const char *path = next_path(archive);

	memset(member, 0, sizeof(*member));
	if (!path)
		return CTL_NEXT_BAD;
	take_sum(&member->before, archive->entry, ARCHIVE_BEFORE);
	if (strcmp(path, ARCHIVE_LAST) == 0)
		return take_last(archive);
	if (strncmp(path, "named/", 6) != 0 && strncmp(path, "unnamed/", 8) != 0) {
		fail(archive, "the archive has a member that export does not write");
		return CTL_NEXT_BAD;
	}
	return take_member(archive, member, *path == 'n') ? CTL_NEXT_MEMBER : CTL_NEXT_BAD;
}

bool ctl_archive_read(struct ctl_archive *archive, const void **data, size_t *len, uint64_t *off)
{
	la_int64_t at = 0;
	int r = archive_read_data_block(archive->archive, data, len, &at);

	if (r == ARCHIVE_EOF) {
		*data = NULL;
		return true;
	}
	*off = (uint64_t)at;
	if (r == ARCHIVE_OK || r == ARCHIVE_WARN)
		return true;
	return fail_with(archive, "the archive is cut or damaged");
}
