/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_words: does a sentence say what this process lacks, and does it blame nobody else?
 */
#include <config.h>

#include "tests/system/sweeper_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a sentence about this error says, one of these at least. */
static const char *const *words_of(int error, const char *call)
{
	static const char *const memory[] = { "memory", NULL };
	static const char *const fds[] = { "descriptor", "memkind", NULL };
	static const char *const watches[] = { "max_user_watches", NULL };
	static const char *const locked[] = { "RLIMIT_MEMLOCK", "thread", NULL };
	static const char *const kernel[] = { "kernel", NULL };
	static const char *other[2];

	switch (error) {
	case ENOMEM:
	case ENOBUFS:
		return memory;
	case EMFILE:
	case ENFILE:
		return fds;
	case EAGAIN:
		return locked;
	case EINVAL:
		return kernel;
	case ENOSPC:
		if (strcmp(call, "epoll_ctl") == 0)
			return watches;
		break;
	default:
		break;
	}
	other[0] = strerror(error);
	return other;
}

/* These would blame others for what this process lacks. */
static const char *const blame[] = { "protocol", "no daemon", "running?", "does not answer", "older",
				     "another process", "JSON", "Success", "(null)", "hung up" };

static bool has_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strstr(text, *words))
			return true;
	}
	return false;
}

bool words_flaw(char *flaw, size_t size, const char *text, int error, const char *call)
{
	flaw[0] = '\0';
	if (!has_one_of(text, words_of(error, call)))
		snprintf(flaw, size, "it does not say '%s': %s", strerror(error), text);
	for (size_t i = 0; i < sizeof(blame) / sizeof(*blame); i++) {
		if (strstr(text, blame[i]))
			snprintf(flaw, size, "it blames others: %s", text);
	}
	if (strcmp(text, "not connected") == 0)
		snprintf(flaw, size, "it sets no sentence");
	return flaw[0];
}
