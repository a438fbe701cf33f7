/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output: a file that a command makes. It comes into being beside its place, and takes the place
 * when it is complete and durable: whatever goes wrong, there is the file of before, or none. A
 * pipe or a device is written as it is.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"

static bool is_direct(const char *path)
{
	struct stat st;

	return strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode));
}

static bool say_why(const char *path)
{
	ctl_say("%s: %s", path, strerror(errno));
	return false;
}

/* As if open() had made it: mkostemp() lets nobody else read it. */
static void give_mode(int fd)
{
	mode_t mask = umask(0);

	umask(mask);
	fchmod(fd, 0666 & ~mask);
}

bool ctl_output_open(struct ctl_output *output, const char *path)
{
	*output = (struct ctl_output){ .path = path, .fd = -1 };
	if (is_direct(path)) {
		output->fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO)
						    : open(path, O_WRONLY | O_CLOEXEC);
	} else {
		if (asprintf(&output->beside, "%s.XXXXXX", path) < 0)
			output->beside = NULL;
		else
			output->fd = mkostemp(output->beside, O_CLOEXEC);
		if (output->fd >= 0)
			give_mode(output->fd);
	}
	if (output->fd >= 0)
		return true;
	say_why(path);
	free(output->beside);
	return false;
}

bool ctl_output_end(struct ctl_output *output, bool is_complete)
{
	bool is_done = is_complete;

	if (output->beside && is_complete &&
	    (fsync(output->fd) < 0 || rename(output->beside, output->path) < 0))
		is_done = say_why(output->path);
	if (output->beside && !is_done)
		unlink(output->beside);
	if (close(output->fd) < 0 && is_done)
		is_done = say_why(output->path);
	free(output->beside);
	return is_done;
}

/* ---- reading what may be bad ---- */

static char sentence[CTL_TEXT + 128];
static const char *half;

static void on_bus(int sig)
{
	ssize_t n = write(STDERR_FILENO, sentence, strlen(sentence));

	(void)n;
	(void)sig;
	if (half)
		unlink(half);
	_exit(CTL_FAILED);
}

void ctl_output_guard(const struct ctl_output *output, const char *name)
{
	snprintf(sentence, sizeof(sentence),
		 "pmemarenactl: a page of %s cannot be read: it is bad, or the device is gone\n",
		 name);
	half = output->beside;
	signal(SIGBUS, on_bus);
}
