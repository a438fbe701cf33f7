/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synced: preloaded, it writes a line with the length of each msync(2) to the file $SYNCED, and
 * goes on to it: a test sees what was written back when.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int msync(void *addr, size_t len, int flags)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%zu\n", len);
	int fd = open(getenv("SYNCED"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
	return (int)syscall(SYS_msync, addr, len, flags);
}
