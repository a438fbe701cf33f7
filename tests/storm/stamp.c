/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp: written and read as memory that others read at the same time. It knows no allocation.
 */
#include <config.h>

#include "tests/storm/stamp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>


static int evidence_fd = -1;
static unsigned evidence_maker;

static void write_at(void *at, const struct stamp *stamp)
{
	struct stamp *to = at;

	to->origin = stamp->origin;
	to->off = stamp->off;
	to->version = stamp->version;
	to->id = stamp->id;
	to->uid = stamp->uid;
	to->pid = stamp->pid;
	__atomic_store_n(&to->magic, STAMP_MAGIC, __ATOMIC_RELEASE);
}

void stamp_write(void *block, const struct stamp *stamp)
{
	write_at(block, stamp);
	write_at((char *)block + BLOCK - sizeof(*stamp), stamp);
}

bool stamp_read(struct stamp *out, const void *block)
{
	const struct stamp *from = block;

	if (__atomic_load_n(&from->magic, __ATOMIC_ACQUIRE) != STAMP_MAGIC)
		return false;
	*out = *from;
	return true;
}

bool stamp_is_blank(const void *block)
{
	static const char zero[BLOCK];

	return memcmp(block, zero, BLOCK) == 0;
}

uint64_t stamp_first_word(const void *block)
{
	const uint64_t *words = block;

	for (size_t i = 0; i < BLOCK / sizeof(*words); i++)
		if (words[i])
			return words[i];
	return 0;
}

/* ---- evidence ---- */

void evidence_open(const char *path, unsigned maker)
{
	/* In a storm where calls fail this does too. */
	for (int i = 0; evidence_fd < 0 && i < 100; i++)
		evidence_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	evidence_maker = maker;
}

void evidence(const void *block, const char *fmt, ...)
{
	struct stamp stamp;
	char text[1024];
	int at = snprintf(text, sizeof(text), "stormer %u (uid %u, pid %d): ", evidence_maker,
			  (unsigned)getuid(), (int)getpid());
	va_list ap;

	va_start(ap, fmt);
	at += vsnprintf(text + at, sizeof(text) - (size_t)at - 300, fmt, ap);
	va_end(ap);
	if (at > (int)sizeof(text) - 300)
		at = (int)sizeof(text) - 300;
	if (block && stamp_read(&stamp, block))
		at += snprintf(text + at, 298,
			       "; there is the stamp of origin %" PRIx64
			       " (stormer %u), id %" PRIu64 ", offset %#" PRIx64
			       ", version %" PRIu64 ", written by uid %u, pid %u",
			       stamp.origin, ORIGIN_MAKER(stamp.origin), stamp.id, stamp.off,
			       stamp.version, stamp.uid, stamp.pid);
	else if (block)
		at += snprintf(
			text + at, 298,
			"; there is no stamp, and its first word that is not zero is %" PRIx64,
			stamp_first_word(block));
	text[at++] = '\n';
	if (write(evidence_fd, text, (size_t)at) < 0 || write(STDERR_FILENO, text, (size_t)at) < 0)
		return;         /* nobody is left to tell */
}
