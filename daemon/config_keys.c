/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_keys: the table of every key, and how values of each type are read and printed. It knows no file and no line;
 * what must hold between several keys is config.c's.
 */
#include <config.h>

#include "daemon/config_keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid.h>

#include "daemon/config.h"
#include "lib/size.h"

/* ---- texts ---- */

/* What the file's syntax could not give back (a comment sign, control characters) is not taken from a command line either. */
static int check_text(const struct config_key *key, const char *text, struct why *why)
{
	if (strlen(text) >= key->max)
		return why_set(why, -EINVAL, "the value is longer than %" PRIu64 " bytes", key->max - 1);
	for (const char *p = text; *p; p++) {
		if (iscntrl((unsigned char)*p))
			return why_set(why, -EINVAL, "control characters are not allowed");
		if (*p == ';' && (p == text || isspace((unsigned char)p[-1])))
			return why_set(why, -EINVAL, "\" ;\" begins a comment and cannot be part of a value");
	}
	return 0;
}

static int store_text(void *field, const struct config_key *key, const char *text, struct why *why)
{
	int r = check_text(key, text, why);

	if (r < 0)
		return r;
	/* The whole field, so that two equal settings are equal bytes. */
	memset(field, 0, key->max);
	memcpy(field, text, strlen(text));
	return 0;
}

static void print_text(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%s", (const char *)field);
}

static int parse_directory(void *field, const struct config_key *key, const char *text, struct why *why)
{
	if (text[0] != '/')
		return why_set(why, -EINVAL, "\"%s\" is not an absolute path", text);
	return store_text(field, key, text, why);
}

/* "" stands for a name in the runtime directory; only the default is empty. */
static int parse_socket(void *field, const struct config_key *key, const char *text, struct why *why)
{
	if (text[0] && text[0] != '/' && !(text[0] == '@' && text[1]))
		return why_set(why, -EINVAL, "\"%s\" is neither an absolute path nor @NAME of an abstract socket", text);
	return store_text(field, key, text, why);
}

static bool is_host_and_port(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	return colon && colon > text && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
	       size_parse(&port, colon + 1) == 0 && port >= 1 && port <= 65535;
}

static int parse_listen(void *field, const struct config_key *key, const char *text, struct why *why)
{
	if (strcmp(text, "off") == 0)
		return store_text(field, key, "", why);
	if (text[0] != '/' && !is_host_and_port(text))
		return why_set(why, -EINVAL, "\"%s\" is neither off, nor ADDRESS:PORT as in 127.0.0.1:9847, nor an absolute path", text);
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

static int parse_device(void *field, const struct config_key *key, const char *text, struct why *why)
{
	uuid_t uuid;

	if (strncmp(text, "uuid:", 5) == 0) {
		if (uuid_parse(text + 5, uuid) < 0)
			return why_set(why, -EINVAL, "\"%s\" is not a UUID; `pmemarenactl list-arenas` shows them", text + 5);
	} else if (text[0] != '/' && strcmp(text, "auto") != 0) {
		return why_set(why, -EINVAL, "\"%s\" is neither an absolute path (/dev/dax0.0, or a file), nor uuid:UUID, nor auto", text);
	}
	return store_text(field, key, text, why);
}

static int parse_metadata(void *field, const struct config_key *key, const char *text, struct why *why)
{
	if (text[0] != '/' && strcmp(text, "auto") != 0 && strcmp(text, "device") != 0)
		return why_set(why, -EINVAL, "\"%s\" is neither auto, nor device, nor an absolute path", text);
	return store_text(field, key, text, why);
}

/* ---- numbers ---- */

static int parse_bounded(uint64_t *out, const struct config_key *key, const char *text, struct why *why)
{
	uint64_t value = 0;
	int r = -EINVAL;

	if (text[0] && strspn(text, "0123456789") == strlen(text))
		r = size_parse(&value, text);
	if (r < 0 || value < key->min || value > key->max)
		return why_set(why, -EINVAL, "\"%s\" is not a whole number from %" PRIu64 " to %" PRIu64, text, key->min, key->max);
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
		return why_set(why, -EINVAL, "\"%s\" is neither auto nor a node from 0 to %" PRIu64, text, key->max);
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

static int parse_seconds(void *field, const struct config_key *key, const char *text, struct why *why)
{
	static const struct { const char *suffix; uint32_t seconds; } units[] = {
		{ "", 1 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 },
	};
	size_t digits = strspn(text, "0123456789");
	char number[16];
	uint64_t value;

	for (size_t i = 0; digits && digits < sizeof(number) && i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(text + digits, units[i].suffix) != 0)
			continue;
		snprintf(number, sizeof(number), "%.*s", (int)digits, text);
		/* 15 digits and a factor below 2^17 stay below 2^64. */
		if (size_parse(&value, number) < 0 || value * units[i].seconds > key->max)
			break;
		*(uint32_t *)field = (uint32_t)(value * units[i].seconds);
		return 0;
	}
	return why_set(why, -EINVAL, "\"%s\" is not a time of at most %" PRIu64 " s: 0 for never, or as in 90s, 5min, 1h", text, key->max);
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
		return why_set(why, -EINVAL, "\"%s\" is not a size: bytes, or as in 512K, 2M, 64G, 1.5T", text);
	*(uint64_t *)field = value;
	return 0;
}

static void print_size(char *text, size_t size, const struct config_key *key, const void *field)
{
	char buf[SIZE_TEXT_MAX];

	snprintf(text, size, "%s", size_text(buf, *(const uint64_t *)field));
}

static int parse_page_size(void *field, const struct config_key *key, const char *text, struct why *why)
{
	uint64_t value;

	if (size_parse(&value, text) < 0 || (value != 4ULL << 10 && value != 2ULL << 20 && value != 1ULL << 30))
		return why_set(why, -EINVAL, "\"%s\" is not a page size: 4K, 2M or 1G", text);
	*(uint64_t *)field = value;
	return 0;
}

/* ---- choices ---- */

static int parse_choice(void *field, const struct config_key *key, const char *text, struct why *why)
{
	char list[128] = "";
	size_t len = 0;

	for (uint32_t i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			*(uint32_t *)field = (uint32_t)key->min + i;
			return 0;
		}
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", key->choices[i]);
	}
	return why_set(why, -EINVAL, "\"%s\" is none of: %s", text, list);
}

static void print_choice(char *text, size_t size, const struct config_key *key, const void *field)
{
	snprintf(text, size, "%s", key->choices[*(const uint32_t *)field - key->min]);
}

/* ---- the table ---- */

static const struct config_type type_directory = { parse_directory, print_text, 0 };
static const struct config_type type_socket = { parse_socket, print_text, 0 };
static const struct config_type type_listen = { parse_listen, print_listen, 0 };
static const struct config_type type_group = { parse_group, print_text, 0 };
static const struct config_type type_device = { parse_device, print_text, 0 };
static const struct config_type type_metadata = { parse_metadata, print_text, 0 };
static const struct config_type type_u32 = { parse_u32, print_u32, sizeof(uint32_t) };
static const struct config_type type_u64 = { parse_u64, print_u64, sizeof(uint64_t) };
static const struct config_type type_node = { parse_node, print_node, sizeof(int32_t) };
static const struct config_type type_seconds = { parse_seconds, print_seconds, sizeof(uint32_t) };
static const struct config_type type_size = { parse_size, print_size, sizeof(uint64_t) };
static const struct config_type type_page_size = { parse_page_size, print_size, sizeof(uint64_t) };
static const struct config_type type_choice = { parse_choice, print_choice, sizeof(uint32_t) };

static const char *const log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const formats[] = { "never", "if-blank", NULL };
static const char *const memmaps[] = { "dram", "device", NULL };

#define DAEMON(field) CONFIG_DAEMON, offsetof(struct config_daemon, field)
#define ARENA(field)  CONFIG_ARENA, offsetof(struct config_arena, field)
#define QUOTA(field)  CONFIG_QUOTA, offsetof(struct config_quota, field)

#define KEY(name_, where, type_, fallback_, min_, max_, choices_, reloadable_) \
	KEY_(name_, where, type_, fallback_, min_, max_, choices_, reloadable_)
#define KEY_(name_, section_, offset_, type_, fallback_, min_, max_, choices_, reloadable_) \
	{ section_, name_, offset_, &type_, fallback_, min_, max_, choices_, reloadable_ }

const struct config_key config_keys[] = {
	/*  name                 field                      type            default          min  max        choices     reload */
	KEY("runtime-directory", DAEMON(runtime_directory), type_directory, "/run/pmemarena", 0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("socket",            DAEMON(socket),            type_socket,    "",               0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("admin-socket",      DAEMON(admin_socket),      type_socket,    "",               0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("metrics-listen",    DAEMON(metrics_listen),    type_listen,    "off",            0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("admin-group",       DAEMON(admin_group),       type_group,     "pmemarena-admin", 0, CONFIG_NAME_MAX,  NULL, false),
	KEY("log-level",         DAEMON(log_level),         type_choice,    "info", LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, log_levels, true),
	KEY("scrub-threads",     DAEMON(scrub_threads),     type_u32,       "1",              1,   64,       NULL,      false),
	KEY("scrub-rate",        DAEMON(scrub_rate),        type_size,      "0",              0,   0,        NULL,      true),
	KEY("verify-interval",   DAEMON(verify_interval_s), type_seconds,   "5min",           0,   604800,   NULL,      true),
	KEY("max-sessions",      DAEMON(max_sessions),      type_u32,       "4096",           1,   1000000,  NULL,      false),
	KEY("busy-poll-us",      DAEMON(busy_poll_us),      type_u32,       "0",              0,   1000000,  NULL,      false),
	KEY("max-mappings",      DAEMON(max_mappings),      type_u32,       "0",              0,   UINT32_MAX, NULL,    false),

	KEY("device",            ARENA(device),             type_device,    NULL,             0,   CONFIG_PATH_MAX, NULL,      false),
	KEY("metadata",          ARENA(metadata),           type_metadata,  "auto",           0,   CONFIG_PATH_MAX, NULL,      false),
	KEY("size",              ARENA(size),               type_size,      "0",              0,   0,        NULL,      false),
	KEY("page-size",         ARENA(page_size),          type_page_size, "2M",             0,   0,        NULL,      false),
	KEY("format",            ARENA(format),             type_choice,    "never",          0,   1,        formats,   false),
	KEY("keep-blocks",       ARENA(keep_blocks),        type_size,      "256M",           0,   0,        NULL,      false),
	KEY("memmap",            ARENA(memmap),             type_choice,    "dram",           0,   1,        memmaps,   false),
	KEY("slots",             ARENA(slots),              type_u64,       "0",              0,   1ULL << 32, NULL,    false),
	KEY("numa-node",         ARENA(numa_node),          type_node,      "auto",           0,   1023,     NULL,      false),

	KEY("bytes",             QUOTA(bytes),              type_size,      "0",              0,   0,        NULL,      true),
	KEY("allocations",       QUOTA(allocations),        type_u64,       "0",              0,   1ULL << 32, NULL,    true),
	KEY("sessions",          QUOTA(sessions),           type_u64,       "0",              0,   1000000,  NULL,      true),
	KEY("leased-bytes",      QUOTA(leased_bytes),       type_size,      "0",              0,   0,        NULL,      true),
};
const size_t nr_config_keys = sizeof(config_keys) / sizeof(*config_keys);

const struct config_key *config_key_find(enum config_section section, const char *name)
{
	for (size_t i = 0; i < nr_config_keys; i++) {
		if (config_keys[i].section == section && strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

#define NEAR_MAX 32

/* How many letters must be put in, taken out or changed to make one of the other. Both are shorter than NEAR_MAX. */
static size_t distance(const char *a, const char *b)
{
	size_t len = strlen(b), row[NEAR_MAX];

	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[len];
}

const struct config_key *config_key_nearest(enum config_section section, const char *name)
{
	const struct config_key *nearest = NULL;
	size_t least = 4;

	if (strlen(name) >= NEAR_MAX)
		return NULL;
	for (size_t i = 0; i < nr_config_keys; i++) {
		const struct config_key *key = &config_keys[i];
		size_t d = key->section == section ? distance(name, key->name) : least;

		/* More than a third of it wrong is another word. */
		if (d < least && d * 3 <= strlen(key->name) + 2) {
			least = d;
			nearest = key;
		}
	}
	return nearest;
}

void config_key_defaults(enum config_section section, void *base)
{
	for (size_t i = 0; i < nr_config_keys; i++) {
		const struct config_key *key = &config_keys[i];

		/* The table is ours: a default that does not parse is a bug that the tests find. */
		if (key->section == section && key->fallback && key->type->parse((char *)base + key->offset, key, key->fallback, NULL) < 0)
			abort();
	}
}

static size_t key_size(const struct config_key *key)
{
	return key->type->size ? key->type->size : key->max;
}

bool config_key_is_equal(const struct config_key *key, const void *a, const void *b)
{
	return memcmp((const char *)a + key->offset, (const char *)b + key->offset, key_size(key)) == 0;
}

void config_key_copy(const struct config_key *key, void *to, const void *from)
{
	memcpy((char *)to + key->offset, (const char *)from + key->offset, key_size(key));
}
