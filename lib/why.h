/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * why: the sentence that goes with an error number. What fails fills it where the facts are (what was found, what was
 * expected, what to do), each caller on the way up may put its own context in front, and the one that decides what
 * to do about the failure shows it to a person.
 */
#ifndef PMEMARENA_WHY_H
#define PMEMARENA_WHY_H

struct why {
	char text[512];
};

/* Both return @err, so that `return why_set(why, -EINVAL, ...)` is the whole error path. @why may be NULL. */
int why_set(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts the context in front: "device /dev/dax0.0: " + what is there. An overlong text loses its end. */
int why_add(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
