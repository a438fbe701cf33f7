/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shape: JSON that is built, written as text and read, and what becomes of it when there is no
 * memory. Of that json-c says nothing: it leaves out what it could not add or write, and ends the
 * process by an assertion when it is given the object that it could not make. So everybody here
 * goes through these functions. A shape that lacks something knows it, and gets no text.
 */
#ifndef PMEMARENA_SHAPE_H
#define PMEMARENA_SHAPE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Returns NULL when there is no memory. All functions below take NULL, so that no caller need look.
 */
struct json_object *shape_object(void);
struct json_object *shape_array(void);

/*
 * Sets @key of the object @to; @key must live as long as @to. shape_put() takes @value over, and
 * NULL means that there was no memory to make it; shape_put_null() is for JSON's null.
 */
void shape_put(struct json_object *to, const char *key, struct json_object *value);
void shape_put_null(struct json_object *to, const char *key);
void shape_put_u64(struct json_object *to, const char *key, uint64_t value);
void shape_put_i64(struct json_object *to, const char *key, int64_t value);
/* Adds @value if @is_known, else null. */
void shape_put_u64_if(struct json_object *to, const char *key, bool is_known, uint64_t value);
void shape_put_double(struct json_object *to, const char *key, double value);
void shape_put_bool(struct json_object *to, const char *key, bool value);
/* Adds a text; @value NULL: adds null. */
void shape_put_string(struct json_object *to, const char *key, const char *value);
void shape_put_bytes(struct json_object *to, const char *key, const char *value, size_t len);

size_t shape_length(const struct json_object *array);

/* Appends to the array @to. shape_append() takes @value over. */
void shape_append(struct json_object *to, struct json_object *value);
void shape_append_u64(struct json_object *to, uint64_t value);
void shape_append_string(struct json_object *to, const char *value);

/*
 * Returns the text of @shape, with a newline behind it; the caller free()s it. Takes over @shape.
 * NULL: there is no memory for it, or there was none for something in @shape.
 */
char *shape_text(struct json_object *shape);

/* ---- shape_parse.c ---- */

/*
 * Reads the JSON value in the @length bytes at @text. The caller owns *out, which is NULL for null.
 * 0; -EBADMSG: it is none, and *why says why; -ENOMEM.
 */
int shape_parse(struct json_object **out, const char *text, size_t length, const char **why);

#endif
