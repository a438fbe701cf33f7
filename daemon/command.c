/* SPDX-License-Identifier: BSD-3-Clause */
/* command: reads /proc/PID/comm. */
#include <config.h>

#include "daemon/command.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void command_of(char command[COMMAND_SIZE], long pid)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		n = read(fd, command, COMMAND_SIZE - 1);
		close(fd);
	}
	command[n > 0 ? n : 0] = '\0';
	command[strcspn(command, "\n")] = '\0';
	/*
	 * The process chose its name. Bytes that are not printable ASCII are replaced: they could
	 * steer the terminal of whoever reads it, or be no UTF-8.
	 */
	for (char *c = command; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}
