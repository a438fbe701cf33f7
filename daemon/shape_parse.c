/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shape_parse: reads a JSON value (RFC 8259), and nothing that is only nearly one.
 *
 * json-c's own reader is not used for what others send: where it has no memory for a key it reads
 * at address 0, and of a long text it leaves out a piece, so that a request would be about another
 * allocation than the one that was named.
 */
#include <config.h>

#include "daemon/shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/escape.h"

/*
 * The deepest nesting that is read. No sensible request needs more, and each level takes some of
 * the stack.
 */
#define MAX_DEPTH 16

struct reader {
	const char *at, *end;
	const char *why;
	/* owned; as long as the text; holds one string without its escapes */
	char  *spare;
	unsigned depth;
};

static int bad(struct reader *reader, const char *why)
{
	reader->why = why;
	return -EBADMSG;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

/* Reads @c, if it is the next character. */
static bool take(struct reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

/* ---- UTF-8 ---- */

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* ---- texts ---- */

/* Reads the four digits after \u. */
static int read_hex(uint32_t *out, struct reader *reader)
{
	char digits[5] = "";

	if (reader->end - reader->at < 4)
		return bad(reader, "a text does not end");
	memcpy(digits, reader->at, 4);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return bad(reader, "behind \\u come four hexadecimal digits");
	*out = (uint32_t)strtoul(digits, NULL, 16);
	reader->at += 4;
	return 0;
}

static bool is_surrogate(uint32_t c, uint32_t first)
{
	return c >= first && c < first + 0x400;
}

/*
 * Reads what stands after \u: one character, which may be written as two surrogates one after the
 * other.
 */
static int read_character(uint32_t *out, struct reader *reader)
{
	uint32_t low = 0;
	int r = read_hex(out, reader);

	if (r == 0 && is_surrogate(*out, 0xd800)) {
		if (!take(reader, '\\') || !take(reader, 'u'))
			return bad(reader, "a text has half a character");
		r = read_hex(&low, reader);
		if (r == 0 && !is_surrogate(low, 0xdc00))
			return bad(reader, "a text has half a character");
		*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
		return r;
	}
	return r == 0 && is_surrogate(*out, 0xdc00) ? bad(reader, "a text has half a character")
						    : r;
}

static int read_escape(size_t *len, struct reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	uint32_t c;
	int r;

	if (reader->at == reader->end)
		return bad(reader, "a text does not end");
	if (take(reader, 'u')) {
		r = read_character(&c, reader);
		if (r == 0)
			*len += put_utf8(reader->spare + *len, c);
		return r;
	}
	letter = *reader->at ? strchr(letters, *reader->at) : NULL;
	if (!letter)
		return bad(reader, "a text has a backslash that means nothing");
	reader->spare[(*len)++] = meant[letter - letters];
	reader->at++;
	return 0;
}

/* Reads a string, behind its first quote, into reader->spare, with a zero byte at the end. */
static int read_text(size_t *len, struct reader *reader)
{
	int r = 0;

	*len = 0;
	while (r == 0 && reader->at < reader->end) {
		char c = *reader->at++;

		if (c == '"') {
			reader->spare[*len] = '\0';
			return 0;
		}
		if ((unsigned char)c < ' ')
			return bad(reader, "a text has a control character that is not escaped");
		if (c == '\\')
			r = read_escape(len, reader);
		else
			reader->spare[(*len)++] = c;
	}
	return r < 0 ? r : bad(reader, "a text does not end");
}

static int read_string(struct json_object **out, struct reader *reader)
{
	size_t len;
	int r = read_text(&len, reader);

	if (r < 0)
		return r;
	*out = json_object_new_string_len(reader->spare, (int)len);
	return *out ? 0 : -ENOMEM;
}

/* ---- numbers and words ---- */

static size_t skip_digits(struct reader *reader)
{
	const char *from = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return (size_t)(reader->at - from);
}

/* Skips a number; false: it is none. */
static bool skip_number(bool *is_whole, struct reader *reader)
{
	*is_whole = true;
	(void)take(reader, '-');
	if (!take(reader, '0') && skip_digits(reader) == 0)
		return false;
	if (take(reader, '.')) {
		*is_whole = false;
		if (skip_digits(reader) == 0)
			return false;
	}
	if (take(reader, 'e') || take(reader, 'E')) {
		*is_whole = false;
		if (!take(reader, '+'))
			(void)take(reader, '-');
		return skip_digits(reader) > 0;
	}
	return true;
}

/* Makes a number; one that is too large becomes the largest. */
static struct json_object *new_number(const char *text, bool is_whole)
{
	unsigned long long large;

	if (!is_whole)
		return json_object_new_double_s(strtod(text, NULL), text);
	if (text[0] == '-')
		return json_object_new_int64(strtoll(text, NULL, 10));
	large = strtoull(text, NULL, 10);
	return large <= INT64_MAX ? json_object_new_int64((int64_t)large)
				  : json_object_new_uint64(large);
}

static int read_number(struct json_object **out, struct reader *reader)
{
	const char *from = reader->at;
	bool is_whole;
	size_t len;

	if (!skip_number(&is_whole, reader))
		return bad(reader, "a value is none that JSON has");
	len = (size_t)(reader->at - from);
	memcpy(reader->spare, from, len);
	reader->spare[len] = '\0';
	*out = new_number(reader->spare, is_whole);
	return *out ? 0 : -ENOMEM;
}

static bool take_word(struct reader *reader, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return false;
	reader->at += len;
	return true;
}

static int read_word(struct json_object **out, struct reader *reader)
{
	if (take_word(reader, "null"))
		return 0;
	if (take_word(reader, "true"))
		*out = json_object_new_boolean(true);
	else if (take_word(reader, "false"))
		*out = json_object_new_boolean(false);
	else
		return bad(reader, "a value is none that JSON has");
	return *out ? 0 : -ENOMEM;
}

/* ---- objects and arrays ---- */

static int read_value(struct json_object **out, struct reader *reader);

/* Adds a member; takes over @value. */
static int add_member(struct json_object *to, const char *key, struct json_object *value)
{
	if (json_object_object_add(to, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int read_member(struct json_object *to, struct reader *reader)
{
	struct json_object *value = NULL;
	size_t len;
	char *key;
	int r;

	skip_blanks(reader);
	if (!take(reader, '"'))
		return bad(reader, "a key is a text in double quotes");
	r = read_text(&len, reader);
	if (r < 0)
		return r;
	/* A key with a zero byte would be cut off there, and be another key. */
	if (strlen(reader->spare) != len)
		return bad(reader, "a key has no zero bytes");
	key = strdup(reader->spare);
	if (!key)
		return -ENOMEM;
	skip_blanks(reader);
	r = take(reader, ':') ? read_value(&value, reader)
			      : bad(reader, "behind a key comes a colon");
	if (r == 0)
		r = add_member(to, key, value);
	else
		json_object_put(value);
	free(key);
	return r;
}

static int read_element(struct json_object *to, struct reader *reader)
{
	struct json_object *value = NULL;
	int r = read_value(&value, reader);

	if (r == 0 && json_object_array_add(to, value) == 0)
		return 0;
	json_object_put(value);
	return r < 0 ? r : -ENOMEM;
}

/* Reads the members of an object or array, behind its first bracket. */
static int read_all(struct json_object *to, struct reader *reader, char close,
		    int (*read_one)(struct json_object *to, struct reader *reader))
{
	int r;

	skip_blanks(reader);
	if (take(reader, close))
		return 0;
	do {
		r = read_one(to, reader);
		if (r < 0)
			return r;
		skip_blanks(reader);
	} while (take(reader, ','));
	return take(reader, close) ? 0
				   : bad(reader, reader->at == reader->end
							 ? "an object or array does not end"
							 : "between two values comes a comma");
}

static int read_nested(struct json_object **out, struct reader *reader)
{
	bool is_object = *reader->at++ == '{';
	int r;

	if (reader->depth == MAX_DEPTH)
		return bad(reader, "it has objects or arrays in each other deeper than 16");
	*out = is_object ? shape_object() : shape_array();
	if (!*out)
		return -ENOMEM;
	reader->depth++;
	r = is_object ? read_all(*out, reader, '}', read_member)
		      : read_all(*out, reader, ']', read_element);
	reader->depth--;
	return r;
}

static int read_value(struct json_object **out, struct reader *reader)
{
	skip_blanks(reader);
	if (reader->at == reader->end)
		return bad(reader, "a value is missing");
	if (*reader->at == '{' || *reader->at == '[')
		return read_nested(out, reader);
	if (take(reader, '"'))
		return read_string(out, reader);
	if (*reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9'))
		return read_number(out, reader);
	return read_word(out, reader);
}

static int read_whole(struct json_object **out, struct reader *reader)
{
	int r = read_value(out, reader);

	skip_blanks(reader);
	return r == 0 && reader->at < reader->end ? bad(reader, "something comes behind the value")
						  : r;
}

int shape_parse(struct json_object **out, const char *text, size_t length, const char **why)
{
	struct reader reader = { .at = text, .end = text + length };
	int r;

	*out = NULL;
	if (!escape_is_utf8(text, length)) {
		*why = "it is no UTF-8";
		return -EBADMSG;
	}
	reader.spare = malloc(length + 1);
	if (!reader.spare)
		return -ENOMEM;
	r = read_whole(out, &reader);
	free(reader.spare);
	*why = reader.why;
	if (r < 0) {
		json_object_put(*out);
		*out = NULL;
	}
	return r;
}
