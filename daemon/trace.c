/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace: writes steps as lines to the log, and hands them to the one who follows. It does not know
 * what a step is about.
 */
#include <config.h>

#include "daemon/trace.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 1000     /* with the log's own prefix, this is still one line of the log */

static trace_follow_fn *follower;
static void *follower_arg;

const struct trace_field *trace_find(const struct trace_step *step, const char *key)
{
	for (size_t i = 0; i < step->nr; i++)
		if (step->fields[i].key && strcmp(step->fields[i].key, key) == 0)
			return &step->fields[i];
	return NULL;
}

/* ---- a step as text ---- */

struct line {
	char  *text;
	size_t size, len;
	bool   is_full;
};

static void append(struct line *line, const char *text, size_t len)
{
	if (line->is_full || len >= line->size - line->len) {
		line->is_full = true;
		return;
	}
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

/* Escapes all but printable ASCII: the bytes may be a name that a client chose. */
static void append_quoted(struct line *line, const char *bytes, size_t len)
{
	append(line, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		char escape[5];

		if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
			append(line, &bytes[i], 1);
			continue;
		}
		snprintf(escape, sizeof(escape), "\\x%02x", byte);
		append(line, escape, 4);
	}
	append(line, "\"", 1);
}

static void append_field(struct line *line, const struct trace_field *field)
{
	char number[24];

	append(line, " ", 1);
	append(line, field->key, strlen(field->key));
	append(line, "=", 1);
	if (field->text) {
		append_quoted(line, field->text, field->len);
		return;
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)field->number);
	append(line, number, strlen(number));
}

void trace_text(char *text, size_t size, const struct trace_step *step)
{
	struct line line = { .text = text, .size = size - 3 };

	append(&line, step->what, strlen(step->what));
	for (size_t i = 0; i < step->nr; i++)
		if (step->fields[i].key)
			append_field(&line, &step->fields[i]);
	snprintf(text + line.len, size - line.len, "%s", line.is_full ? "..." : "");
}

/* ---- who is told ---- */

void trace_follow(trace_follow_fn *follow, void *arg)
{
	follower = follow;
	follower_arg = arg;
	log_set_followed(follow != NULL);
}

void trace_write(const char *what, const struct trace_field *fields, size_t nr)
{
	struct trace_step step = { .what = what, .fields = fields, .nr = nr };
	char text[LINE_MAX_BYTES];

	if (log_level() >= LOG_LEVEL_DEBUG) {
		trace_text(text, sizeof(text), &step);
		log_debug("%s", text);
	}
	if (follower)
		follower(follower_arg, &step);
}
