/* SPDX-License-Identifier: BSD-3-Clause */
/* get: writes the contents of an allocation into a file, with holes where it reads as zero. */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/archive.h"

#define STEP  (1u << 20)
#define GRAIN 65536u            /* zeroes are left out in pieces of this size */

static const char help[] =
	"FILE is replaced when it is complete; - is standard output. It has all bytes of the "
	"allocation, which is as long as its pages.\n"
	"\n"
	"      --size SIZE           only so many of them, from the beginning\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --slot N --id N       instead of NAME: the allocation with this handle\n";

struct job {
	struct ctl_output output;
	uint64_t len;                   /* 0: all */
	const char *path;
	bool has_said;                  /* why it failed */
	struct ctl_progress progress;
};

static bool write_all(struct job *job, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(job->output.fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* Of a new file, what is not written reads as zero; a pipe must have all. */
static bool put(struct job *job, const char *data, size_t len)
{
	if (job->output.beside && ctl_is_zero(data, len))
		return lseek(job->output.fd, (off_t)len, SEEK_CUR) >= 0;
	return write_all(job, data, len);
}

static bool copy(struct job *job, const char *data, uint64_t len)
{
	for (uint64_t off = 0; off < len; off += GRAIN) {
		size_t step = len - off < GRAIN ? (size_t)(len - off) : GRAIN;

		if (!put(job, data + off, step))
			return false;
		ctl_progress_add(&job->progress, step, job->path);
		/* What was read need not stay in this process. */
		if ((off + step) % STEP == 0)
			madvise((void *)(uintptr_t)(data + off + step - STEP), STEP, MADV_DONTNEED);
	}
	return !job->output.beside || ftruncate(job->output.fd, (off_t)len) == 0;
}

static bool write_mapped(struct job *job, const struct pma_mapping *map, const char *name)
{
	uint64_t len = pma_map_length(map);
	bool is_done;

	if (job->len > len) {
		ctl_say("%s has %llu bytes, and not as many as --size says", name,
			(unsigned long long)len);
		return false;
	}
	if (job->len)
		len = job->len;
	if (!ctl_output_open(&job->output, job->path))
		return false;
	ctl_output_guard(&job->output, name);
	ctl_progress_begin(&job->progress, len);
	is_done = copy(job, pma_map_address(map), len);
	ctl_progress_end(&job->progress);
	if (!is_done)
		ctl_say("%s: %s", job->path, strerror(errno));
	return ctl_output_end(&job->output, is_done);
}

static int get(const struct ctl_target *target, void *arg)
{
	struct pma_handle handle = target->handle;
	struct pma_mapping *map = NULL;
	struct job *job = arg;
	char name[CTL_TEXT];
	int r = pma_open(&handle, target->pma, NULL, PMA_READ_ONLY);

	if (r == 0)
		r = pma_map(&map, target->pma, handle, PMA_MAP_READ);
	if (r < 0)
		return r;
	/* From here on it is about a file that may be slow, and not about the daemon. */
	ctl_await_no_more();
	ctl_shown(name, target->name.bytes, target->name.len);
	job->has_said = !write_mapped(job, map, *name ? name : "the allocation");
	pma_unmap(map);
	return 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_target target = { .arena = NULL };
	struct job job = { .has_said = false };
	const char *size = NULL;
	const struct ctl_option options[] = {
		{ "arena", &target.arena, NULL }, { "slot", &target.slot, NULL },
		{ "id", &target.id, NULL },	  { "size", &size, NULL },
		{ NULL, NULL, NULL },
	};
	int status;

	if (!ctl_begin(&status, ctl, &ctl_get_command, argc, argv, options, 1, 2))
		return status;
	if (size && (!ctl_parse_size(&job.len, size) || job.len == 0))
		return ctl_usage(&ctl_get_command, "a size is a number of bytes, or one with K, M, "
						   "G or T behind it");
	target.text = argv[2] ? argv[1] : NULL;
	job.path = argv[argv[2] ? 2 : 1];
	if (!ctl_target_read(&target, &ctl_get_command))
		return CTL_USAGE;
	status = ctl_target_act(ctl, &target, get, &job);
	return status == CTL_DONE && job.has_said ? CTL_FAILED : status;
}

const struct ctl_command ctl_get_command = {
	"get", "NAME FILE|- [--size SIZE]", "Write the contents of an allocation into a file", help,
	run
};
