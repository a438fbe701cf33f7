/* SPDX-License-Identifier: BSD-3-Clause */
/* progress: one line on standard error, if that is a terminal, that says how far a command is. */
#include <config.h>

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ctl/archive.h"

#define EACH_NS 200000000

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void ctl_progress_begin(struct ctl_progress *progress, uint64_t all)
{
	*progress = (struct ctl_progress){ .all = all, .begun_ns = now_ns() };
	progress->is_shown = isatty(STDERR_FILENO);
}

static void show(const struct ctl_progress *progress, const char *name)
{
	static const struct ctl human = { .human = true };
	uint64_t ns = progress->shown_ns - progress->begun_ns;
	char done[CTL_TEXT], all[CTL_TEXT], rate[CTL_TEXT];

	ctl_size(done, &human, progress->done);
	ctl_size(all, &human, progress->all);
	ctl_size(rate, &human, ns ? (uint64_t)((double)progress->done * 1e9 / (double)ns) : 0);
	fprintf(stderr, "\r\033[K%s of %s", done, all);
	if (progress->all)
		fprintf(stderr, " (%.0f %%)", 100 * (double)progress->done / (double)progress->all);
	/* More than a line would leave a trail: a terminal goes up only by as many as it knows. */
	fprintf(stderr, ", %s/s  %.32s", rate, name);
}

void ctl_progress_add(struct ctl_progress *progress, uint64_t bytes, const char *name)
{
	progress->done += bytes;
	if (!progress->is_shown || now_ns() - progress->shown_ns < EACH_NS)
		return;
	progress->shown_ns = now_ns();
	show(progress, name);
}

void ctl_progress_end(struct ctl_progress *progress)
{
	if (progress->is_shown && progress->shown_ns)
		fputs("\r\033[K", stderr);
}
