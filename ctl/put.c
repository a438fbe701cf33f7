/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * put: makes an allocation of a file's contents. It is reserved, written, made durable and then
 * published in one step: nobody sees half of it.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/archive.h"

#define STEP (1u << 20)

static const char help[] =
	"FILE - is standard input; where that is a pipe, --size says how much there is at most.\n"
	"The allocation is as long as the file, rounded up to whole pages; the rest is zero.\n"
	"\n"
	"      --replace             takes the place of the allocation of that name, in one step\n"
	"      --mode MODE           who else may open it, in octal as for chmod; default: 600\n"
	"      --size SIZE           as long as that, and not as the file\n"
	"      --arena NAME          by name or UUID; default: the first\n";

struct job {
	struct pma *pma;                /* owned */
	const char *path, *arena, *mode_text, *size_text;
	int fd;                         /* owned; 0: standard input */
	struct ctl_bytes name;
	uint64_t len;
	unsigned long mode;
	bool replaces;
	char *buffer;                   /* owned; STEP bytes */
	struct ctl_progress progress;
};

/* Reads until the buffer is full or the file ends. */
static ssize_t read_step(const struct job *job)
{
	size_t nr = 0;

	while (nr < STEP) {
		ssize_t n = read(job->fd, job->buffer + nr, STEP - nr);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		nr += (size_t)n;
	}
	return (ssize_t)nr;
}

/* CTL_DONE; else it said why. */
static int copy(struct job *job, struct ctl_writer *writer)
{
	uint64_t off = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read_step(job)) != 0) {
		if (n < 0) {
			ctl_say("%s: %s", job->path, strerror((int)-n));
			return CTL_FAILED;
		}
		if ((uint64_t)n > job->len - off) {
			ctl_say("%s: there is more than %llu bytes: a larger --size takes it",
				job->path, (unsigned long long)job->len);
			return CTL_FAILED;
		}
		if (!ctl_is_zero(job->buffer, (size_t)n))
			r = ctl_writer_put(writer, off, job->buffer, (size_t)n);
		off += (uint64_t)n;
		ctl_progress_add(&job->progress, (uint64_t)n, job->path);
	}
	if (r == 0)
		r = ctl_writer_end(writer);
	return r < 0 ? ctl_refused(r) : CTL_DONE;
}

static int reserve(struct pma_handle *handle, const struct job *job)
{
	struct pma_arena arena;
	struct pma_op op = { .opcode = PMA_OP_RESERVE, .len = job->len };
	int r = ctl_client_arena(&arena, job->pma, job->arena);

	if (r < 0)
		return r;
	op.mode = (uint32_t)job->mode;
	op.handle.arena = arena.index;
	/* What replaces another one gets its name when it is published. */
	op.name = job->replaces ? NULL : job->name.bytes;
	r = pma_run(job->pma, &op, 1);
	*handle = op.handle;
	return r < 0 ? r : op.result;
}

static int publish(const struct job *job, struct pma_handle handle)
{
	return job->replaces ? pma_replace(job->pma, handle, job->name.bytes)
			     : pma_publish(job->pma, handle);
}

static int put(struct job *job)
{
	struct pma_mapping *map = NULL;
	struct pma_handle handle;
	struct ctl_writer writer;
	int status, r = reserve(&handle, job);

	if (r < 0)
		return ctl_refused(r);
	r = pma_map(&map, job->pma, handle, PMA_MAP_WRITE);
	if (r < 0)
		return ctl_refused(r);
	ctl_writer_begin(&writer, map, job->len);
	ctl_progress_begin(&job->progress, job->len);
	status = copy(job, &writer);
	ctl_progress_end(&job->progress);
	pma_unmap(map);
	if (status != CTL_DONE) {
		pma_abort(job->pma, handle);
		return status;
	}
	r = publish(job, handle);
	return r < 0 ? ctl_refused(r) : CTL_DONE;
}

/* How long it becomes: what was said, or as the file is. */
static int measure(struct job *job)
{
	struct stat st;

	if (job->size_text && !ctl_parse_size(&job->len, job->size_text))
		return ctl_usage(&ctl_put_command, "a size is a number of bytes, or one with K, M, "
						   "G or T behind it");
	if (fstat(job->fd, &st) < 0) {
		ctl_say("%s: %s", job->path, strerror(errno));
		return CTL_FAILED;
	}
	if (!job->size_text && !S_ISREG(st.st_mode))
		return ctl_usage(&ctl_put_command, "how long it will be nobody knows before it was "
						   "read: say --size SIZE");
	if (!job->size_text)
		job->len = (uint64_t)st.st_size;
	return CTL_DONE;
}

static int put_file(struct job *job, struct ctl *ctl)
{
	int status = measure(job);

	if (status == CTL_DONE)
		status = ctl_connect(&job->pma, ctl);
	if (status != CTL_DONE)
		return status;
	job->buffer = malloc(STEP);
	if (!job->buffer) {
		ctl_say("out of memory");
		status = CTL_FAILED;
	} else {
		status = put(job);
	}
	free(job->buffer);
	pma_disconnect(job->pma);
	return status;
}

static bool read_mode(struct job *job)
{
	char *end = NULL;

	job->mode = job->mode_text ? strtoul(job->mode_text, &end, 8) : 0600;
	return !job->mode_text || (*job->mode_text && !*end && job->mode > 0 && job->mode <= 0777);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct job job = { .fd = STDIN_FILENO };
	const struct ctl_option options[] = {
		{ "arena", &job.arena, NULL },
		{ "mode", &job.mode_text, NULL },
		{ "size", &job.size_text, NULL },
		{ "replace", NULL, &job.replaces },
		{ NULL, NULL, NULL },
	};
	int status;

	if (!ctl_begin(&status, ctl, &ctl_put_command, argc, argv, options, 2, 2))
		return status;
	if (!read_mode(&job))
		return ctl_usage(&ctl_put_command, "a mode is octal, like 640");
	if (!ctl_read_name(&job.name, argv[2]))
		return CTL_USAGE;
	if (job.name.len == 0)
		return ctl_usage(&ctl_put_command, "a NAME has at least one byte");
	job.path = argv[1];
	if (strcmp(job.path, "-") != 0)
		job.fd = open(job.path, O_RDONLY | O_CLOEXEC);
	if (job.fd < 0) {
		ctl_say("%s: %s", job.path, strerror(errno));
		return CTL_FAILED;
	}
	status = put_file(&job, ctl);
	if (job.fd != STDIN_FILENO)
		close(job.fd);
	return status;
}

const struct ctl_command ctl_put_command = {
	"put", "FILE|- NAME [--replace] [--mode MODE] [--size SIZE]",
	"Make an allocation of a file's contents", help, run
};
