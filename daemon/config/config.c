/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config: what must hold between settings, what follows from other settings, and what a reload may
 * change. Single values are config_keys.c's; files and lines are config_reader.c's.
 */
#include <config.h>

#include "daemon/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_keys.h"
#include "daemon/config/config_reader.h"
#include "lib/wire/size.h"

/* ---- settings that follow from others ---- */

/* Fills in the path of a socket that was not set: @name in the runtime directory. */
static int fill_socket(char *socket, const struct config_daemon *daemon, const char *key,
		       const char *name, struct why *why)
{
	char path[CONFIG_SOCKET_MAX + 32];

	if (socket[0])
		return 0;
	snprintf(path, sizeof(path), "%s/%s", daemon->runtime_directory, name);
	if (strlen(path) >= CONFIG_SOCKET_MAX)
		return why_set(why, -EINVAL,
			       "%s would be %s, which is longer than the %d bytes that a socket's "
			       "path may have: set a shorter runtime-directory, or %s",
			       key, path, CONFIG_SOCKET_MAX - 1, key);
	strcpy(socket, path);
	return 0;
}

/* A user's section takes what it does not set from [quota default]. */
static void fill_quotas(struct config *config)
{
	for (size_t i = 1; i < config->nr_quotas; i++) {
		for (size_t k = 0; k < nr_config_keys; k++) {
			if (config_keys[k].section == CONFIG_QUOTA &&
			    !(config->quotas[i].set & UINT64_C(1) << k))
				config_key_copy(&config_keys[k], &config->quotas[i],
						&config->quotas[0]);
		}
	}
}

/* Fills in a list that was not set. The texts "*" and "-" need no look-up, so this cannot fail. */
static void fill_list(struct config_list *list, const char *text)
{
	if (list->text[0] == '\0')
		config_list_parse(list, CONFIG_LIST_BOTH, text, NULL);
}

/*
 * Fills in who may use the arena. If users or groups are named, those alone may; if neither is set,
 * everybody who can connect may.
 */
static void fill_access(struct config_arena *arena)
{
	bool is_open = arena->users.text[0] == '\0' && arena->groups.text[0] == '\0';

	fill_list(&arena->users, is_open ? "*" : "-");
	fill_list(&arena->groups, "-");
	fill_list(&arena->readers, "-");
}

/* Collects the mistakes of a configuration, and tells them to whoever asked. */
struct complaints {
	config_complain_fn *complain;   /* NULL: they are not told one by one */
	void       *arg;
	struct why *why;                /* NULL, or where the first mistake goes */
	int         err;                /* -errno of the first mistake; 0: there was none */
};

static void note(struct complaints *complaints, int r, const struct why *what)
{
	if (r == 0)
		return;
	if (!complaints->err) {
		complaints->err = r;
		why_set(complaints->why, r, "%s", what->text);
	}
	if (complaints->complain)
		complaints->complain(complaints->arg, what->text);
}

static void fill_in(struct config *config, struct complaints *complaints)
{
	struct config_daemon *daemon = &config->daemon;
	struct why what;

	fill_quotas(config);
	for (size_t i = 0; i < config->nr_arenas; i++)
		fill_access(&config->arenas[i]);
	note(complaints, fill_socket(daemon->socket, daemon, "socket", "pmemarena.sock", &what),
	     &what);
	note(complaints,
	     fill_socket(daemon->admin_socket, daemon, "admin-socket", "admin.sock", &what), &what);
}

/* ---- what must hold between settings ---- */

/*
 * Is it a device-dax, or a device that is looked for? Then no file is created and no size is
 * needed.
 */
static bool is_surely_no_file(const char *device)
{
	return strncmp(device, "/dev/dax", 8) == 0 || device[0] != '/';
}

static int check_size(const struct config_arena *arena, struct why *why)
{
	char size[SIZE_TEXT_MAX], page[SIZE_TEXT_MAX], next[SIZE_TEXT_MAX];

	if (arena->size == 0)
		return 0;
	if (is_surely_no_file(arena->device))
		return why_set(why, -EINVAL,
			       "size is for regular files only; %s has a size of its own: take the "
			       "line out",
			       arena->device);
	if (arena->size % arena->page_size) {
		uint64_t up = arena->size - arena->size % arena->page_size;

		if (up <= UINT64_MAX - arena->page_size)
			up += arena->page_size;
		return why_set(
			why, -EINVAL,
			"size %s is not a multiple of the arena's %s pages; did you mean %s?",
			size_text(size, arena->size), size_text(page, arena->page_size),
			size_text(next, up));
	}
	return 0;
}

/*
 * Refuses a list of readers whose members may write anyhow. Such a line changes nothing, though its
 * author believes that the arena is closed to them.
 */
static int check_access(const struct config_arena *arena, struct why *why)
{
	if (strcmp(arena->readers.text, "-") == 0 ||
	    !(arena->users.is_everyone || arena->groups.is_everyone))
		return 0;
	return why_set(why, -EINVAL,
		       "readers = %s has no effect: everyone who may connect may write, too; say "
		       "who may: users = NAME... or groups = NAME..., or users = - for root alone",
		       arena->readers.text);
}

/* Is the arena complete, and does no other arena have its device or its metadata? */
static int check_arena(const struct config *config, size_t i, struct why *why)
{
	const struct config_arena *arena = &config->arenas[i];

	if (!arena->device[0])
		return why_set(why, -EINVAL,
			       "no device is set; expected device = /dev/daxX.Y, a file's path, "
			       "uuid:UUID or auto");
	if (arena->metadata[0] == '/' && strcmp(arena->metadata, arena->device) == 0)
		return why_set(why, -EINVAL,
			       "metadata and device are both %s; for metadata on the device itself "
			       "write metadata = device",
			       arena->device);
	for (size_t j = 0; j < i; j++) {
		const struct config_arena *other = &config->arenas[j];

		if (strcmp(arena->device, other->device) == 0 && strcmp(arena->device, "auto") != 0)
			return why_set(why, -EINVAL, "device %s belongs to arena %s already",
				       arena->device, other->name);
		if (arena->metadata[0] == '/' && (strcmp(arena->metadata, other->metadata) == 0 ||
						  strcmp(arena->metadata, other->device) == 0))
			return why_set(why, -EINVAL, "metadata %s belongs to arena %s already",
				       arena->metadata, other->name);
		if (other->metadata[0] == '/' && strcmp(arena->device, other->metadata) == 0)
			return why_set(why, -EINVAL, "device %s is the metadata of arena %s",
				       arena->device, other->name);
	}
	if (check_access(arena, why) < 0)
		return -EINVAL;
	return check_size(arena, why);
}

/*
 * Checks all arenas but those with a line that was not understood: what follows from such a line
 * would be told as a second mistake.
 */
static void check(const struct config *config, struct complaints *complaints)
{
	struct why what;

	for (size_t i = 0; i < config->nr_arenas; i++) {
		int r = config->arenas[i].has_errors ? 0 : check_arena(config, i, &what);

		if (r < 0)
			note(complaints, why_add(&what, r, "[arena %s]: ", config->arenas[i].name),
			     &what);
	}
}

/* ---- loading ---- */

static int init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->quotas = calloc(1, sizeof(*config->quotas));
	if (!config->quotas)
		return -ENOMEM;
	config->nr_quotas = 1;
	config->quotas[0].is_default = true;
	strcpy(config->quotas[0].name, "default");
	config_key_defaults(CONFIG_QUOTA, &config->quotas[0]);
	config_key_defaults(CONFIG_DAEMON, &config->daemon);
	return 0;
}

int config_load_all(struct config *out, const struct config_sources *sources,
		    config_complain_fn *complain, void *arg, struct why *why)
{
	struct complaints complaints = { .complain = complain, .arg = arg, .why = why };
	struct config config;
	int r = init(&config);

	if (r < 0) {
		note(&complaints, r, &(struct why){ "out of memory" });
		return r;
	}
	complaints.err = config_read(&config, sources, complain, arg, why);
	if (complaints.err != -ENOMEM) {
		fill_in(&config, &complaints);
		check(&config, &complaints);
	}
	if (complaints.err) {
		config_fini(&config);
		return complaints.err;
	}
	*out = config;
	return 0;
}

int config_load(struct config *out, const struct config_sources *sources, struct why *why)
{
	return config_load_all(out, sources, NULL, NULL, why);
}

/* ---- an arena that comes later ---- */

/* Copies the arenas of @running, of which each has a name, and the defaults of all else. */
static int init_with(struct config *config, const struct config *running)
{
	int r = init(config);

	if (r < 0)
		return r;
	config->arenas = calloc(running->nr_arenas + 1, sizeof(*config->arenas));
	if (!config->arenas)
		return -ENOMEM;
	for (size_t i = 0; i < running->nr_arenas; i++) {
		if (running->arenas[i].name[0])
			config->arenas[config->nr_arenas++] = running->arenas[i];
	}
	return 0;
}

int config_arena_new(struct config_arena *out, const struct config *running, const char *name,
		     const char *const *settings, size_t nr, struct why *why)
{
	struct config config;
	size_t at;
	int r = init_with(&config, running);

	at = r < 0 ? 0 : config.nr_arenas;
	if (r == 0 && config_find_arena(&config, name))
		r = why_set(why, -EEXIST, "there is an arena %s already", name);
	if (r == 0)
		r = config_read_arena(&config, name, settings, nr, why);
	if (r == 0) {
		fill_access(&config.arenas[at]);
		r = check_arena(&config, at, why);
	}
	if (r == 0)
		*out = config.arenas[at];
	config_fini(&config);
	return r == -ENOMEM ? why_set(why, r, "out of memory") : r;
}

void config_fini(struct config *config)
{
	free(config->arenas);
	free(config->quotas);
	memset(config, 0, sizeof(*config));
}

const struct config_quota *config_quota(const struct config *config, uint32_t uid)
{
	for (size_t i = 1; i < config->nr_quotas; i++) {
		if (config->quotas[i].uid == uid)
			return &config->quotas[i];
	}
	return &config->quotas[0];
}

/* ---- printing ---- */

static void print_section(FILE *to, enum config_section section, const void *base)
{
	char value[CONFIG_PATH_MAX];

	for (size_t i = 0; i < nr_config_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->section != section)
			continue;
		key->type->print(value, sizeof(value), key, (const char *)base + key->offset);
		fprintf(to, "%s = %s\n", key->name, value);
	}
}

void config_print(const struct config *config, FILE *to)
{
	fprintf(to, "[daemon]\n");
	print_section(to, CONFIG_DAEMON, &config->daemon);
	for (size_t i = 0; i < config->nr_arenas; i++) {
		fprintf(to, "\n[arena %s]\n", config->arenas[i].name);
		print_section(to, CONFIG_ARENA, &config->arenas[i]);
	}
	for (size_t i = 0; i < config->nr_quotas; i++) {
		fprintf(to, "\n[quota %s]\n", config->quotas[i].name);
		print_section(to, CONFIG_QUOTA, &config->quotas[i]);
	}
}

void config_print_arena(const struct config_arena *arena, FILE *to)
{
	struct config_arena usual;
	char value[CONFIG_PATH_MAX];

	memset(&usual, 0, sizeof(usual));
	config_key_defaults(CONFIG_ARENA, &usual);
	fill_access(&usual);
	fprintf(to, "[arena %s]\n", arena->name);
	for (size_t i = 0; i < nr_config_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->section != CONFIG_ARENA || config_key_is_equal(key, arena, &usual))
			continue;
		key->type->print(value, sizeof(value), key, (const char *)arena + key->offset);
		fprintf(to, "%s = %s\n", key->name, value);
	}
}

/* ---- reloading ---- */

struct difference {
	char  *text;
	size_t size, len, nr;
};

/* Appends one setting to the text; what does not fit is cut off. */
static void differ(struct difference *difference, const char *arena, const char *what)
{
	int n = snprintf(difference->text + difference->len, difference->size - difference->len,
			 "%s%s%s%s%s", difference->nr ? ", " : "", arena ? "arena " : "",
			 arena ? arena : "", arena ? ": " : "", what);

	difference->nr++;
	difference->len += (size_t)n;
	if (difference->len >= difference->size)
		difference->len = difference->size - 1;
}

static void diff_section(struct difference *difference, enum config_section section,
			 const char *arena, const void *now, const void *next)
{
	for (size_t i = 0; i < nr_config_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->section == section && !key->reloadable &&
		    !config_key_is_equal(key, now, next))
			differ(difference, arena, key->name);
	}
}

const struct config_arena *config_find_arena(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->nr_arenas; i++) {
		if (strcmp(config->arenas[i].name, name) == 0)
			return &config->arenas[i];
	}
	return NULL;
}

size_t config_reload_diff(char *text, size_t size, const struct config *now,
			  const struct config *next)
{
	struct difference difference = { .text = text, .size = size };

	text[0] = '\0';
	diff_section(&difference, CONFIG_DAEMON, NULL, &now->daemon, &next->daemon);
	for (size_t i = 0; i < now->nr_arenas; i++) {
		const struct config_arena *arena = &now->arenas[i],
					  *other = config_find_arena(next, arena->name);

		if (other)
			diff_section(&difference, CONFIG_ARENA, arena->name, arena, other);
	}
	return difference.nr;
}

static void reload_section(enum config_section section, void *now, const void *next)
{
	for (size_t i = 0; i < nr_config_keys; i++) {
		if (config_keys[i].section == section && config_keys[i].reloadable)
			config_key_copy(&config_keys[i], now, next);
	}
}

void config_reload(struct config *now, struct config *next)
{
	struct config_quota *quotas = now->quotas;
	size_t nr_quotas = now->nr_quotas;

	reload_section(CONFIG_DAEMON, &now->daemon, &next->daemon);
	for (size_t i = 0; i < now->nr_arenas; i++) {
		const struct config_arena *arena = config_find_arena(next, now->arenas[i].name);

		/*
		 * An arena that is not in the new configuration any more keeps the rights that it
		 * had until nobody holds anything there.
		 */
		if (arena)
			reload_section(CONFIG_ARENA, &now->arenas[i], arena);
	}
	/* Quotas change as a whole. What @now had goes into @next, whose owner frees it. */
	now->quotas = next->quotas;
	now->nr_quotas = next->nr_quotas;
	next->quotas = quotas;
	next->nr_quotas = nr_quotas;
}
