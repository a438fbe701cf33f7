/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_values: reads and prints the values of each type of key. It knows no file and no line, and
 * not which keys there are.
 */
#include <config.h>

#include "daemon/config/config_values.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uuid.h>

#include "daemon/config/config.h"
#include "daemon/config/config_list.h"
#include "daemon/host.h"
#include "lib/wire/size.h"

/* ---- texts ---- */

/*
 * Refuses a text that a file could not hold (a comment sign, control characters): config_print()
 * must be able to write each value so that it can be read again.
 */
static int check_text(const struct config_key *key, const char *text, struct why *why)
{
	if (strlen(text) >= key->max)
		return why_set(why, -EINVAL, "the value is longer than %" PRIu64 " bytes",
			       key->max - 1);
	for (const char *p = text; *p; p++) {
		if (iscntrl((unsigned char)*p))
			return why_set(why, -EINVAL, "control characters are not allowed");
		if (*p == ';' && (p == text || isspace((unsigned char)p[-1])))
			return why_set(why, -EINVAL,
				       "\" ;\" begins a comment and cannot be part of a value");
	}
	return 0;
}

static int store_text(void *field, const struct config_key *key, const char *text, struct why *why)
{
	int r = check_text(key, text, why);

	if (r < 0)
		return r;
	/* The rest of the field becomes zero, so that equal settings are equal bytes. */
	memset(field, 0, key->max);
	memcpy(field, text, strlen(text));
	return 0;
}

static void print_text(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%s", (const char *)field);
}

static int parse_directory(void *field, const struct config_key *key, const char *text,
			   struct why *why)
{
	if (text[0] != '/')
		return why_set(why, -EINVAL, "\"%s\" is not an absolute path", text);
	return store_text(field, key, text, why);
}

/* "-", for none, is kept as an empty text. */
static void print_hosts(char *text, size_t size, const struct config_key *key, const void *field)
{
	const char *value = field;

	snprintf(text, size, "%s", *value ? value : "-");
}

/* Letters, digits, dots and dashes, as a host calls itself; with blanks or commas between them. */
static int parse_hosts(void *field, const struct config_key *key, const char *text, struct why *why)
{
	size_t len = 0;

	if (strcmp(text, "-") == 0)
		return store_text(field, key, "", why);
	for (const char *at = text; *at; at++) {
		bool is_letter = isalnum((unsigned char)*at) || strchr(".-_", *at);

		len = is_letter ? len + 1 : 0;
		if (!is_letter && !strchr(" ,\t", *at))
			return why_set(why, -EINVAL,
				       "\"%s\" are no names of hosts: they are as `hostname` "
				       "prints them, with blanks between them",
				       text);
		if (len >= HOST_NAME)
			return why_set(why, -EINVAL, "a name of a host has at most %d letters",
				       HOST_NAME - 1);
	}
	return store_text(field, key, text, why);
}

/*
 * Reads the path of a socket. Empty stands for a name in the runtime directory; only the default is
 * empty, since a file cannot set an empty value.
 */
static int parse_socket(void *field, const struct config_key *key, const char *text,
			struct why *why)
{
	if (text[0] && text[0] != '/' && !(text[0] == '@' && text[1]))
		return why_set(why, -EINVAL,
			       "\"%s\" is neither an absolute path nor @NAME of an abstract socket",
			       text);
	return store_text(field, key, text, why);
}

static bool is_host_and_port(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	return colon && colon > text && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
	       size_parse(&port, colon + 1) == 0 && port >= 1 && port <= 65535;
}

static int parse_listen(void *field, const struct config_key *key, const char *text,
			struct why *why)
{
	if (strcmp(text, "off") == 0)
		return store_text(field, key, "", why);
	if (text[0] != '/' && !is_host_and_port(text))
		return why_set(why, -EINVAL,
			       "\"%s\" is neither off, nor ADDRESS:PORT as in 127.0.0.1:9847, nor "
			       "an absolute path",
			       text);
	return store_text(field, key, text, why);
}

static void print_listen(char *text, size_t size, const struct config_key *key, const void *field)
{
	const char *value = field;

	snprintf(text, size, "%s", *value ? value : "off");
}

static int parse_group(void *field, const struct config_key *key, const char *text, struct why *why)
{
	if (text[0] == '\0')
		return why_set(why, -EINVAL, "the name of a group is expected");
	return store_text(field, key, text, why);
}

static int parse_device(void *field, const struct config_key *key, const char *text,
			struct why *why)
{
	uuid_t uuid;

	if (strncmp(text, "uuid:", 5) == 0) {
		if (uuid_parse(text + 5, uuid) < 0)
			return why_set(
				why, -EINVAL,
				"\"%s\" is not a UUID; `pmemarenactl list-arenas` shows them",
				text + 5);
	} else if (text[0] != '/' && strcmp(text, "auto") != 0) {
		return why_set(why, -EINVAL,
			       "\"%s\" is neither an absolute path (/dev/dax0.0, or a file), nor "
			       "uuid:UUID, nor auto",
			       text);
	}
	return store_text(field, key, text, why);
}

static int parse_metadata(void *field, const struct config_key *key, const char *text,
			  struct why *why)
{
	if (text[0] != '/' && strcmp(text, "auto") != 0 && strcmp(text, "device") != 0)
		return why_set(why, -EINVAL,
			       "\"%s\" is neither auto, nor device, nor an absolute path", text);
	return store_text(field, key, text, why);
}

/* ---- lists ---- */

static int parse_users(void *field, const struct config_key *key, const char *text, struct why *why)
{
	int r = check_text(key, text, why);

	return r < 0 ? r : config_list_parse(field, CONFIG_LIST_USERS, text, why);
}

static int parse_groups(void *field, const struct config_key *key, const char *text,
			struct why *why)
{
	int r = check_text(key, text, why);

	return r < 0 ? r : config_list_parse(field, CONFIG_LIST_GROUPS, text, why);
}

static int parse_readers(void *field, const struct config_key *key, const char *text,
			 struct why *why)
{
	int r = check_text(key, text, why);

	return r < 0 ? r : config_list_parse(field, CONFIG_LIST_BOTH, text, why);
}

static void print_list(char *text, size_t size, const struct config_key *key, const void *field)
{
	const struct config_list *list = field;

	snprintf(text, size, "%s", list->text);
}

/* ---- numbers ---- */

static int parse_bounded(uint64_t *out, const struct config_key *key, const char *text,
			 struct why *why)
{
	uint64_t value = 0;
	int r = -EINVAL;

	if (text[0] && strspn(text, "0123456789") == strlen(text))
		r = size_parse(&value, text);
	if (r < 0 || value < key->min || value > key->max)
		return why_set(why, -EINVAL,
			       "\"%s\" is not a whole number from %" PRIu64 " to %" PRIu64, text,
			       key->min, key->max);
	*out = value;
	return 0;
}

static int parse_u32(void *field, const struct config_key *key, const char *text, struct why *why)
{
	uint64_t value;
	int r = parse_bounded(&value, key, text, why);

	if (r < 0)
		return r;
	*(uint32_t *)field = (uint32_t)value;
	return 0;
}

static int parse_u64(void *field, const struct config_key *key, const char *text, struct why *why)
{
	return parse_bounded(field, key, text, why);
}

static void print_u32(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%" PRIu32, *(const uint32_t *)field);
}

static void print_u64(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%" PRIu64, *(const uint64_t *)field);
}

static int parse_node(void *field, const struct config_key *key, const char *text, struct why *why)
{
	uint64_t value;

	if (strcmp(text, "auto") == 0) {
		*(int32_t *)field = -1;
		return 0;
	}
	if (parse_bounded(&value, key, text, NULL) < 0)
		return why_set(why, -EINVAL, "\"%s\" is neither auto nor a node from 0 to %" PRIu64,
			       text, key->max);
	*(int32_t *)field = (int32_t)value;
	return 0;
}

static void print_node(char *text, size_t size, const struct config_key *key, const void *field)
{
	int32_t node = *(const int32_t *)field;

	if (node < 0)
		snprintf(text, size, "auto");
	else
		snprintf(text, size, "%" PRId32, node);
}

static int parse_seconds(void *field, const struct config_key *key, const char *text,
			 struct why *why)
{
	static const struct { const char *suffix; uint32_t seconds; } units[] = {
		{ "", 1 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 },
	};
	size_t digits = strspn(text, "0123456789");
	char number[16];
	uint64_t value;

	for (size_t i = 0; digits && digits < sizeof(number) && i < sizeof(units) / sizeof(*units);
	     i++) {
		if (strcmp(text + digits, units[i].suffix) != 0)
			continue;
		snprintf(number, sizeof(number), "%.*s", (int)digits, text);
		/* This cannot overflow: 15 digits times a factor below 2^17 is below 2^64. */
		if (size_parse(&value, number) < 0 || value * units[i].seconds > key->max)
			break;
		*(uint32_t *)field = (uint32_t)(value * units[i].seconds);
		return 0;
	}
	return why_set(why, -EINVAL,
		       "\"%s\" is not a time of at most %" PRIu64 " s: 0, or as in 90s, 5min, 1h",
		       text, key->max);
}

static void print_seconds(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%" PRIu32 "s", *(const uint32_t *)field);
}

/* ---- sizes ---- */

static int parse_size(void *field, const struct config_key *key, const char *text, struct why *why)
{
	uint64_t value;
	int r = size_parse(&value, text);

	if (r == -ERANGE)
		return why_set(why, -EINVAL, "\"%s\" is more than 2^64 - 1 bytes", text);
	if (r < 0)
		return why_set(why, -EINVAL,
			       "\"%s\" is not a size: bytes, or as in 512K, 2M, 64G, 1.5T", text);
	*(uint64_t *)field = value;
	return 0;
}

static void print_size(char *text, size_t size, const struct config_key *key, const void *field)
{
	char buf[SIZE_TEXT_MAX];

	snprintf(text, size, "%s", size_text(buf, *(const uint64_t *)field));
}

/* ---- limits, which may be a share ---- */

static bool is_share(void *field, const char *text)
{
	if (strcmp(text, "share") != 0)
		return false;
	*(uint64_t *)field = CONFIG_SHARE;
	return true;
}

static int parse_share_u64(void *field, const struct config_key *key, const char *text,
			   struct why *why)
{
	int r = is_share(field, text) ? 0 : parse_u64(field, key, text, why);

	return r < 0 ? why_add(why, r, "neither share nor a number: ") : 0;
}

static int parse_share_size(void *field, const struct config_key *key, const char *text,
			    struct why *why)
{
	int r = is_share(field, text) ? 0 : parse_size(field, key, text, why);

	return r < 0 ? why_add(why, r, "neither share nor a size: ") : 0;
}

static void print_share_u64(char *text, size_t size, const struct config_key *key,
			    const void *field)
{
	if (*(const uint64_t *)field == CONFIG_SHARE)
		snprintf(text, size, "share");
	else
		print_u64(text, size, key, field);
}

static void print_share_size(char *text, size_t size, const struct config_key *key,
			     const void *field)
{
	if (*(const uint64_t *)field == CONFIG_SHARE)
		snprintf(text, size, "share");
	else
		print_size(text, size, key, field);
}

static int parse_page_size(void *field, const struct config_key *key, const char *text,
			   struct why *why)
{
	uint64_t value;

	if (size_parse(&value, text) < 0 ||
	    (value != 4ULL << 10 && value != 2ULL << 20 && value != 1ULL << 30))
		return why_set(why, -EINVAL, "\"%s\" is not a page size: 4K, 2M or 1G", text);
	*(uint64_t *)field = value;
	return 0;
}

/* ---- choices ---- */

static int parse_choice(void *field, const struct config_key *key, const char *text,
			struct why *why)
{
	char list[128] = "";
	size_t len = 0;

	for (uint32_t i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			*(uint32_t *)field = (uint32_t)key->min + i;
			return 0;
		}
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					key->choices[i]);
	}
	return why_set(why, -EINVAL, "\"%s\" is none of: %s", text, list);
}

static void print_choice(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%s", key->choices[*(const uint32_t *)field - key->min]);
}

/* ---- the types ---- */

const struct config_type config_value_directory = { parse_directory, print_text, 0 };
const struct config_type config_value_hosts = { parse_hosts, print_hosts, 0 };
const struct config_type config_value_socket = { parse_socket, print_text, 0 };
const struct config_type config_value_listen = { parse_listen, print_listen, 0 };
const struct config_type config_value_group = { parse_group, print_text, 0 };
const struct config_type config_value_device = { parse_device, print_text, 0 };
const struct config_type config_value_metadata = { parse_metadata, print_text, 0 };
const struct config_type config_value_users = {
	parse_users, print_list, sizeof(struct config_list)
};
const struct config_type config_value_groups = {
	parse_groups, print_list, sizeof(struct config_list)
};
const struct config_type config_value_readers = {
	parse_readers, print_list, sizeof(struct config_list)
};
const struct config_type config_value_u32 = { parse_u32, print_u32, sizeof(uint32_t) };
const struct config_type config_value_u64 = { parse_u64, print_u64, sizeof(uint64_t) };
const struct config_type config_value_node = { parse_node, print_node, sizeof(int32_t) };
const struct config_type config_value_seconds = { parse_seconds, print_seconds, sizeof(uint32_t) };
const struct config_type config_value_size = { parse_size, print_size, sizeof(uint64_t) };
const struct config_type config_value_share_u64 = {
	parse_share_u64, print_share_u64, sizeof(uint64_t)
};
const struct config_type config_value_share_size = {
	parse_share_size, print_share_size, sizeof(uint64_t)
};
const struct config_type config_value_page_size = { parse_page_size, print_size, sizeof(uint64_t) };
const struct config_type config_value_choice = { parse_choice, print_choice, sizeof(uint32_t) };
