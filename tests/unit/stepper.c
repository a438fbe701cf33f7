/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stepper: a process of its own, one instruction at a time (ptrace), and the file that it changes
 * after each of them.
 */
#include <config.h>

#include "tests/unit/stepper.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns the signal that stopped it. */
static int resume(pid_t pid, int how)
{
	int status;

	ck_assert_int_eq(ptrace(how, pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status), "the stepped process ended, status %#x",
		      (unsigned)status);
	return WSTOPSIG(status);
}

/* A process that has begun the change; -1: ptrace is not to be had. */
static pid_t start_stepped(stepper_fn *change)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		change();
		raise(SIGSTOP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("this test needs ptrace to step through a change: not tried\n");
		return -1;
	}
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL), 0);
	return pid;
}

/* Reads the file that is at @path now, which may be another one than before, or none. */
static void read_file(int *fd, char *image, const char *path, size_t bytes)
{
	struct stat st = { .st_nlink = 0 };
	int opened;

	if (*fd < 0 || fstat(*fd, &st) < 0 || st.st_nlink == 0) {
		opened = open(path, O_RDONLY | O_CLOEXEC);
		if (opened >= 0 && *fd >= 0)
			close(*fd);
		*fd = opened >= 0 ? opened : *fd;
	}
	ck_assert(*fd < 0 || pread(*fd, image, bytes, 0) >= 0);
}

int stepper_run(const char *path, size_t bytes, stepper_fn *change, stepper_see_fn *see)
{
	pid_t pid = start_stepped(change);
	int fd = -1, sig, nr = 0;
	char *last = calloc(1, bytes), *now = calloc(1, bytes);

	if (pid < 0)
		return 0;
	do {
		sig = nr ? resume(pid, PTRACE_SINGLESTEP) : 0;
		read_file(&fd, now, path, bytes);
		if (nr && memcmp(last, now, bytes) == 0)
			continue;
		nr++;
		see(now);
		memcpy(last, now, bytes);
	} while (sig != SIGSTOP);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	free(last);
	free(now);
	close(fd);
	return nr;
}
