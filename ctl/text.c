/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text: makes what comes from elsewhere (names, sentences, answers) fit for the terminal, and reads
 * names as people type them. Whoever may create allocations chooses names: no byte of them may
 * reach the terminal that the terminal would obey. It is the only file that looks at the locale.
 */
#include <config.h>

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "ctl/ctl.h"
#include "lib/wire/escape.h"

/* Does the terminal, as the locale says, read UTF-8? Set once, by ctl_text_init(). */
static bool is_utf8;

void ctl_text_init(void)
{
	/* Only the locale's characters are taken: numbers and messages are read by scripts too. */
	setlocale(LC_CTYPE, "");
	is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/*
 * Writes out what stdio has, and keeps the errno of the first failure: ferror() would say later
 * only that there was one.
 */
int ctl_flush(void)
{
	static int error;

	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && !error)
		error = errno ? errno : EIO;
	return error;
}

bool ctl_text_is_utf8(void)
{
	return is_utf8;
}

/*
 * Can the character be shown? One whose width the C library does not know cannot: it would break
 * the columns of a table.
 */
bool ctl_shows(uint32_t code)
{
	if (code < 0x80)
		return escape_shows_ascii(code);
	return is_utf8 && escape_shows_text(code) && wcwidth((wchar_t)code) > 0;
}

/* ---- showing ---- */

const char *ctl_shown(char text[CTL_TEXT], const char *name, size_t len)
{
	escape_name(text, CTL_TEXT, name, len, ctl_shows);
	return text;
}

const char *ctl_sentence(char text[CTL_TEXT], const char *sentence)
{
	escape_sentence(text, CTL_TEXT, sentence, strlen(sentence), ctl_shows);
	return text;
}

/* Prints a sentence to standard error. One that is too long is cut, and still ends in a newline. */
void ctl_say(const char *fmt, ...)
{
	char sentence[CTL_TEXT], text[CTL_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	fprintf(stderr, "pmemarenactl: %s\n", ctl_sentence(text, sentence));
}

/*
 * Writes one character of JSON. In a string it may be written as \uXXXX, which means the same;
 * outside of strings JSON is ASCII.
 */
static void put_json_character(wchar_t c)
{
	uint32_t code = (uint32_t)c;

	if (code >= 0x10000)
		printf("\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
		       0xdc00 + ((code - 0x10000) & 0x3ff));
	else
		printf("\\u%04x", code);
}

/*
 * Reads the character at @p, and returns its length. The daemon sends only UTF-8; a byte that is
 * none counts as a character.
 */
static size_t next_character(uint32_t *code, const char *p)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t n = u[0] < 0xc0 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

	*code = n == 1 ? u[0] : u[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80) {
			*code = u[0];
			return 1;
		}
		*code = *code << 6 | (u[i] & 0x3f);
	}
	return n;
}

/*
 * Writes JSON so that a terminal obeys none of it. ASCII is copied in runs, up to the next
 * character that may have to be escaped. DEL (0x7f) is the one character of ASCII that json-c does
 * not escape and a terminal may obey.
 */
void ctl_put_json(const char *json)
{
	while (*json) {
		size_t plain = strcspn(json, "\x7f"), n = 0;
		uint32_t code = 0;

		while (n < plain && (unsigned char)json[n] < 0x80)
			n++;
		fwrite(json, 1, n, stdout);
		json += n;
		if (!*json)
			break;
		n = next_character(&code, json);
		if (ctl_shows(code))
			fwrite(json, 1, n, stdout);
		else
			put_json_character((wchar_t)code);
		json += n;
	}
}

/* ---- reading ---- */

/*
 * Reads a name as it was typed. If that fails the sentence shows the text escaped, since it may
 * hold anything.
 */
bool ctl_read_name(struct ctl_bytes *name, const char *text)
{
	char shown[CTL_TEXT];
	int r = escape_read(name->bytes, sizeof(name->bytes), &name->len, text);

	if (r == -ENAMETOOLONG)
		ctl_say("a name has at most %zu bytes: %s", sizeof(name->bytes) - 1,
			ctl_sentence(shown, text));
	else if (r < 0)
		ctl_say("in a name \\xHH is a byte, but no NUL, and \\\\ a backslash: %s",
			ctl_sentence(shown, text));
	return r == 0;
}
