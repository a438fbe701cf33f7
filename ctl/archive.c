/* SPDX-License-Identifier: BSD-3-Clause */
/* archive: writes a tar archive of allocations, as doc/EXPORT.md describes it. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/archive_internal.h"
#include "lib/wire/escape.h"

const char *ctl_archive_message(const struct ctl_archive *archive)
{
	return archive->message;
}

void ctl_archive_free(struct ctl_archive *archive)
{
	if (!archive)
		return;
	if (archive->writes) {
		archive_entry_free(archive->entry);
		/* What was not finished must not get the mark of an end. */
		archive_write_fail(archive->archive);
		archive_write_free(archive->archive);
	} else {
		archive_read_free(archive->archive);
	}
	free(archive);
}

static bool is_done(struct ctl_archive *archive, int r)
{
	const char *why = archive_error_string(archive->archive);
	int error = archive_errno(archive->archive);

	if (r == ARCHIVE_OK)
		return true;
	snprintf(archive->message, sizeof(archive->message), "%s%s%s",
		 why ? why : "the archive cannot be written", error > 0 ? ": " : "",
		 error > 0 ? strerror(error) : "");
	return false;
}

/*
 * The path of a member is for people and for tar alone; import reads the name from a record of its
 * own. So that it is one below the folder of extraction, whatever somebody chose as a name, a dot
 * or a slash at the beginning of a component is written as \xHH.
 */
static void make_path(char path[2 * CTL_TEXT], const struct ctl_member *member)
{
	char shown[CTL_TEXT];
	size_t n = (size_t)sprintf(path, member->name.len ? "named/" : "unnamed/%" PRIu64,
				   member->id);

	if (!member->name.len)
		return;
	escape_name(shown, sizeof(shown), member->name.bytes, member->name.len, escape_shows_ascii);
	for (const char *at = shown; *at; at++) {
		bool begins = path[n - 1] == '/', ends = *at == '/' && at[1] == '\0';

		if ((begins && (*at == '.' || *at == '/')) || ends)
			n += (size_t)sprintf(path + n, "\\x%02x", (unsigned char)*at);
		else
			path[n++] = *at;
	}
	path[n] = '\0';
}

static void add_text(struct archive_entry *entry, const char *key, const char *text)
{
	if (*text)
		archive_entry_xattr_add_entry(entry, key, text, strlen(text));
}

static struct archive_entry *begin(struct ctl_archive *archive, const char *path, uint64_t len)
{
	struct archive_entry *entry = archive_entry_clear(archive->entry);

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, (la_int64_t)len);
	return entry;
}

/* A small member of lines "KEY VALUE". */
static bool put_text(struct ctl_archive *archive, const char *path, const char *text,
		     const struct ctl_sum *before)
{
	struct archive_entry *entry = begin(archive, path, strlen(text));

	add_text(entry, ARCHIVE_BEFORE, before ? before->hex : "");
	return is_done(archive, archive_write_header(archive->archive, entry)) &&
	       ctl_archive_write(archive, text, strlen(text));
}

static bool set_up(struct ctl_archive *archive, int fd)
{
	struct archive *to = archive->archive;

	return is_done(archive, archive_write_set_format_pax(to)) &&
	       is_done(archive, archive_write_set_options(to, "pax:xattrheader=SCHILY")) &&
	       is_done(archive, archive_write_set_bytes_per_block(to, ARCHIVE_BLOCK)) &&
	       is_done(archive, archive_write_set_bytes_in_last_block(to, 512)) &&
	       is_done(archive, archive_write_open_fd(to, fd));
}

bool ctl_archive_create(struct ctl_archive **out, int fd, const char *arena, uint64_t page_size,
			const struct ctl_totals *totals)
{
	struct ctl_archive *archive = calloc(1, sizeof(*archive));
	char text[CTL_TEXT];

	if (archive) {
		archive->writes = true;
		archive->archive = archive_write_new();
		archive->entry = archive_entry_new();
	}
	if (!archive || !archive->archive || !archive->entry) {
		ctl_say("out of memory");
		ctl_archive_free(archive);
		return false;
	}
	snprintf(text, sizeof(text),
		 "format %d\narena %s\npage-size %" PRIu64 "\nallocations %" PRIu64
		 "\nbytes %" PRIu64 "\n",
		 CTL_ARCHIVE_FORMAT, arena, page_size, totals->allocations, totals->bytes);
	if (!set_up(archive, fd) || !put_text(archive, ARCHIVE_FIRST, text, NULL)) {
		ctl_say("%s", archive->message);
		ctl_archive_free(archive);
		return false;
	}
	*out = archive;
	return true;
}

static void add_pieces(struct archive_entry *entry, const struct ctl_member *member,
		       const struct ctl_pieces *pieces)
{
	bool is_whole = pieces->nr == 1 && pieces->list[0].len == member->len;

	for (size_t i = 0; i < pieces->nr && !is_whole; i++)
		archive_entry_sparse_add_entry(entry, (la_int64_t)pieces->list[i].off,
					       (la_int64_t)pieces->list[i].len);
	/* One hole from beginning to end is a piece of no bytes at the end. */
	if (pieces->nr == 0)
		archive_entry_sparse_add_entry(entry, (la_int64_t)member->len, 0);
}

bool ctl_archive_put(struct ctl_archive *archive, const struct ctl_member *member,
		     const struct ctl_pieces *pieces)
{
	char path[2 * CTL_TEXT];
	struct archive_entry *entry;

	make_path(path, member);
	entry = begin(archive, path, member->len);
	archive_entry_set_uid(entry, member->uid);
	archive_entry_set_gid(entry, member->gid);
	archive_entry_set_perm(entry, member->mode);
	archive_entry_set_mtime(entry, (time_t)(member->created_ns / 1000000000),
				(long)(member->created_ns % 1000000000));
	if (member->name.len)
		archive_entry_xattr_add_entry(entry, ARCHIVE_NAME, member->name.bytes,
					      member->name.len);
	if (member->attributes_len)
		archive_entry_xattr_add_entry(entry, ARCHIVE_ATTRIBUTES, member->attributes,
					      member->attributes_len);
	add_text(entry, ARCHIVE_SUM, member->sum.hex);
	add_text(entry, ARCHIVE_BEFORE, member->before.hex);
	add_pieces(entry, member, pieces);
	return is_done(archive, archive_write_header(archive->archive, entry));
}

bool ctl_archive_write(struct ctl_archive *archive, const void *data, size_t len)
{
	la_ssize_t n;

	for (; len > 0; data = (const char *)data + n, len -= (size_t)n) {
		n = archive_write_data(archive->archive, data, len);
		if (n <= 0)
			return is_done(archive, ARCHIVE_FATAL);
	}
	return true;
}

bool ctl_archive_finish(struct ctl_archive *archive, const struct ctl_totals *totals,
			const struct ctl_sum *before)
{
	char text[CTL_TEXT];

	snprintf(text, sizeof(text), "allocations %" PRIu64 "\nbytes %" PRIu64 "\n",
		 totals->allocations, totals->bytes);
	return put_text(archive, ARCHIVE_LAST, text, before) &&
	       is_done(archive, archive_write_close(archive->archive));
}
