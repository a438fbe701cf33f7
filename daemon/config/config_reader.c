/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_reader: reads the lines of files and of the command line, through libinih. libinih tells
 * its handler neither the line number, nor of a section that has no keys. So the function that
 * gives it the lines counts them, and looks at section headings itself.
 */
#include <config.h>

#include "daemon/config/config_reader.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/config_keys.h"
#include "daemon/config/config_line.h"
#include "daemon/config/config_list.h"

#define PLACE_MAX (PATH_MAX + 16)

struct reader {
	struct config *config;          /* borrowed */
	struct why    *why;             /* borrowed; NULL, or where the first mistake goes */
	config_complain_fn *complain;   /* told each mistake; NULL: nobody is */
	void          *arg;             /* for `complain` */
	int            err;             /* -errno of the first mistake; 0: there was none */
	size_t         nr_errors;
	bool           has_run_out;     /* memory ran out: there is no use in reading on */
	bool           is_asked;        /* an administrator gives the settings one by one */

	FILE          *file;            /* borrowed */
	/* borrowed; of the file, or (line 0) the setting of the command line */
	const char    *path;
	unsigned int   line;
	/* skips_section: it is no section, and its keys are not looked at */
	bool           has_section, skips_section;
	enum config_section section;
	size_t         index;           /* of the section among those of its kind */

	/* The keys that this file has set already: one that it sets a second time is refused. */
	struct seen {
		enum config_section section;
		size_t index;
		const struct config_key *key;
		unsigned int line;
	} *seen;
	size_t         nr_seen;
};

static int note_error(struct reader *reader, int err, const struct why *what)
{
	if (!reader->err) {
		reader->err = err;
		why_set(reader->why, err, "%s", what->text);
	}
	reader->nr_errors++;
	if (reader->complain)
		reader->complain(reader->arg, what->text);
	reader->has_run_out |= err == -ENOMEM;
	return err;
}

static int __attribute__((format(printf, 3, 4)))
complain(struct reader *reader, int err, const char *fmt, ...)
{
	struct why what;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	if (reader->line)
		why_add(&what, err, "%s:%u: ", reader->path, reader->line);
	else
		why_add(&what, err, reader->is_asked ? "%s: " : "-o %s: ", reader->path);
	/*
	 * Notes that the arena has a mistake. The checks of the arena as a whole are left out then:
	 * they would tell the same mistake a second time.
	 */
	if (reader->has_section && !reader->skips_section && reader->section == CONFIG_ARENA)
		reader->config->arenas[reader->index].has_errors = true;
	return note_error(reader, err, &what);
}

/* ---- sections ---- */

static void *section_base(const struct reader *reader)
{
	if (reader->section == CONFIG_ARENA)
		return &reader->config->arenas[reader->index];
	return reader->section == CONFIG_QUOTA ? (void *)&reader->config->quotas[reader->index]
					       : &reader->config->daemon;
}

static int enter(struct reader *reader, enum config_section section, size_t index)
{
	reader->has_section = true;
	reader->skips_section = false;
	reader->section = section;
	reader->index = index;
	return 0;
}

/*
 * Can an arena have this name? It goes into paths of the runtime directory and into settings with
 * dots, and is printed without quotes, so only letters, digits and a few signs are allowed.
 */
static bool is_arena_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len < CONFIG_NAME_MAX && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       len;
}

static int enter_arena(struct reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct config_arena *grown;

	if (!is_arena_name(name))
		return complain(reader, -EINVAL,
				"\"%s\" is not a name for an arena: 1 to %d letters, digits, '-', "
				"'_' or '.'",
				name, CONFIG_NAME_MAX - 1);
	for (size_t i = 0; i < config->nr_arenas; i++) {
		if (strcmp(config->arenas[i].name, name) == 0)
			return enter(reader, CONFIG_ARENA, i);
	}
	grown = reallocarray(config->arenas, config->nr_arenas + 1, sizeof(*grown));
	if (!grown)
		return complain(reader, -ENOMEM, "out of memory");
	config->arenas = grown;
	memset(&grown[config->nr_arenas], 0, sizeof(*grown));
	config_key_defaults(CONFIG_ARENA, &grown[config->nr_arenas]);
	strcpy(grown[config->nr_arenas].name, name);
	return enter(reader, CONFIG_ARENA, config->nr_arenas++);
}

static int enter_quota(struct reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct config_quota *grown;
	uint32_t uid;
	int r;

	if (strcmp(name, "default") == 0)
		return enter(reader, CONFIG_QUOTA, 0);
	r = strlen(name) < CONFIG_NAME_MAX ? config_find_uid(&uid, name) : -ENOENT;
	if (r == -EINVAL)
		return complain(reader, r, "\"%s\" is not a uid", name);
	if (r < 0)
		return complain(reader, -EINVAL,
				"there is no user \"%s\"; expected [quota default], or a user's "
				"name or uid",
				name);
	for (size_t i = 1; i < config->nr_quotas; i++) {
		if (config->quotas[i].uid == uid)
			return enter(reader, CONFIG_QUOTA, i);
	}
	grown = reallocarray(config->quotas, config->nr_quotas + 1, sizeof(*grown));
	if (!grown)
		return complain(reader, -ENOMEM, "out of memory");
	config->quotas = grown;
	memset(&grown[config->nr_quotas], 0, sizeof(*grown));
	config_key_defaults(CONFIG_QUOTA, &grown[config->nr_quotas]);
	strcpy(grown[config->nr_quotas].name, name);
	grown[config->nr_quotas].uid = uid;
	return enter(reader, CONFIG_QUOTA, config->nr_quotas++);
}

static int enter_section(struct reader *reader, const char *heading)
{
	size_t len = strcspn(heading, " \t");
	const char *name = heading + len + strspn(heading + len, " \t");

	if (strcmp(heading, "daemon") == 0)
		return enter(reader, CONFIG_DAEMON, 0);
	if (len == 5 && strncmp(heading, "arena", len) == 0 && *name)
		return enter_arena(reader, name);
	if (len == 5 && strncmp(heading, "quota", len) == 0 && *name)
		return enter_quota(reader, name);
	return complain(reader, -EINVAL,
			"unknown section [%s]; there are [daemon], [arena NAME], [quota default] "
			"and [quota USER]",
			heading);
}

/* ---- keys ---- */

static const char *const section_titles[] = { "[daemon]", "[arena NAME]", "[quota USER]" };

static int complain_unknown(struct reader *reader, const char *name)
{
	const struct config_key *near = config_key_nearest(reader->section, name);

	if (near)
		return complain(reader, -EINVAL, "unknown key \"%s\" in %s; did you mean %s?", name,
				section_titles[reader->section], near->name);
	for (enum config_section i = CONFIG_DAEMON; i <= CONFIG_QUOTA; i++) {
		if (config_key_find(i, name))
			return complain(reader, -EINVAL, "the key %s belongs into %s, not into %s",
					name, section_titles[i], section_titles[reader->section]);
	}
	return complain(reader, -EINVAL,
			"unknown key \"%s\" in %s; `man 5 pmemarenad.conf` lists them all", name,
			section_titles[reader->section]);
}

/*
 * Refuses a key that this file has set before. A drop-in or the command line may set again what an
 * earlier file set.
 */
static int note_seen(struct reader *reader, const struct config_key *key)
{
	struct seen *grown;

	for (size_t i = 0; i < reader->nr_seen; i++) {
		const struct seen *seen = &reader->seen[i];

		if (seen->key == key && seen->section == reader->section &&
		    seen->index == reader->index)
			return reader->is_asked
				       ? complain(reader, -EINVAL, "%s is given twice", key->name)
				       : complain(reader, -EINVAL, "%s was set at line %u already",
						  key->name, seen->line);
	}
	grown = reallocarray(reader->seen, reader->nr_seen + 1, sizeof(*grown));
	if (!grown)
		return complain(reader, -ENOMEM, "out of memory");
	reader->seen = grown;
	grown[reader->nr_seen++] =
		(struct seen){ reader->section, reader->index, key, reader->line };
	return 0;
}

static int set_key(struct reader *reader, const char *name, const char *value)
{
	const struct config_key *key = config_key_find(reader->section, name);
	struct why what = { "" };
	int r;

	if (!key)
		return complain_unknown(reader, name);
	r = reader->line || reader->is_asked ? note_seen(reader, key) : 0;
	if (r < 0)
		return r;
	if (value[0] == '\0')
		return complain(reader, -EINVAL, "%s has no value%s%s", key->name,
				key->fallback && key->fallback[0] ? "; the default is " : "",
				key->fallback ? key->fallback : "");
	r = key->type->parse((char *)section_base(reader) + key->offset, key, value, &what);
	if (r < 0)
		return complain(reader, r, "%s: %s", key->name, what.text);
	if (reader->section == CONFIG_QUOTA)
		reader->config->quotas[reader->index].set |=
			UINT64_C(1) << (key - config_keys);
	return 0;
}

/* ---- files ---- */

/* Reads "[NAME]", which a comment may follow. */
static void read_heading(struct reader *reader, const char *line)
{
	/* Until the heading is known to be a section, its keys belong nowhere. */
	reader->has_section = reader->skips_section = true;
	size_t len = strcspn(line + 1, "]");
	const char *rest = line + 1 + len;
	char heading[CONFIG_NAME_MAX * 2];

	if (*rest != ']') {
		complain(reader, -EINVAL, "no ']' closes the name of the section");
		return;
	}
	rest += 1 + strspn(rest + 1, " \t\r\n");
	if (*rest && *rest != ';' && *rest != '#') {
		complain(reader, -EINVAL, "nothing but a comment may follow the name of a section");
		return;
	}
	if (len >= sizeof(heading)) {
		complain(reader, -EINVAL, "the name of the section is longer than %zu bytes",
			 sizeof(heading) - 1);
		return;
	}
	snprintf(heading, sizeof(heading), "%.*s", (int)len, line + 1);
	enter_section(reader, heading);
}

static void skip_line(FILE *file)
{
	int c;

	do {
		c = getc(file);
	} while (c != EOF && c != '\n');
}

/*
 * Gives libinih its lines, in the place of fgets(). Blanks at the beginning are cut off: libinih
 * would take an indented line for one more value of the key above it.
 */
static char *read_line(char *line, int size, void *arg)
{
	struct reader *reader = arg;

	if (reader->has_run_out || !fgets(line, size, reader->file))
		return NULL;
	reader->line++;
	if (!strchr(line, '\n') && !feof(reader->file)) {
		complain(reader, -EINVAL,
			 "the line is longer than %d bytes, or has a NUL byte in it", size - 2);
		skip_line(reader->file);
		line[0] = '\0';
		return line;
	}
	config_line_trim(line, reader->line == 1);
	if (line[0] == '[') {
		read_heading(reader, line);
		line[0] = '\0';
	} else if (!config_line_is_pair(line)) {
		complain(reader, -EINVAL, "expected KEY = VALUE or [SECTION]");
		line[0] = '\0';
	}
	return line;
}

static int take_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *reader = arg;

	if (reader->skips_section)
		return 1;
	if (!reader->has_section)
		return complain(reader, -EINVAL,
				"the key %s stands before the first section; begin with [daemon]",
				name) == 0;
	return set_key(reader, name, value) == 0;
}

static int read_stream(struct reader *reader)
{
	size_t nr_before = reader->nr_errors;
	int bad_line = ini_parse_stream(read_line, reader, take_pair, reader);

	/* If libinih found a mistake that was not told here, the file must not pass for right. */
	if (bad_line > 0 && reader->nr_errors == nr_before) {
		reader->line = (unsigned int)bad_line;
		complain(reader, -EINVAL, "expected KEY = VALUE or [SECTION]");
	} else if (bad_line < 0 || ferror(reader->file)) {
		complain(reader, errno ? -errno : -EIO, "%s", strerror(errno ? errno : EIO));
	}
	return reader->err;
}

static int complain_path(struct reader *reader, const char *path)
{
	struct why what;
	int r = -errno;

	why_set(&what, r, "%s: %s", path, strerror(-r));
	return note_error(reader, r, &what);
}

static int read_file(struct reader *reader, const char *path)
{
	int r;

	reader->path = path;
	reader->line = 0;
	reader->has_section = reader->skips_section = false;
	reader->nr_seen = 0;
	reader->file = fopen(path, "re");
	if (!reader->file)
		return complain_path(reader, path);
	errno = 0;
	r = read_stream(reader);
	fclose(reader->file);
	return r;
}

static int is_drop_in(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

/* Compares names as bytes and not by the locale: 10-a comes before 20-b everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_drop_ins(struct reader *reader, const char *file)
{
	char dir[PATH_MAX], path[PATH_MAX + 256];
	struct dirent **entries;
	int nr;

	if (snprintf(dir, sizeof(dir), "%s.d", file) >= (int)sizeof(dir))
		return errno = ENAMETOOLONG, complain_path(reader, file);
	nr = scandir(dir, &entries, is_drop_in, by_name);
	if (nr < 0)
		return errno == ENOENT ? 0 : complain_path(reader, dir);
	for (int i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		if (!reader->has_run_out)
			read_file(reader, path);
		free(entries[i]);
	}
	free(entries);
	return reader->err;
}

/* ---- command line ---- */

/*
 * Takes a setting of the command line: "socket=...", "arena.NAME.device=..." or
 * "quota.USER.bytes=...". Names may have dots in them, keys have none.
 */
static int set_override(struct reader *reader, const char *setting)
{
	const char *equals = strchr(setting, '=');
	char key[CONFIG_NAME_MAX * 2], *dot;
	char heading[sizeof(key)];

	reader->path = setting;
	reader->line = 0;
	reader->has_section = reader->skips_section = false;
	if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof(key))
		return complain(reader, -EINVAL,
				"expected KEY=VALUE, arena.NAME.KEY=VALUE or quota.USER.KEY=VALUE");
	snprintf(key, sizeof(key), "%.*s", (int)(equals - setting), setting);
	dot = strrchr(key, '.');
	if (dot) {
		*dot = '\0';
		snprintf(heading, sizeof(heading), "%s", key);
		if (strchr(heading, '.'))
			*strchr(heading, '.') = ' ';
		if (enter_section(reader, heading) < 0)
			return reader->err;
	} else {
		enter(reader, CONFIG_DAEMON, 0);
	}
	return set_key(reader, dot ? dot + 1 : key, equals + 1);
}

static int read_all(struct reader *reader, const struct config_sources *sources)
{
	const char *file = sources->file ? sources->file : PMEMARENA_CONF;

	if (sources->file || access(file, F_OK) == 0 || errno != ENOENT)
		read_file(reader, file);
	read_drop_ins(reader, file);
	for (size_t i = 0; !reader->has_run_out && i < sources->nr_overrides; i++)
		set_override(reader, sources->overrides[i]);
	return reader->err;
}

int config_read(struct config *into, const struct config_sources *sources, config_complain_fn *tell,
		void *arg, struct why *why)
{
	struct reader reader = { .config = into, .why = why, .complain = tell, .arg = arg };
	int r = read_all(&reader, sources);

	free(reader.seen);
	return r;
}

/* Takes one setting of an administrator, KEY=VALUE. */
static int set_pair(struct reader *reader, const char *setting)
{
	const char *equals = strchr(setting, '=');
	char key[CONFIG_NAME_MAX];

	reader->path = setting;
	if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof(key))
		return complain(reader, -EINVAL, "expected KEY=VALUE");
	snprintf(key, sizeof(key), "%.*s", (int)(equals - setting), setting);
	return set_key(reader, key, equals + 1);
}

int config_read_arena(struct config *into, const char *name, const char *const *settings, size_t nr,
		      struct why *why)
{
	struct reader reader = { .config = into, .why = why, .path = name, .is_asked = true };
	int r = enter_arena(&reader, name);

	for (size_t i = 0; r == 0 && i < nr; i++)
		r = set_pair(&reader, settings[i]);
	free(reader.seen);
	return r;
}
