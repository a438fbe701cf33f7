/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * import: makes allocations of an archive of export (doc/EXPORT.md), as a client. Each is reserved,
 * written, compared with its checksum, and only then published with all that belongs to it, in one
 * step: whatever ends the import, none is there by half.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/import.h"

static const char help[] =
	"FILE is an archive of export; - is standard input.\n"
	"\n"
	"      --owner USER[:GROUP]  everything becomes this user's; as root. Without: root keeps "
	"the owners, others get it themselves\n"
	"      --skip-existing       leaves what has a name of the archive as it is: so an import "
	"that was cut goes on\n"
	"      --replace             replaces it, each in one step\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"\n"
	"A FILE is looked through first, and refused before anything is changed when it is cut, "
	"larger than what is free, or has names that exist.\n"
	"Of standard input only the size is known before.\n";

/* One allocation that is being written. */
struct target {
	struct pma *pma;                /* borrowed */
	struct pma_handle handle;
	struct pma_mapping *map;        /* owned */
	struct ctl_writer writer;
};

static int take(struct import *import, struct target *target, const void *data, size_t len,
		uint64_t off)
{
	uint64_t at = target->writer.at;
	int r = ctl_writer_put(&target->writer, off, data, len);

	if (r < 0)
		return r;
	ctl_summer_add_zeroes(import->summer, off - at);
	ctl_summer_add(import->summer, data, len);
	return 0;
}

/* Reads all contents of the member. CTL_DONE; else it says why. */
static int fill(struct import *import, struct target *target, const char *name)
{
	const void *data = NULL;
	size_t len = 0;
	uint64_t off = 0;
	int r = 0;

	ctl_summer_begin(import->summer);
	for (;;) {
		if (!ctl_archive_read(import->archive, &data, &len, &off)) {
			ctl_say("%s: %s", name, ctl_archive_message(import->archive));
			return CTL_FAILED;
		}
		if (!data)
			break;
		r = take(import, target, data, len, off);
		if (r < 0)
			break;
		ctl_progress_add(&import->progress, len, name);
	}
	if (r == 0)
		r = take(import, target, "", 0, target->writer.len);
	if (r == 0)
		r = ctl_writer_end(&target->writer);
	if (r < 0)
		ctl_say("%s: %s", name, r == -EPROTO ? "the archive is damaged" : pma_message());
	return r < 0 ? CTL_FAILED : CTL_DONE;
}

static int publish(struct import *import, struct target *target, const struct ctl_member *member)
{
	struct pma_op op = {
		.opcode = PMA_OP_PUBLISH,
		.handle = target->handle,
		.attributes = member->attributes,
		.attributes_len = member->attributes_len,
	};
	int r;

	if (import->replaces && member->name.len) {
		op.name = member->name.bytes;
		op.flags = PMA_REPLACE;
	}
	r = pma_run(target->pma, &op, 1);
	return r < 0 ? r : op.result;
}

static int reserve(struct import *import, struct target *target, const struct ctl_member *member)
{
	struct pma_op op = {
		.opcode = PMA_OP_RESERVE,
		.handle.arena = import->arena.index,
		/* What replaces another one gets its name when it is published. */
		.name = import->replaces || !member->name.len ? NULL : member->name.bytes,
		.len = member->len,
		.mode = member->mode,
	};
	int r = pma_run(target->pma, &op, 1);

	if (r == 0)
		r = op.result;
	target->handle = op.handle;
	if (r < 0)
		return r;
	/* Zero means 0600 when something is reserved. */
	if (member->mode == 0)
		r = pma_set_mode(target->pma, target->handle, 0);
	return r < 0 ? r : pma_map(&target->map, target->pma, target->handle, PMA_MAP_WRITE);
}

/* ---- a member ---- */

/* The member after the next has it, where contents changed while they were exported. */
struct turn {
	struct ctl_member member, next;
	enum ctl_next follows;
};

/*
 * Compares what was read. The sum in front is of what export saw first; if the contents changed
 * while they were read, the one in the header of the next member is right.
 */
static bool is_whole(struct import *import, struct turn *turn)
{
	struct ctl_sum sum = ctl_summer_end(import->summer);

	turn->follows = ctl_archive_next(import->archive, &turn->next);
	if (strcmp(sum.hex, turn->member.sum.hex) == 0)
		return true;
	return turn->follows != CTL_NEXT_BAD && strcmp(sum.hex, turn->next.before.hex) == 0;
}

static int make(struct import *import, struct turn *turn, struct target *target, const char *name)
{
	int status, r = reserve(import, target, &turn->member);

	if (r < 0) {
		ctl_say("%s: %s", name, pma_message());
		return CTL_FAILED;
	}
	ctl_writer_begin(&target->writer, target->map, turn->member.len);
	status = fill(import, target, name);
	if (status == CTL_DONE && !is_whole(import, turn)) {
		ctl_say("%s: the archive is damaged: the contents do not have their checksum",
			name);
		status = CTL_FAILED;
	}
	pma_unmap(target->map);
	target->map = NULL;
	if (status != CTL_DONE)
		return status;
	r = publish(import, target, &turn->member);
	if (r == 0) {
		pma_close(target->pma, target->handle);
		return CTL_DONE;
	}
	ctl_say("%s: %s", name, pma_message());
	return CTL_FAILED;
}

static int import_one(struct import *import, struct turn *turn)
{
	struct target target = { .handle = PMA_HANDLE_NONE };
	char name[CTL_TEXT];
	int status;

	ctl_shown(name, turn->member.name.bytes, turn->member.name.len);
	if (!*name)
		snprintf(name, sizeof(name), "an allocation without a name");
	target.pma = ctl_import_become(import, &turn->member);
	if (!target.pma)
		return CTL_FAILED;
	status = make(import, turn, &target, name);
	if (status != CTL_DONE && target.handle.id) {
		pma_unmap(target.map);
		pma_abort(target.pma, target.handle);
	}
	ctl_import_become_self(import);
	return status;
}

/* 1: it is there, and stays as it is. */
static int is_left_alone(struct import *import, const struct ctl_member *member)
{
	char name[CTL_TEXT];
	int r = import->replaces ? 0 : ctl_import_exists(import, member);

	if (r < 0) {
		ctl_refused(r);
	} else if (r == 1 && !import->skips) {
		ctl_say("%s exists: --skip-existing leaves it as it is, --replace replaces it",
			ctl_shown(name, member->name.bytes, member->name.len));
		return -EEXIST;
	}
	return r;
}

static int import_all(struct import *import)
{
	struct turn turn = { 0 };
	int r, status = CTL_DONE;

	turn.follows = ctl_archive_next(import->archive, &turn.member);
	while (status == CTL_DONE && turn.follows == CTL_NEXT_MEMBER) {
		r = is_left_alone(import, &turn.member);
		if (r < 0)
			return CTL_FAILED;
		if (r == 1) {
			turn.follows = ctl_archive_next(import->archive, &turn.member);
			continue;
		}
		status = import_one(import, &turn);
		turn.member = turn.next;
	}
	if (status == CTL_DONE && turn.follows == CTL_NEXT_BAD) {
		ctl_say("%s: %s", import->path, ctl_archive_message(import->archive));
		status = CTL_FAILED;
	}
	return status;
}

/* ---- the archive ---- */

static int read_archive(struct import *import, int fd)
{
	bool is_file = lseek(fd, 0, SEEK_CUR) >= 0;
	int status = is_file ? ctl_import_check(import, fd) : CTL_DONE;

	if (status != CTL_DONE)
		return status;
	if (!ctl_archive_open(&import->archive, fd, &import->totals))
		return CTL_FAILED;
	if (!is_file && !import->skips && !ctl_import_fits(import, import->totals.bytes))
		return CTL_FAILED;
	ctl_progress_begin(&import->progress, import->totals.bytes);
	status = import_all(import);
	ctl_progress_end(&import->progress);
	if (status != CTL_DONE)
		ctl_say("what was imported before that stays; --skip-existing goes on after it");
	return status;
}

static int import(struct import *import, const char *arena)
{
	int fd = STDIN_FILENO, r, status = ctl_connect(&import->pma, import->ctl);

	if (status != CTL_DONE)
		return status;
	ctl_await(import->ctl);
	r = ctl_client_arena(&import->arena, import->pma, arena);
	ctl_await_no_more();
	if (r < 0)
		return ctl_refused(r);
	import->summer = ctl_summer_new();
	if (!import->summer) {
		ctl_say("out of memory");
		return CTL_FAILED;
	}
	if (strcmp(import->path, "-") != 0)
		fd = open(import->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ctl_say("%s: %s", import->path, strerror(errno));
		return CTL_FAILED;
	}
	status = read_archive(import, fd);
	if (fd != STDIN_FILENO)
		close(fd);
	return status;
}

static bool read_owner(struct ctl_owner *owner, const char *text)
{
	if (!ctl_read_owner(owner, text))
		return false;
	if (owner->has_uid && (getuid() == 0 || owner->uid == getuid()))
		return true;
	ctl_say(owner->has_uid ? "only root imports for others" : "an owner needs a USER");
	return false;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *owner = NULL, *arena = NULL;
	struct import job = { .ctl = ctl };
	const struct ctl_option options[] = {
		{ "owner", &owner, NULL },
		{ "arena", &arena, NULL },
		{ "skip-existing", NULL, &job.skips },
		{ "replace", NULL, &job.replaces },
		{ NULL, NULL, NULL },
	};
	int status;

	if (!ctl_begin(&status, ctl, &ctl_import, argc, argv, options, 1, 1))
		return status;
	if (job.skips && job.replaces)
		return ctl_usage(&ctl_import, "--skip-existing and --replace exclude each other");
	if (owner && !read_owner(&job.owner, owner))
		return CTL_USAGE;
	job.path = argv[1];
	status = import(&job, arena);
	ctl_archive_free(job.archive);
	ctl_summer_free(job.summer);
	pma_disconnect(job.as);
	pma_disconnect(job.pma);
	return status;
}

const struct ctl_command ctl_import = {
	"import", "[--owner USER[:GROUP]] [--skip-existing | --replace] [--arena NAME] FILE|-",
	"Make allocations from an archive of export", help, run
};
