/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * export: writes allocations with all that belongs to them into a tar archive (doc/EXPORT.md), as a
 * client: what the caller may not open it cannot export. Each allocation is open while it is read,
 * so that it stays what it is, whoever frees or replaces it. It is read twice: for its holes and
 * its checksum, which stand before the contents, and to be written.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/archive.h"

#define PAGE 200                /* entries of a list at a time */
#define STEP (1u << 20)         /* bytes that are read before their pages are let go */
#define GRAIN 4096u             /* zeroes are looked for in pages of this size */

static const char help[] =
	"FILE is replaced when the archive is complete; - is standard output.\n"
	"\n"
	"      --prefix TEXT         those whose names begin with TEXT; without: all that are "
	"published\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"\n"
	"What you may not read is left out, with a line and exit status 1. Of what is written "
	"while it is read the archive has\n"
	"each page as it was at some moment; that is told, and the exit status is 4.\n";

struct job {
	struct ctl *ctl;
	struct pma *pma;                        /* owned, as the next four */
	struct ctl_archive *archive;
	struct ctl_summer *summer;
	struct ctl_pieces *pieces;
	char *copy;                             /* owned; STEP bytes */
	struct pma_arena arena;
	struct ctl_bytes prefix;
	bool has_prefix, is_broken;             /* is_broken: the archive cannot go on */
	struct ctl_totals all, written;
	struct ctl_sum before;
	struct ctl_progress progress;
	int status;
	struct ctl_output output;
};

/* ---- one allocation ---- */

/* What was read need not stay in this process: it would count as its memory. */
static void forget(const char *from, uint64_t len)
{
	madvise((void *)(uintptr_t)from, (size_t)len, MADV_DONTNEED);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first time: what is not zero, and the checksum. */
static struct ctl_sum look(struct job *job, const char *data, uint64_t len)
{
	ctl_pieces_begin(job->pieces);
	ctl_summer_begin(job->summer);
	for (uint64_t off = 0; off < len; off += STEP) {
		uint64_t step = least(STEP, len - off);

		for (uint64_t at = off; at < off + step; at += GRAIN) {
			uint64_t n = least(GRAIN, off + step - at);

			if (!ctl_is_zero(data + at, (size_t)n))
				ctl_pieces_add(job->pieces, at, n);
		}
		ctl_summer_add(job->summer, data + off, (size_t)step);
		forget(data + off, step);
	}
	return ctl_summer_end(job->summer);
}

/* The second time: writes a piece of it, data or a hole, of which no byte is looked at. */
static bool put(struct job *job, const char *data, uint64_t off, uint64_t len, bool is_hole,
		const char *name)
{
	for (uint64_t end = off + len; off < end; off += least(STEP, end - off)) {
		uint64_t step = least(STEP, end - off);

		if (is_hole) {
			ctl_summer_add_zeroes(job->summer, step);
		} else {
			/* A copy: what is summed must be what is written, whoever writes there. */
			memcpy(job->copy, data + off, (size_t)step);
			ctl_summer_add(job->summer, job->copy, (size_t)step);
			forget(data + off, step);
		}
		if (!ctl_archive_write(job->archive, job->copy, (size_t)step))
			return false;
		ctl_progress_add(&job->progress, step, name);
	}
	return true;
}

static bool put_contents(struct job *job, const char *data, uint64_t len, const char *name)
{
	uint64_t off = 0;

	ctl_summer_begin(job->summer);
	for (size_t i = 0; i < job->pieces->nr; i++) {
		const struct ctl_piece *piece = &job->pieces->list[i];

		if (!put(job, data, off, piece->off - off, true, name) ||
		    !put(job, data, piece->off, piece->len, false, name))
			return false;
		off = piece->off + piece->len;
	}
	return put(job, data, off, len - off, true, name);
}

static void describe(struct ctl_member *member, const struct pma_info *info, uint64_t len)
{
	*member = (struct ctl_member){
		.id = info->handle.id,
		.len = len,
		.created_ns = info->created_ns,
		.uid = info->uid,
		.gid = info->gid,
		.mode = info->mode,
		.attributes_len = info->attributes_len,
	};
	member->name.len = strlen(info->name);
	memcpy(member->name.bytes, info->name, member->name.len + 1);
	memcpy(member->attributes, info->attributes, info->attributes_len);
}

static bool put_mapped(struct job *job, const struct pma_info *info, const struct pma_mapping *map,
		       const char *name)
{
	const char *data = pma_map_address(map);
	struct ctl_member member;
	struct ctl_sum seen;

	describe(&member, info, pma_map_length(map));
	member.before = job->before;
	member.sum = look(job, data, member.len);
	if (!ctl_archive_put(job->archive, &member, job->pieces) ||
	    !put_contents(job, data, member.len, name))
		return false;
	seen = ctl_summer_end(job->summer);
	job->before.hex[0] = '\0';
	if (strcmp(seen.hex, member.sum.hex) != 0) {
		job->before = seen;
		ctl_say("%s was written while it was exported: the archive has some of it from "
			"before and some from after",
			name);
		if (job->status == CTL_DONE)
			job->status = CTL_DIFFERENCES;
	}
	job->written.allocations++;
	job->written.bytes += member.len;
	return true;
}

/* What is left out for a reason of its own is said, and the others go on. */
static void leave_out(struct job *job, const char *name, const char *why)
{
	ctl_say("%s is left out: %s", name, why);
	job->status = CTL_FAILED;
}

static void put_one(struct job *job, const struct pma_info *listed)
{
	struct pma_handle handle = listed->handle;
	struct pma_mapping *map = NULL;
	struct pma_info info;
	char name[CTL_TEXT];
	int r;

	ctl_shown(name, listed->name, strlen(listed->name));
	if (!*name)
		snprintf(name, sizeof(name), "id %" PRIu64, handle.id);
	if (listed->is_poisoned)
		return leave_out(job, name, "a page of it is bad");
	r = pma_open(&handle, job->pma, NULL, PMA_READ_ONLY);
	if (r == 0)
		r = pma_stat(&info, job->pma, handle);
	if (r == 0)
		r = pma_map(&map, job->pma, handle, PMA_MAP_READ);
	/* It was freed since it was listed. */
	if (r == -ENOENT)
		return;
	if (r < 0) {
		leave_out(job, name, pma_message());
	} else {
		ctl_output_guard(&job->output, name);
		job->is_broken = !put_mapped(job, &info, map, name);
	}
	pma_unmap(map);
	pma_close(job->pma, handle);
}

/* ---- all of them ---- */

static void count_one(struct job *job, const struct pma_info *info)
{
	job->all.allocations++;
	job->all.bytes += info->len;
}

static int each(struct job *job, void (*act)(struct job *job, const struct pma_info *info))
{
	struct pma_info *page = calloc(PAGE, sizeof(*page));
	uint64_t cursor = 0;
	size_t nr;
	int r = page ? 0 : -ENOMEM;

	while (r == 0) {
		nr = PAGE;
		r = pma_list(page, &nr, &cursor, job->pma, job->arena.index,
			     job->has_prefix ? job->prefix.bytes : NULL);
		for (size_t i = 0; r == 0 && i < nr && !job->is_broken; i++)
			act(job, &page[i]);
		if (cursor == 0 || job->is_broken)
			break;
	}
	free(page);
	return r < 0 ? ctl_refused(r) : CTL_DONE;
}

static int write_all(struct job *job, int fd)
{
	int status;

	if (!ctl_archive_create(&job->archive, fd, job->arena.name, job->arena.page_size,
				&job->all))
		return CTL_FAILED;
	ctl_progress_begin(&job->progress, job->all.bytes);
	status = each(job, put_one);
	ctl_progress_end(&job->progress);
	if (status != CTL_DONE)
		return status;
	if (job->is_broken ||
	    !ctl_archive_finish(job->archive, &job->written, &job->before)) {
		ctl_say("the archive cannot be written: %s", ctl_archive_message(job->archive));
		return CTL_FAILED;
	}
	return CTL_DONE;
}

static int write_to(struct job *job, const char *path)
{
	int status = CTL_USAGE;

	if (!ctl_output_open(&job->output, path))
		return CTL_FAILED;
	if (isatty(job->output.fd))
		ctl_say("an archive on a terminal is of use to nobody: say a FILE, or use a pipe");
	else
		status = write_all(job, job->output.fd);
	if (!ctl_output_end(&job->output, status == CTL_DONE) && status == CTL_DONE)
		status = CTL_FAILED;
	return status;
}

static int export(struct job *job, const char *arena, const char *path)
{
	int r, status = ctl_connect(&job->pma, job->ctl);

	if (status != CTL_DONE)
		return status;
	job->summer = ctl_summer_new();
	job->pieces = calloc(1, sizeof(*job->pieces));
	job->copy = calloc(1, STEP);
	if (!job->summer || !job->pieces || !job->copy) {
		ctl_say("out of memory");
		return CTL_FAILED;
	}
	ctl_await(job->ctl);
	r = ctl_client_arena(&job->arena, job->pma, arena);
	status = r < 0 ? ctl_refused(r) : each(job, count_one);
	ctl_await_no_more();
	if (status != CTL_DONE)
		return status;
	status = write_to(job, path);
	return status == CTL_DONE ? job->status : status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *prefix = NULL, *arena = NULL;
	const struct ctl_option options[] = { { "prefix", &prefix, NULL },
					      { "arena", &arena, NULL },
					      { NULL, NULL, NULL } };
	struct job job = { .ctl = ctl, .has_prefix = false };
	int status;

	if (!ctl_begin(&status, ctl, &ctl_export, argc, argv, options, 1, 1))
		return status;
	job.has_prefix = prefix != NULL;
	if (prefix && !ctl_read_name(&job.prefix, prefix))
		return CTL_USAGE;
	status = export(&job, arena, argv[1]);
	ctl_archive_free(job.archive);
	ctl_summer_free(job.summer);
	free(job.pieces);
	free(job.copy);
	pma_disconnect(job.pma);
	return status;
}

const struct ctl_command ctl_export = { "export", "[--prefix TEXT] [--arena NAME] FILE|-",
					"Write allocations into a tar archive", help, run };
