/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * escape: how a name is written for a person, and how the written form is read back. A name may
 * contain any byte but NUL, and any user who may create an allocation chooses one; terminals, logs
 * and tables belong to other users. So no byte of a name may reach them that moves a cursor, hides
 * its neighbours, reverses the direction of text, or makes one name look like another. Such bytes
 * are written as
 *
 *	\xHH    a byte, two hexadecimal digits
 *	\\      a backslash
 *
 * and every other character stands for itself. The functions here know no locale: the caller passes
 * a function (escape_shows_fn) that says which characters its terminal can show.
 */
#ifndef PMEMARENA_ESCAPE_H
#define PMEMARENA_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The size of a buffer that holds @len bytes of any text in escaped form (4 characters a byte), and
 * the NUL.
 */
#define ESCAPE_SIZE(len) (4 * (size_t)(len) + 1)

/* Decides whether the character @code may be shown as it is. If not, it is escaped. */
typedef bool escape_shows_fn(uint32_t code);
/*
 * For UTF-8 terminals. True for every character that has a visible shape and a width. False for
 * control characters (C0, C1), for those that change the direction of text, for those without a
 * width (combining marks too: with them two names would look alike), for all blanks but U+0020, and
 * for code points that Unicode has not assigned.
 */
bool escape_shows_text(uint32_t code);
/* for other terminals: true for printable ASCII alone */
bool escape_shows_ascii(uint32_t code);

/*
 * Are the @len bytes at @text valid UTF-8? An overlong form, a surrogate and what is beyond the
 * last character are not. An empty text is.
 */
bool escape_is_utf8(const char *text, size_t len);

/*
 * Writes the name of @len bytes at @name to @text, which has @size bytes (at least 1): as much as
 * fits, never half of an escape, and a NUL. Returns the length without the NUL. Escaped are: each
 * character for which @shows is false; each backslash; a '-' at the start, since a command would
 * read the name as an option (and "-" alone stands for "no name" in tables); each blank at either
 * end or after another blank, since nobody would see it. escape_read() turns the result into the
 * same bytes again.
 */
size_t escape_name(char *text, size_t size, const char *name, size_t len, escape_shows_fn *shows);
/*
 * As escape_name(), for a whole sentence that may quote names which are escaped already:
 * backslashes, blanks and '-' stay as they are, or those names would be escaped twice.
 */
size_t escape_sentence(char *text, size_t size, const char *sentence, size_t len,
		       escape_shows_fn *shows);

/*
 * Reads a name that a person typed: writes the bytes that @text stands for to @name (room for @size
 * bytes), a NUL after them, and their number to *len. 0; -EINVAL a backslash begins none of the two
 * escapes, or \x00 was written; -ENAMETOOLONG the name has @size bytes or more. After an error the
 * contents of @name are undefined.
 */
int escape_read(char *name, size_t size, size_t *len, const char *text);

#endif
