/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * books: a file that is mapped. A killed process leaves it as it last was.
 */
#include <config.h>

#include "tests/storm/books.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100       /* in a storm where calls fail this does too */

static struct books *try_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct books *books = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*books)) == 0)
		books = mmap(NULL, sizeof(*books), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return books == MAP_FAILED ? NULL : books;
}

struct books *books_open(const char *path)
{
	for (int i = 0; i < TRIES; i++) {
		struct books *books = try_open(path);

		if (books)
			return books;
	}
	perror(path);
	exit(2);
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void books_note(struct books *books, uint64_t origin, const char *what)
{
	struct deed *deed = &books->deeds[books->nr_deeds++ % BOOKS_DEEDS];

	*deed = (struct deed){ .at_ms = now_ms(), .origin = origin };
	strncpy(deed->what, what, sizeof(deed->what) - 1);
}
