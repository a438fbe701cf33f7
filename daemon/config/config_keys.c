/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_keys: the table of all keys: where each value goes, its default and its bounds. It knows
 * no file and no line; what must hold between keys is config.c's, and how the values of a type are
 * read and printed is config_values.c's.
 */
#include <config.h>

#include "daemon/config/config_keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config.h"
#include "daemon/config/config_list.h"
#include "daemon/config/config_values.h"
#include "daemon/log.h"

static const char *const log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const formats[] = { "never", "if-blank", NULL };
static const char *const evicts[] = { "own", "any", NULL };
static const char *const memmaps[] = { "dram", "device", NULL };

#define DAEMON(field) CONFIG_DAEMON, offsetof(struct config_daemon, field)
#define ARENA(field)  CONFIG_ARENA, offsetof(struct config_arena, field)
#define QUOTA(field)  CONFIG_QUOTA, offsetof(struct config_quota, field)

#define KEY(name_, where, type_, fallback_, min_, max_, choices_, reloadable_) \
	KEY_(name_, where, type_, fallback_, min_, max_, choices_, reloadable_)
#define KEY_(name_, section_, offset_, type_, fallback_, min_, max_, choices_, reloadable_) \
	{ section_, name_, offset_, &type_, fallback_, min_, max_, choices_, reloadable_ }

const struct config_key config_keys[] = {
	/*
	 * Each entry has name, field and type; on the next line default, min, max, choices,
	 * reloadable.
	 */
	KEY("runtime-directory", DAEMON(runtime_directory), config_value_directory,
	    "/run/pmemarena", 0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("state-directory", DAEMON(state_directory), config_value_directory,
	    "/var/lib/pmemarena", 0, CONFIG_PATH_MAX, NULL, false),
	KEY("socket", DAEMON(socket), config_value_socket,
	    "", 0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("admin-socket", DAEMON(admin_socket), config_value_socket,
	    "", 0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("metrics-listen", DAEMON(metrics_listen), config_value_listen,
	    "off", 0, CONFIG_SOCKET_MAX, NULL, false),
	KEY("admin-group", DAEMON(admin_group), config_value_group,
	    "pmemarena-admin", 0, CONFIG_NAME_MAX, NULL, false),
	KEY("log-level", DAEMON(log_level), config_value_choice,
	    "info", LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, log_levels, true),
	KEY("scrub-threads", DAEMON(scrub_threads), config_value_u32,
	    "1", 1, 64, NULL, false),
	KEY("scrub-rate", DAEMON(scrub_rate), config_value_size,
	    "0", 0, 0, NULL, true),
	KEY("verify-interval", DAEMON(verify_interval_s), config_value_seconds,
	    "5min", 0, 604800, NULL, true),
	KEY("grace", DAEMON(grace_s), config_value_seconds,
	    "10s", 0, 3600, NULL, true),
	KEY("max-sessions", DAEMON(max_sessions), config_value_u32,
	    "4096", 1, 1000000, NULL, false),
	KEY("busy-poll-us", DAEMON(busy_poll_us), config_value_u32,
	    "0", 0, 1000000, NULL, false),
	KEY("max-mappings", DAEMON(max_mappings), config_value_u32,
	    "0", 0, UINT32_MAX, NULL, false),

	KEY("device", ARENA(device), config_value_device,
	    NULL, 0, CONFIG_PATH_MAX, NULL, false),
	KEY("metadata", ARENA(metadata), config_value_metadata,
	    "auto", 0, CONFIG_PATH_MAX, NULL, false),
	KEY("size", ARENA(size), config_value_size,
	    "0", 0, 0, NULL, true),
	KEY("page-size", ARENA(page_size), config_value_page_size,
	    "2M", 0, 0, NULL, false),
	KEY("format", ARENA(format), config_value_choice,
	    "never", 0, 1, formats, false),
	KEY("keep-blocks", ARENA(keep_blocks), config_value_size,
	    "256M", 0, 0, NULL, false),
	KEY("memmap", ARENA(memmap), config_value_choice,
	    "dram", 0, 1, memmaps, false),
	KEY("evict", ARENA(evict), config_value_choice,
	    "own", 0, 1, evicts, true),
	KEY("evict-above", ARENA(evict_above), config_value_u32,
	    "0", 0, 100, NULL, true),
	KEY("device-grace", ARENA(device_grace_s), config_value_seconds,
	    "0", 0, 86400, NULL, true),
	KEY("slots", ARENA(slots), config_value_u64,
	    "0", 0, 1ULL << 32, NULL, false),
	KEY("numa-node", ARENA(numa_node), config_value_node,
	    "auto", 0, 1023, NULL, false),
	KEY("users", ARENA(users), config_value_users,
	    "", 0, CONFIG_LIST_TEXT, NULL, true),
	KEY("groups", ARENA(groups), config_value_groups,
	    "", 0, CONFIG_LIST_TEXT, NULL, true),
	KEY("readers", ARENA(readers), config_value_readers,
	    "", 0, CONFIG_LIST_TEXT, NULL, true),

	KEY("hosts", ARENA(hosts), config_value_hosts,
	    "-", 0, CONFIG_HOSTS_MAX, NULL, false),

	KEY("bytes", QUOTA(bytes), config_value_size,
	    "0", 0, 0, NULL, true),
	KEY("allocations", QUOTA(allocations), config_value_share_u64,
	    "share", 0, 1ULL << 32, NULL, true),
	KEY("sessions", QUOTA(sessions), config_value_share_u64,
	    "share", 0, 1000000, NULL, true),
	KEY("leased-bytes", QUOTA(leased_bytes), config_value_share_size,
	    "share", 0, 0, NULL, true),
};
_Static_assert(sizeof(config_keys) / sizeof(*config_keys) <= 64,
	       "config_quota.set has a bit for each key");
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

/*
 * Returns how many letters of @a must be added, dropped or changed to get @b. Both are shorter than
 * NEAR_MAX.
 */
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

		/*
		 * A key of which more than a third of the letters differs is another word, and no
		 * suggestion.
		 */
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

		/*
		 * A default that cannot be parsed is a mistake in the table above, which the tests
		 * find.
		 */
		if (key->section == section && key->fallback &&
		    key->type->parse((char *)base + key->offset, key, key->fallback, NULL) < 0)
			abort();
	}
}

/*
 * Returns the size of a key's field. The type of texts has none: such a field is as large as its
 * longest text.
 */
static size_t key_size(const struct config_key *key)
{
	return key->type->size ? key->type->size : key->max;
}

bool config_key_is_equal(const struct config_key *key, const void *a, const void *b)
{
	return memcmp((const char *)a + key->offset, (const char *)b + key->offset,
		      key_size(key)) == 0;
}

void config_key_copy(const struct config_key *key, void *to, const void *from)
{
	memcpy((char *)to + key->offset, (const char *)from + key->offset, key_size(key));
}
