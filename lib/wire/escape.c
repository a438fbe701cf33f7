/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * escape: writes names for people and reads them back. Bytes are read as UTF-8; a byte that is not
 * part of valid UTF-8 is escaped alone. The file knows neither locales nor terminals: its callers
 * say which characters can be shown.
 */
#include <config.h>

#include "lib/wire/escape.h"

#include <errno.h>
#include <string.h>

#include "lib/wire/escape_table.h"

/* ---- characters ---- */

bool escape_shows_text(uint32_t code)
{
	size_t least = 0, most = sizeof(hidden) / sizeof(*hidden);

	while (least < most) {
		size_t middle = (least + most) / 2;

		if (code > hidden[middle][1])
			least = middle + 1;
		else if (code < hidden[middle][0])
			most = middle;
		else
			return false;
	}
	return code <= 0x10ffff;
}

bool escape_shows_ascii(uint32_t code)
{
	return code >= 0x20 && code < 0x7f;
}

/*
 * How many bytes a UTF-8 character has whose first byte is @first. 0: no character begins with this
 * byte.
 */
static size_t length_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/*
 * Reads the character at @text into *code and returns how many bytes it has. 0: no valid UTF-8 is
 * there. An overlong form (more bytes than the character needs) and a surrogate are not valid: if
 * they were read, two different names could look alike.
 */
static size_t decode(uint32_t *code, const unsigned char *text, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = length_of(text[0]);

	if (n == 0 || n > len)
		return 0;
	*code = n == 1 ? text[0] : text[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3f);
	}
	return *code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : n;
}

bool escape_is_utf8(const char *text, size_t len)
{
	uint32_t code;

	for (size_t i = 0, n; i < len; i += n) {
		n = decode(&code, (const unsigned char *)text + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

/* ---- writing ---- */

struct writer {
	char  *text;
	size_t size, len;
	/* one part did not fit: nothing is written after it, or the text would have a gap */
	bool   is_full;
};

static void put(struct writer *writer, const char *bytes, size_t len)
{
	if (writer->is_full || len >= writer->size - writer->len) {
		writer->is_full = true;
		return;
	}
	memcpy(writer->text + writer->len, bytes, len);
	writer->len += len;
}

static void put_hex(struct writer *writer, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";
	const char escape[4] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };

	put(writer, escape, sizeof(escape));
}

/*
 * A reader of the text would not see this blank: it is the first or the last character, or another
 * blank stands before it.
 */
static bool is_unseen_blank(const char *name, size_t len, size_t i)
{
	return name[i] == ' ' && (i == 0 || i + 1 == len || name[i - 1] == ' ');
}

static bool is_special(const char *name, size_t len, size_t i)
{
	return is_unseen_blank(name, len, i) || (i == 0 && name[0] == '-');
}

static size_t escape(char *text, size_t size, const char *from, size_t len, escape_shows_fn *shows,
		     bool is_name)
{
	struct writer writer = { .text = text, .size = size };
	uint32_t code = 0;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = decode(&code, (const unsigned char *)from + i, len - i);
		if (n == 0 || !shows(code) || (is_name && is_special(from, len, i))) {
			n = n ? n : 1;
			for (size_t k = 0; k < n; k++)
				put_hex(&writer, (unsigned char)from[i + k]);
		} else if (is_name && code == '\\') {
			put(&writer, "\\\\", 2);
		} else {
			put(&writer, from + i, n);
		}
	}
	text[writer.len] = '\0';
	return writer.len;
}

size_t escape_name(char *text, size_t size, const char *name, size_t len, escape_shows_fn *shows)
{
	return escape(text, size, name, len, shows, true);
}

size_t escape_sentence(char *text, size_t size, const char *sentence, size_t len,
		       escape_shows_fn *shows)
{
	return escape(text, size, sentence, len, shows, false);
}

/* ---- reading ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * Reads an escape; @text is what follows its backslash. Stores the byte that is meant and returns
 * how many characters were read. -EINVAL: this is none of the two escapes, or it means NUL, which
 * no name contains.
 */
static int read_escape(char *byte, const char *text)
{
	int high, low;

	if (text[0] == '\\') {
		*byte = '\\';
		return 1;
	}
	if (text[0] != 'x' || (high = digit_of(text[1])) < 0 || (low = digit_of(text[2])) < 0 ||
	    high + low == 0)
		return -EINVAL;
	*byte = (char)(high << 4 | low);
	return 3;
}

int escape_read(char *name, size_t size, size_t *len, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		char byte = *text;
		int r = byte == '\\' ? read_escape(&byte, text + 1) : 0;

		if (r < 0)
			return r;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		text += r;
		name[n++] = byte;
	}
	name[n] = '\0';
	*len = n;
	return 0;
}
