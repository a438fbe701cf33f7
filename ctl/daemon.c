/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon: runs pmemarenad for what needs the arena itself and no server: format, and check and
 * repair of a device that nobody serves. It looks for the program at $PMEMARENAD, beside this
 * program, in ../sbin from here, and in the search path.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/ctl.h"

extern char **environ;

/*
 * Is there a program at @path? X_OK is true of a folder too, but no folder has that name where the
 * daemon is looked for.
 */
static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

/*
 * Finds the daemon's program. The top folder of a build tree has wrappers that libtool made, and
 * the programs themselves are in .libs.
 */
static const char *find_daemon(char path[PATH_MAX])
{
	static const char *const places[] = { "pmemarenad", "../sbin/pmemarenad", "../pmemarenad" };
	const char *named = secure_getenv("PMEMARENAD");
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (named && *named)
		return named;
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(*places); i++) {
		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - self), self, places[i]) <
			    PATH_MAX &&
		    is_program(path))
			return path;
	}
	return "pmemarenad";
}

/*
 * Reads to the end, which comes when the program ends. What does not fit into memory is cut off: it
 * then is no JSON any more, and the caller shows nothing of it. NULL: no memory at all.
 */
static char *read_all(int fd)
{
	size_t len = 0, room = 65536;
	char *text = malloc(room);
	ssize_t n;

	while (text && (n = read(fd, text + len, room - len - 1)) > 0) {
		len += (size_t)n;
		if (room - len < 2) {
			char *grown = realloc(text, room *= 2);

			if (!grown)
				break;
			text = grown;
		}
	}
	if (text)
		text[len] = '\0';
	return text;
}

/*
 * Starts the program with @out as its standard output. Standard error stays ours, so that what it
 * has to say reaches the user as it is. Returns an errno, which was said.
 */
static int spawn(pid_t *pid, const char *const *argv, int out)
{
	posix_spawn_file_actions_t actions;
	char path[PATH_MAX];
	const char *program = find_daemon(path);
	int r;

	posix_spawn_file_actions_init(&actions);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	/* posix_spawn() does not write to its arguments. */
	r = posix_spawnp(pid, program, &actions, NULL, (char **)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		ctl_say("%s: %s; set $PMEMARENAD to where the daemon's program is", program,
			strerror(r));
	return r;
}

/*
 * Runs the daemon's program. Its output is read before it is waited for: it would block on a full
 * pipe. Its status 64 (of sysexits.h) means a wrong command line; a program that a signal ended has
 * failed.
 */
int ctl_run_daemon(char **out, const char *const *argv)
{
	int pipes[2], status = 0;
	pid_t pid;
	int r;

	if (pipe2(pipes, O_CLOEXEC) < 0) {
		ctl_say("%s", strerror(errno));
		return CTL_FAILED;
	}
	r = spawn(&pid, argv, pipes[1]);
	close(pipes[1]);
	*out = r == 0 ? read_all(pipes[0]) : NULL;
	close(pipes[0]);
	if (r != 0)
		return CTL_FAILED;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 64)
		return CTL_USAGE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CTL_FAILED;
}
