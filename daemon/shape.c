/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shape: JSON that is built and written as text, each step of which may find no memory.
 *
 * An object or array that lacks something is marked, and shape_text() looks for the mark: so a
 * caller that builds a tree need not look after each step, and no text is ever written that leaves
 * something out. The text is written here and not by json-c, which goes on behind a piece for which
 * it had no memory.
 */
#include <config.h>

#include "daemon/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An incomplete object or array has this address as json-c's "user data". */
static char is_incomplete;

static void mark(struct json_object *to)
{
	if (to)
		json_object_set_userdata(to, &is_incomplete, NULL);
}

/* ---- building ---- */

struct json_object *shape_object(void)
{
	return json_object_new_object();
}

struct json_object *shape_array(void)
{
	return json_object_new_array();
}

/* The key is not copied: that is one allocation less that can fail. */
static bool add(struct json_object *to, const char *key, struct json_object *value)
{
	return json_object_object_add_ex(to, key, value, JSON_C_OBJECT_KEY_IS_CONSTANT) == 0;
}

void shape_put(struct json_object *to, const char *key, struct json_object *value)
{
	if (to && value && add(to, key, value))
		return;
	json_object_put(value);
	mark(to);
}

void shape_put_null(struct json_object *to, const char *key)
{
	if (!to || !add(to, key, NULL))
		mark(to);
}

void shape_put_u64(struct json_object *to, const char *key, uint64_t value)
{
	shape_put(to, key, json_object_new_uint64(value));
}

void shape_put_i64(struct json_object *to, const char *key, int64_t value)
{
	shape_put(to, key, json_object_new_int64(value));
}

void shape_put_u64_if(struct json_object *to, const char *key, bool is_known, uint64_t value)
{
	if (is_known)
		shape_put_u64(to, key, value);
	else
		shape_put_null(to, key);
}

void shape_put_double(struct json_object *to, const char *key, double value)
{
	shape_put(to, key, json_object_new_double(value));
}

void shape_put_bool(struct json_object *to, const char *key, bool value)
{
	shape_put(to, key, json_object_new_boolean(value));
}

void shape_put_string(struct json_object *to, const char *key, const char *value)
{
	if (value)
		shape_put(to, key, json_object_new_string(value));
	else
		shape_put_null(to, key);
}

void shape_put_bytes(struct json_object *to, const char *key, const char *value, size_t len)
{
	shape_put(to, key, json_object_new_string_len(value, (int)len));
}

size_t shape_length(const struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

void shape_append(struct json_object *to, struct json_object *value)
{
	if (to && value && json_object_array_add(to, value) == 0)
		return;
	json_object_put(value);
	mark(to);
}

void shape_append_u64(struct json_object *to, uint64_t value)
{
	shape_append(to, json_object_new_uint64(value));
}

void shape_append_string(struct json_object *to, const char *value)
{
	shape_append(to, json_object_new_string(value));
}

/* ---- writing ---- */

struct text {
	char  *bytes;                   /* owned */
	size_t len, size;
	bool   has_failed;
};

static void write_bytes(struct text *text, const char *bytes, size_t len)
{
	size_t size = text->size ? text->size : 512;
	char *grown;

	if (text->has_failed)
		return;
	while (size - text->len < len)
		size *= 2;
	if (size > text->size) {
		grown = realloc(text->bytes, size);
		if (!grown) {
			text->has_failed = true;
			return;
		}
		text->bytes = grown;
		text->size = size;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void write_word(struct text *text, const char *word)
{
	write_bytes(text, word, strlen(word));
}

static bool is_plain(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

static void write_escape(struct text *text, char c)
{
	static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char escape[8];

	for (size_t i = 0; i < sizeof(letters) - 1; i += 2) {
		if (letters[i] == c) {
			snprintf(escape, sizeof(escape), "\\%c", letters[i + 1]);
			write_word(text, escape);
			return;
		}
	}
	snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)c);
	write_word(text, escape);
}

static void write_string(struct text *text, const char *bytes, size_t len)
{
	size_t nr;

	write_word(text, "\"");
	for (size_t at = 0; at < len; at += nr) {
		for (nr = 0; at + nr < len && is_plain(bytes[at + nr]); nr++)
			;
		write_bytes(text, bytes + at, nr);
		if (at + nr < len)
			write_escape(text, bytes[at + nr++]);
	}
	write_word(text, "\"");
}

/*
 * json-c reads an integer that is too large as the largest one; its sign says which of two types it
 * had.
 */
static void write_integer(struct text *text, const struct json_object *value)
{
	char digits[32];

	if (json_object_get_int64(value) < 0)
		snprintf(digits, sizeof(digits), "%" PRId64, json_object_get_int64(value));
	else
		snprintf(digits, sizeof(digits), "%" PRIu64, json_object_get_uint64(value));
	write_word(text, digits);
}

/* A number that was read is written as it was: json-c keeps its text. */
static void write_double(struct text *text, struct json_object *value)
{
	const char *as_read = json_object_get_userdata(value);
	char digits[64];

	snprintf(digits, sizeof(digits), "%.17g", json_object_get_double(value));
	write_word(text, as_read ? as_read : digits);
	if (!as_read && !strpbrk(digits, ".e"))
		write_word(text, ".0");
}

static void write_value(struct text *text, struct json_object *value);

static void write_object(struct text *text, struct json_object *value)
{
	const char *before = "{";

	json_object_object_foreach(value, key, member) {
		write_word(text, before);
		write_string(text, key, strlen(key));
		write_word(text, ":");
		write_value(text, member);
		before = ",";
	}
	write_word(text, before[0] == '{' ? "{}" : "}");
}

static void write_array(struct text *text, const struct json_object *value)
{
	size_t nr = json_object_array_length(value);

	write_word(text, "[");
	for (size_t i = 0; i < nr; i++) {
		if (i > 0)
			write_word(text, ",");
		write_value(text, json_object_array_get_idx(value, i));
	}
	write_word(text, "]");
}

static void write_value(struct text *text, struct json_object *value)
{
	if (value && json_object_get_userdata(value) == &is_incomplete)
		text->has_failed = true;
	switch (json_object_get_type(value)) {
	case json_type_null:
		write_word(text, "null");
		return;
	case json_type_boolean:
		write_word(text, json_object_get_boolean(value) ? "true" : "false");
		return;
	case json_type_double:
		write_double(text, value);
		return;
	case json_type_int:
		write_integer(text, value);
		return;
	case json_type_string:
		write_string(text, json_object_get_string(value),
			     (size_t)json_object_get_string_len(value));
		return;
	case json_type_object:
		write_object(text, value);
		return;
	case json_type_array:
		write_array(text, value);
		return;
	}
}

char *shape_text(struct json_object *shape)
{
	struct text text = { .has_failed = !shape };

	write_value(&text, shape);
	write_bytes(&text, "\n", 2);
	json_object_put(shape);
	if (!text.has_failed)
		return text.bytes;
	free(text.bytes);
	return NULL;
}
