/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lender_who: who has what was lent mapped: this process, a child, or a grandchild whose parent is
 * gone.
 */
#include <config.h>

#include "tests/system/lender.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

struct pma *pma, *other;
struct pma_cache *cache;
struct pma_handle handle;
struct pma_mapping *map;             /* ours, while there is one */
char *view;                      /* what was lent, LEN bytes of it */
int go[2], answer[2];            /* to and from the child that has it */
pid_t child;                     /* 0: this process has it by means of its own */

__attribute__((noreturn))
void fail(const char *file, int line, const char *what, int r)
{
	fprintf(stderr, "%s:%d: %s: %d %s (%s)\n", file, line, what, r,
		strerror(r < 0 ? -r : 0), pma_message());
	if (child > 0)
		kill(child, SIGKILL);
	exit(EXIT_FAILURE);
}

void stamp(char *at, char with)
{
	for (uint64_t off = 0; off < LEN; off += PAGE)
		memset(at + off, with, 64);
}

bool has_stamp(const char *at)
{
	for (uint64_t off = 0; off < LEN; off += PAGE)
		if (at[off] != 'A' || at[off + 63] != 'A')
			return false;
	return true;
}

/* In the child: until the parent says so; then says whether it still sees what it saw. */
__attribute__((noreturn))
static void look(void)
{
	char byte;

	/* The other ends are the parent's: when it dies, this ends too. */
	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(0);
	byte = has_stamp(view);
	_exit(write(answer[1], &byte, 1) != 1);
}

void fork_child(void)
{
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		look();
}

/* Not by libc's fork(): its handlers do not run. */
void clone_child(void)
{
	child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
	CHECK(child >= 0);
	if (child == 0)
		look();
}

/* Its parent is gone when it is asked. */
void fork_grandchild(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			look();
		_exit(pid < 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	child = -1;
}

bool still_sees_it(void)
{
	char seen = 0;

	if (child == 0)
		return has_stamp(view);
	if (write(go[1], "x", 1) != 1 || read(answer[0], &seen, 1) != 1)
		return false;
	if (child > 0)
		waitpid(child, NULL, 0);
	return seen;
}
