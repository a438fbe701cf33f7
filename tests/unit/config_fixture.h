/* SPDX-License-Identifier: BSD-3-Clause */
/* config_fixture: a configuration in a directory of its own, and what loading it says. */
#ifndef PMEMARENA_TESTS_CONFIG_FIXTURE_H
#define PMEMARENA_TESTS_CONFIG_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/config.h"
#include "daemon/config/config_keys.h"
#include "tests/unit/unit.h"

static char dir[64], file[128];
static struct config config;
static struct why why;

static inline void setup(void)
{
	strcpy(dir, "/tmp/test_config.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/pmemarenad.conf", dir);
	memset(&config, 0, sizeof(config));
	memset(&why, 0, sizeof(why));
}

static inline void remove_tree(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	ck_assert_int_eq(system(command), 0);
}

static inline void teardown(void)
{
	config_fini(&config);
	remove_tree(dir);
}

static inline void write_at(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static inline void write_conf(const char *text)
{
	write_at(file, text, strlen(text));
}

static inline void write_drop_in(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s.d", file);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s.d/%s", file, name);
	write_at(path, text, strlen(text));
}

static inline int load_with(const char *const *overrides, size_t nr)
{
	struct config_sources sources = { file, overrides, nr };

	config_fini(&config);
	return config_load(&config, &sources, &why);
}

static inline int load(void)
{
	return load_with(NULL, 0);
}

#define assert_says(part) \
	ck_assert_msg(strstr(why.text, part) != NULL, "\"%s\" does not say \"%s\"", why.text, part)

#define assert_refuses(conf, part)                                 \
	do {                                                       \
		write_conf(conf);                                  \
		why.text[0] = '\0';                                \
		ck_assert_int_eq(load(), -EINVAL);                 \
		assert_says(part);                                 \
	} while (0)

static inline void assert_override(int expected, const char *setting, const char *part)
{
	write_conf("[arena a]\ndevice = /a\n");
	why.text[0] = '\0';
	ck_assert_msg(load_with(&setting, 1) == expected, "%s: %s", setting, why.text);
	if (part)
		assert_says(part);
}

#endif
