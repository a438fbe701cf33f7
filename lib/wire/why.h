/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * why: the sentence that explains an error number to a person. The function that fails writes the
 * sentence, since it has the facts: what was found, what was expected, what to do. Each caller on
 * the way up may put its own context in front. The last one, which decides what to do about the
 * failure, shows the sentence to a person.
 */
#ifndef PMEMARENA_WHY_H
#define PMEMARENA_WHY_H

struct why {
	char text[512];
};

/*
 * Replaces the sentence in @why. Returns @err, so that `return why_set(why, -EINVAL, ...)` is a
 * whole error path. @why may be NULL: then nobody wants the sentence.
 */
int why_set(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * Puts a context in front of the sentence in @why: "device /dev/dax0.0: " and what was there. A
 * text that becomes too long loses its end. Returns @err; @why may be NULL.
 */
int why_add(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * If @why has no sentence yet, writes the standard words for @err (strerror). Returns @err; @why
 * may be NULL.
 */
int why_fill(struct why *why, int err);

#endif
