/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config: every key's default and bounds, files, drop-ins, the command line, what the messages say, reload.
 */
#include <config.h>

#include "daemon/config.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config_keys.h"

static char dir[64], file[128];
static struct config config;
static struct why why;

static void setup(void)
{
	strcpy(dir, "/tmp/test_config.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/pmemarenad.conf", dir);
	memset(&config, 0, sizeof(config));
	memset(&why, 0, sizeof(why));
}

static void remove_tree(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	ck_assert_int_eq(system(command), 0);
}

static void teardown(void)
{
	config_fini(&config);
	remove_tree(dir);
}

static void write_at(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static void write_conf(const char *text)
{
	write_at(file, text, strlen(text));
}

static void write_drop_in(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s.d", file);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s.d/%s", file, name);
	write_at(path, text, strlen(text));
}

static int load_with(const char *const *overrides, size_t nr)
{
	struct config_sources sources = { file, overrides, nr };

	config_fini(&config);
	return config_load(&config, &sources, &why);
}

static int load(void)
{
	return load_with(NULL, 0);
}

#define assert_says(part) ck_assert_msg(strstr(why.text, part) != NULL, "\"%s\" does not say \"%s\"", why.text, part)

#define assert_refuses(conf, part)                                 \
	do {                                                       \
		write_conf(conf);                                  \
		why.text[0] = '\0';                                \
		ck_assert_int_eq(load(), -EINVAL);                 \
		assert_says(part);                                 \
	} while (0)

static void assert_override(int expected, const char *setting, const char *part)
{
	write_conf("[arena a]\ndevice = /a\n");
	why.text[0] = '\0';
	ck_assert_msg(load_with(&setting, 1) == expected, "%s: %s", setting, why.text);
	if (part)
		assert_says(part);
}

/* ---- defaults ---- */

START_TEST(test_config_empty_file_gives_defaults)
{
	write_conf("");
	ck_assert_int_eq(load(), 0);
	ck_assert_str_eq(config.daemon.runtime_directory, "/run/pmemarena");
	ck_assert_str_eq(config.daemon.socket, "/run/pmemarena/pmemarena.sock");
	ck_assert_str_eq(config.daemon.admin_socket, "/run/pmemarena/admin.sock");
	ck_assert_str_eq(config.daemon.metrics_listen, "");
	ck_assert_str_eq(config.daemon.admin_group, "pmemarena-admin");
	ck_assert_uint_eq(config.daemon.log_level, LOG_LEVEL_INFO);
	ck_assert_uint_eq(config.daemon.scrub_threads, 1);
	ck_assert_uint_eq(config.daemon.scrub_rate, 0);
	ck_assert_uint_eq(config.daemon.verify_interval_s, 300);
	ck_assert_uint_eq(config.daemon.max_sessions, 4096);
	ck_assert_uint_eq(config.daemon.busy_poll_us, 0);
	ck_assert_uint_eq(config.daemon.max_mappings, 0);
	ck_assert_uint_eq(config.nr_arenas, 0);
	ck_assert_uint_eq(config.nr_quotas, 1);
	ck_assert(config.quotas[0].is_default);
}
END_TEST

START_TEST(test_config_arena_defaults)
{
	write_conf("[arena main]\ndevice = /dev/dax0.0\n");
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(config.nr_arenas, 1);
	ck_assert_str_eq(config.arenas[0].name, "main");
	ck_assert_str_eq(config.arenas[0].device, "/dev/dax0.0");
	ck_assert_str_eq(config.arenas[0].metadata, "auto");
	ck_assert_uint_eq(config.arenas[0].size, 0);
	ck_assert_uint_eq(config.arenas[0].page_size, 2 << 20);
	ck_assert_uint_eq(config.arenas[0].format, CONFIG_FORMAT_NEVER);
	ck_assert_uint_eq(config.arenas[0].keep_blocks, UINT64_C(256) << 20);
	ck_assert_uint_eq(config.arenas[0].memmap, CONFIG_MEMMAP_DRAM);
	ck_assert_uint_eq(config.arenas[0].slots, 0);
	ck_assert_int_eq(config.arenas[0].numa_node, -1);
}
END_TEST

static const char *section_prefix(const struct config_key *key)
{
	static const char *const prefixes[] = { "", "arena.a.", "quota.default." };

	return prefixes[key->section];
}

/* What the table calls the default is what one gets by writing it, and what is printed reads back. */
START_TEST(test_config_every_default_can_be_written)
{
	const struct config_key *key = &config_keys[_i];
	char setting[256];
	struct config as_is;

	if (!key->fallback || !key->fallback[0])
		return;
	write_conf("[arena a]\ndevice = /a\n");
	ck_assert_int_eq(load(), 0);
	as_is = config;
	memset(&config, 0, sizeof(config));
	snprintf(setting, sizeof(setting), "%s%s=%s", section_prefix(key), key->name, key->fallback);
	ck_assert_msg(load_with((const char *[]){ setting }, 1) == 0, "%s: %s", setting, why.text);
	ck_assert(key->section != CONFIG_DAEMON || config_key_is_equal(key, &config.daemon, &as_is.daemon));
	ck_assert(key->section != CONFIG_ARENA || config_key_is_equal(key, config.arenas, as_is.arenas));
	ck_assert(key->section != CONFIG_QUOTA || config_key_is_equal(key, config.quotas, as_is.quotas));
	config_fini(&as_is);
}
END_TEST

/* The installed file explains every key, with the default that holds. */
START_TEST(test_config_installed_file_has_every_key)
{
	const struct config_key *key = &config_keys[_i];
	const char *srcdir = getenv("srcdir");
	char path[4096], line[512], expected[64];
	bool is_there = false, is_default = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/config/pmemarenad.conf", srcdir ? srcdir : ".");
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	snprintf(expected, sizeof(expected), "#%s = ", key->name);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, expected, strlen(expected)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		is_there = true;
		is_default |= !key->fallback || !key->fallback[0] || strcmp(line + strlen(expected), key->fallback) == 0;
	}
	fclose(f);
	ck_assert_msg(is_there, "%s is not in %s", key->name, path);
	ck_assert_msg(is_default, "%s in %s is not %s", key->name, path, key->fallback);
}
END_TEST

START_TEST(test_config_manual_has_every_key)
{
	const struct config_key *key = &config_keys[_i];
	const char *srcdir = getenv("srcdir");
	char path[4096], line[512], expected[64];
	bool is_there = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/doc/pmemarenad.conf.5", srcdir ? srcdir : ".");
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	snprintf(expected, sizeof(expected), ".It Cm %s", key->name);
	while (fgets(line, sizeof(line), f))
		is_there |= strncmp(line, expected, strlen(expected)) == 0 && key->reloadable == (strstr(line, "Em reload") != NULL);
	fclose(f);
	ck_assert_msg(is_there, "%s, or whether a reload takes it, is not in %s", key->name, path);
}
END_TEST

START_TEST(test_config_installed_file_loads)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];

	snprintf(path, sizeof(path), "%s/config/pmemarenad.conf", srcdir ? srcdir : ".");
	ck_assert_msg(config_load(&config, &(struct config_sources){ path, NULL, 0 }, &why) == 0, "%s", why.text);
	ck_assert_uint_eq(config.nr_arenas, 0);
}
END_TEST

/* ---- values ---- */

static const struct { const char *setting; bool is_good; } values[] = {
	{ "runtime-directory=/tmp/x", true }, { "runtime-directory=run", false }, { "runtime-directory=", false },
	{ "socket=/tmp/s", true }, { "socket=@pmemarena", true }, { "socket=@", false }, { "socket=s", false },
	{ "admin-socket=/tmp/a", true }, { "admin-socket=a", false },
	{ "metrics-listen=off", true }, { "metrics-listen=127.0.0.1:9847", true }, { "metrics-listen=[::1]:9847", true },
	{ "metrics-listen=/run/m", true }, { "metrics-listen=:9847", false }, { "metrics-listen=127.0.0.1", false },
	{ "metrics-listen=127.0.0.1:0", false }, { "metrics-listen=127.0.0.1:65535", true }, { "metrics-listen=127.0.0.1:65536", false },
	{ "metrics-listen=127.0.0.1:1K", false }, { "metrics-listen=on", false },
	{ "admin-group=wheel", true }, { "admin-group=", false },
	{ "log-level=error", true }, { "log-level=debug", true }, { "log-level=Debug", false }, { "log-level=7", false },
	{ "scrub-threads=1", true }, { "scrub-threads=64", true }, { "scrub-threads=0", false }, { "scrub-threads=65", false },
	{ "scrub-threads=-1", false }, { "scrub-threads=1K", false }, { "scrub-threads=four", false }, { "scrub-threads=1 1", false },
	{ "scrub-rate=0", true }, { "scrub-rate=1.5G", true }, { "scrub-rate=-1", false }, { "scrub-rate=fast", false },
	{ "scrub-rate=18446744073709551615", true }, { "scrub-rate=18446744073709551616", false }, { "scrub-rate=16E", false },
	{ "verify-interval=0", true }, { "verify-interval=90s", true }, { "verify-interval=7d", true }, { "verify-interval=8d", false },
	{ "verify-interval=5m", false }, { "verify-interval=s", false }, { "verify-interval=99999999999999999999s", false },
	{ "metrics-listen=;:5", false }, { "metrics-listen=a;b:5", true },
	{ "max-sessions=1", true }, { "max-sessions=0", false }, { "max-sessions=1000001", false },
	{ "busy-poll-us=1000000", true }, { "busy-poll-us=1000001", false },
	{ "max-mappings=0", true }, { "max-mappings=2000", true }, { "max-mappings=-1", false }, { "max-mappings=4294967296", false },
	{ "arena.a.device=/dev/dax0.0", true }, { "arena.a.device=auto", true }, { "arena.a.device=dax0.0", false },
	{ "arena.a.device=uuid:6a57ce3f-0e2c-4f1f-9c1c-2b6a6f2f3d11", true }, { "arena.a.device=uuid:6a57", false },
	{ "arena.a.metadata=auto", true }, { "arena.a.metadata=device", true }, { "arena.a.metadata=/meta", true },
	{ "arena.a.metadata=/a", false }, { "arena.a.metadata=none", false },
	{ "arena.a.size=64G", true }, { "arena.a.size=3M", false }, { "arena.a.size=4M", true }, { "arena.a.size=x", false },
	{ "arena.a.size=0x200000", true }, { "arena.a.size=1 GiB", true }, { "arena.a.size=17179869184G", false },
	{ "arena.a.page-size=4K", true }, { "arena.a.page-size=4096", true }, { "arena.a.page-size=1G", true },
	{ "arena.a.page-size=4M", false }, { "arena.a.page-size=0", false },
	{ "arena.a.format=never", true }, { "arena.a.format=if-blank", true }, { "arena.a.format=always", false },
	{ "arena.a.keep-blocks=0", true }, { "arena.a.keep-blocks=1G", true }, { "arena.a.keep-blocks=some", false },
	{ "arena.a.memmap=dram", true }, { "arena.a.memmap=device", true }, { "arena.a.memmap=disk", false },
	{ "arena.a.slots=100000", true }, { "arena.a.slots=4294967297", false },
	{ "arena.a.numa-node=auto", true }, { "arena.a.numa-node=0", true }, { "arena.a.numa-node=1024", false },
	{ "arena.a.numa-node=-1", false },
	{ "arena.a.b.device=/x", true }, { "arena..device=/x", false }, { "arena.a b.device=/x", false },
	{ "quota.default.bytes=1T", true }, { "quota.root.bytes=1T", true }, { "quota.0.bytes=1T", true },
	{ "quota.4294967294.bytes=1T", true }, { "quota.4294967295.bytes=1T", false }, { "quota.1x.bytes=1T", false },
	{ "quota.no-such-user-here.bytes=1T", false }, { "quota.default.allocations=10", true },
	{ "quota.default.allocations=10K", false }, { "quota.default.sessions=5", true }, { "quota.default.leased-bytes=1G", true },
	{ "socket", false }, { "=x", false }, { "", false }, { "sokcet=/x", false }, { "arena.a=/x", false }, { "other.a.b=c", false },
	{ "socket=/tmp/a\nb", false }, { "socket=/tmp/a ;b", false },
};

START_TEST(test_config_value_is_taken_or_refused_with_a_reason)
{
	assert_override(values[_i].is_good ? 0 : -EINVAL, values[_i].setting, NULL);
	if (!values[_i].is_good)
		ck_assert_uint_gt(strlen(why.text), 0);
}
END_TEST

START_TEST(test_config_values_land_where_they_belong)
{
	write_conf("[daemon]\nlog-level = debug\nscrub-rate = 1.5G ; a comment\nverify-interval: 1h\n"
		   "  busy-poll-us = 20\n"
		   "[arena one]\ndevice = /one\nsize = 1T\npage-size = 1G\nformat = if-blank\nmemmap = device\nslots = 7\nnuma-node = 1\n"
		   "[arena two] # the second\ndevice = /two\nmetadata = /two.meta\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_uint_eq(config.daemon.log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(config.daemon.scrub_rate, 3ULL << 29);
	ck_assert_uint_eq(config.daemon.verify_interval_s, 3600);
	ck_assert_uint_eq(config.daemon.busy_poll_us, 20);
	ck_assert_uint_eq(config.nr_arenas, 2);
	ck_assert_uint_eq(config.arenas[0].size, 1ULL << 40);
	ck_assert_uint_eq(config.arenas[0].page_size, 1ULL << 30);
	ck_assert_uint_eq(config.arenas[0].format, CONFIG_FORMAT_IF_BLANK);
	ck_assert_uint_eq(config.arenas[0].memmap, CONFIG_MEMMAP_DEVICE);
	ck_assert_uint_eq(config.arenas[0].slots, 7);
	ck_assert_int_eq(config.arenas[0].numa_node, 1);
	ck_assert_str_eq(config.arenas[1].name, "two");
	ck_assert_str_eq(config.arenas[1].metadata, "/two.meta");
}
END_TEST

START_TEST(test_config_sockets_follow_the_runtime_directory)
{
	assert_override(0, "runtime-directory=/tmp/there", NULL);
	ck_assert_str_eq(config.daemon.socket, "/tmp/there/pmemarena.sock");
	ck_assert_str_eq(config.daemon.admin_socket, "/tmp/there/admin.sock");
}
END_TEST

START_TEST(test_config_runtime_directory_too_long_for_sockets_is_refused)
{
	assert_override(-EINVAL, "runtime-directory=/123456789/123456789/123456789/123456789/123456789/123456789/123456789"
				 "/123456789/123456789/123456789", "longer than the 107 bytes");
}
END_TEST

/* ---- what the messages say ---- */

START_TEST(test_config_unknown_key_names_file_line_and_the_nearest)
{
	char place[160];

	assert_refuses("[daemon]\n\n# one\nsokcet = /x\n", "did you mean socket?");
	snprintf(place, sizeof(place), "%s:4: ", file);
	assert_says(place);
	assert_refuses("[daemon]\nscrub-thread = 2\n", "did you mean scrub-threads?");
	assert_refuses("[daemon]\nbusy_poll_us = 2\n", "did you mean busy-poll-us?");
	assert_refuses("[daemon]\nLog-Level = info\n", "did you mean log-level?");
	assert_refuses("[arena a]\ndevise = /x\n", "did you mean device?");
}
END_TEST

START_TEST(test_config_unknown_key_with_nothing_near_says_where_they_are_listed)
{
	assert_refuses("[daemon]\ncolour = red\n", "unknown key \"colour\" in [daemon]");
	assert_says("man 5 pmemarenad.conf");
	assert_refuses("[daemon]\nabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz = red\n", "unknown key");
}
END_TEST

START_TEST(test_config_key_of_another_section_says_which)
{
	assert_refuses("[daemon]\npage-size = 2M\n", "belongs into [arena NAME]");
	assert_refuses("[arena a]\nlog-level = info\n", "belongs into [daemon]");
}
END_TEST

START_TEST(test_config_unknown_section_lists_the_known_ones)
{
	assert_refuses("[deamon]\n", "there are [daemon], [arena NAME], [quota default]");
	assert_refuses("[arena]\n", "unknown section [arena]");
	assert_refuses("[arena  ]\n", "unknown section");
	assert_refuses("[quota]\n", "unknown section");
}
END_TEST

START_TEST(test_config_syntax_errors_name_their_line)
{
	assert_refuses("[daemon]\nsocket\n", ":2: expected KEY = VALUE");
	assert_refuses("[daemon\nsocket = /x\n", ":1: no ']'");
	assert_refuses("[daemon] socket = /x\n", ":1: nothing but a comment");
	assert_refuses("socket = /x\n", ":1: the key socket stands before the first section");
	assert_refuses("[daemon]\nsocket =\n", ":2: socket has no value");
	assert_refuses("[daemon]\nnonsense\nlog-level = loud\n", ":2: expected KEY = VALUE");
	assert_refuses("[daemon]\nlog-level = loud\nnonsense\n", ":2: log-level: \"loud\" is none of: error, warning");
}
END_TEST

START_TEST(test_config_key_twice_in_one_file_names_both_lines)
{
	assert_refuses("[daemon]\nsocket = /x\n[arena a]\ndevice = /a\n[daemon]\nsocket = /y\n", ":6: socket was set at line 2 already");
}
END_TEST

START_TEST(test_config_long_line_is_refused_not_cut)
{
	char text[1024] = "[daemon]\nsocket = /";

	memset(text + strlen(text), 'x', 700);
	assert_refuses(text, ":2: ");
	strcat(text, "\n");
	assert_refuses(text, ":2: the line is longer than");
}
END_TEST

START_TEST(test_config_nul_byte_is_refused)
{
	write_at(file, "[daemon]\nsock\0et = /x\n", 22);
	ck_assert_int_eq(load(), -EINVAL);
	assert_says(":2: ");
}
END_TEST

START_TEST(test_config_byte_order_mark_and_carriage_returns_do_no_harm)
{
	write_conf("\xef\xbb\xbf[daemon]\r\nsocket = /x\r\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_str_eq(config.daemon.socket, "/x");
}
END_TEST

START_TEST(test_config_size_says_the_next_multiple)
{
	assert_refuses("[arena a]\ndevice = /a\nsize = 3M\n", "[arena a]: size 3M is not a multiple of the arena's 2M pages; did you mean 4M?");
}
END_TEST

START_TEST(test_config_arenas_that_collide_are_refused)
{
	assert_refuses("[arena a]\n", "no device is set");
	assert_refuses("[arena a]\ndevice = /dev/dax0.0\nsize = 2M\n", "size is for regular files only");
	assert_refuses("[arena a]\ndevice = /x\n[arena b]\ndevice = /x\n", "[arena b]: device /x belongs to arena a already");
	assert_refuses("[arena a]\ndevice = /x\nmetadata = /m\n[arena b]\ndevice = /y\nmetadata = /m\n", "belongs to arena a already");
	assert_refuses("[arena a]\ndevice = /x\n[arena b]\ndevice = /y\nmetadata = /x\n", "belongs to arena a already");
	assert_refuses("[arena a]\ndevice = /x\nmetadata = /m\n[arena b]\ndevice = /m\n", "is the metadata of arena a");
}
END_TEST

START_TEST(test_config_file_that_is_named_must_exist)
{
	ck_assert_int_eq(load(), -ENOENT);
	assert_says(file);
}
END_TEST

START_TEST(test_config_directory_as_file_is_refused)
{
	ck_assert_int_eq(mkdir(file, 0755), 0);
	ck_assert_int_eq(load(), -EISDIR);
}
END_TEST

/* ---- order ---- */

START_TEST(test_config_drop_ins_win_in_the_order_of_their_names)
{
	write_conf("[daemon]\nscrub-threads = 1\nmax-sessions = 1\nbusy-poll-us = 1\n[arena a]\ndevice = /a\n");
	write_drop_in("20-second.conf", "[daemon]\nscrub-threads = 3\n[arena a]\nsize = 4M\n");
	write_drop_in("10-first.conf", "[daemon]\nscrub-threads = 2\nmax-sessions = 2\n");
	write_drop_in("30-not-read.conf.bak", "[daemon]\nscrub-threads = 4\n");
	write_drop_in(".hidden.conf", "[daemon]\nscrub-threads = 5\n");
	ck_assert_msg(load_with((const char *[]){ "busy-poll-us=9", "arena.a.slots=4", "arena.b.c.device=/bc" }, 3) == 0, "%s", why.text);
	ck_assert_uint_eq(config.daemon.scrub_threads, 3);
	ck_assert_uint_eq(config.daemon.max_sessions, 2);
	ck_assert_uint_eq(config.daemon.busy_poll_us, 9);
	ck_assert_uint_eq(config.nr_arenas, 2);
	ck_assert_uint_eq(config.arenas[0].size, 4 << 20);
	ck_assert_uint_eq(config.arenas[0].slots, 4);
	ck_assert_str_eq(config.arenas[1].name, "b.c");
}
END_TEST

START_TEST(test_config_error_in_a_drop_in_names_it)
{
	write_conf("");
	write_drop_in("10-a.conf", "[daemon]\nmax-sessions = none\n");
	ck_assert_int_eq(load(), -EINVAL);
	assert_says("pmemarenad.conf.d/10-a.conf:2: max-sessions");
}
END_TEST

START_TEST(test_config_error_on_the_command_line_names_the_setting)
{
	assert_override(-EINVAL, "arena.a.pagesize=2M", "-o arena.a.pagesize=2M: unknown key \"pagesize\" in [arena NAME]; did you mean page-size?");
}
END_TEST

START_TEST(test_config_twice_on_the_command_line_takes_the_last)
{
	write_conf("");
	ck_assert_int_eq(load_with((const char *[]){ "max-sessions=5", "max-sessions=6" }, 2), 0);
	ck_assert_uint_eq(config.daemon.max_sessions, 6);
}
END_TEST

/* ---- quotas ---- */

START_TEST(test_config_quota_of_a_user_follows_the_default_where_not_set)
{
	write_conf("[quota 1000]\nbytes = 1G\nsessions = 0\n[quota default]\nbytes = 2G\nsessions = 3\nallocations = 4\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_uint_eq(config_quota(&config, 1000)->bytes, 1ULL << 30);
	ck_assert_uint_eq(config_quota(&config, 1000)->sessions, 0);
	ck_assert_uint_eq(config_quota(&config, 1000)->allocations, 4);
	ck_assert_uint_eq(config_quota(&config, 1001)->bytes, 2ULL << 30);
	ck_assert(config_quota(&config, 1001)->is_default);
}
END_TEST

START_TEST(test_config_quota_by_name_and_by_uid_is_one)
{
	write_conf("[quota root]\nbytes = 1G\n[quota 0]\nsessions = 2\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	ck_assert_uint_eq(config.nr_quotas, 2);
	ck_assert_uint_eq(config_quota(&config, 0)->bytes, 1ULL << 30);
	ck_assert_uint_eq(config_quota(&config, 0)->sessions, 2);
}
END_TEST

/* ---- print ---- */

static const char *print_to_file(const char *path)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	config_print(&config, f);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

static void assert_reads_back(void)
{
	char first[160], second[160], command[400];

	snprintf(first, sizeof(first), "%s/first", dir);
	snprintf(second, sizeof(second), "%s/second", dir);
	print_to_file(first);
	config_fini(&config);
	ck_assert_msg(config_load(&config, &(struct config_sources){ first, NULL, 0 }, &why) == 0, "%s", why.text);
	print_to_file(second);
	snprintf(command, sizeof(command), "cmp %s %s", first, second);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_config_what_is_printed_reads_back_the_same)
{
	write_conf("[daemon]\nlog-level = debug\nscrub-rate = 1.5G\nmetrics-listen = 127.0.0.1:9847\nverify-interval = 1h\n"
		   "[arena one]\ndevice = /one\nsize = 1T\nformat = if-blank\nnuma-node = 1\n[arena two]\ndevice = auto\n"
		   "[quota default]\nbytes = 2G\n[quota 1000]\nbytes = 1025K\n");
	ck_assert_msg(load() == 0, "%s", why.text);
	assert_reads_back();
	ck_assert_uint_eq(config.arenas[0].size, 1ULL << 40);
	ck_assert_uint_eq(config_quota(&config, 1000)->bytes, 1025 << 10);
}
END_TEST

/* A line of a file holds less than a command line does. */
START_TEST(test_config_longest_path_reads_back_the_same)
{
	char setting[64 + CONFIG_PATH_MAX + 1] = "arena.a.metadata=/";
	size_t name = strlen("arena.a.metadata=");

	memset(setting + name + 1, 'x', CONFIG_PATH_MAX - 2);
	assert_override(0, setting, NULL);
	ck_assert_uint_eq(strlen(config.arenas[0].metadata), CONFIG_PATH_MAX - 1);
	assert_reads_back();
	config_fini(&config);
	setting[name + CONFIG_PATH_MAX - 1] = 'x';
	assert_override(-EINVAL, setting, "the value is longer than 175 bytes");
}
END_TEST

/* ---- reload ---- */

static size_t diff(char *text, size_t size, const char *before, const char *after)
{
	struct config now;
	size_t nr;

	write_conf(before);
	ck_assert_msg(load() == 0, "%s", why.text);
	now = config;
	memset(&config, 0, sizeof(config));
	write_conf(after);
	ck_assert_msg(load() == 0, "%s", why.text);
	nr = config_reload_diff(text, size, &now, &config);
	config_fini(&now);
	return nr;
}

START_TEST(test_config_reload_names_what_needs_a_restart)
{
	char text[256];

	ck_assert_uint_eq(diff(text, sizeof(text), "", ""), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(diff(text, sizeof(text), "[daemon]\nlog-level = info\n", "[daemon]\nlog-level = debug\nscrub-rate = 1G\n"
			       "verify-interval = 0\n[quota default]\nbytes = 1\n"), 0);
	ck_assert_uint_eq(diff(text, sizeof(text), "[daemon]\nsocket = /a\n[arena a]\ndevice = /a\n[arena b]\ndevice = /b\n",
			       "[daemon]\nsocket = /b\n[arena a]\ndevice = /a\npage-size = 1G\n[arena c]\ndevice = /c\n"), 4);
	ck_assert_str_eq(text, "socket, arena a: page-size, arena b: removed, arena c: added");
}
END_TEST

START_TEST(test_config_reload_diff_is_cut_not_overrun)
{
	char text[12] = "";

	memset(text, 'x', sizeof(text));
	ck_assert_uint_eq(diff(text, 10, "[daemon]\nsocket = /a\nadmin-socket = /a2\nmax-sessions = 1\n", ""), 3);
	ck_assert_str_eq(text, "socket, a");
	ck_assert_int_eq(text[10], 'x');
}
END_TEST

START_TEST(test_config_reload_takes_what_can_change_and_nothing_else)
{
	struct config now;

	write_conf("[daemon]\nlog-level = info\nmax-sessions = 5\n[quota default]\nbytes = 1G\n");
	ck_assert_int_eq(load(), 0);
	now = config;
	memset(&config, 0, sizeof(config));
	write_conf("[daemon]\nlog-level = debug\nmax-sessions = 6\nscrub-rate = 1M\nverify-interval = 1\n[quota default]\nbytes = 2G\n[quota 7]\nbytes = 3G\n");
	ck_assert_int_eq(load(), 0);
	config_reload(&now, &config);
	ck_assert_uint_eq(now.daemon.log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(now.daemon.scrub_rate, 1 << 20);
	ck_assert_uint_eq(now.daemon.verify_interval_s, 1);
	ck_assert_uint_eq(now.daemon.max_sessions, 5);
	ck_assert_uint_eq(config_quota(&now, 1)->bytes, 2ULL << 30);
	ck_assert_uint_eq(config_quota(&now, 7)->bytes, 3ULL << 30);
	config_fini(&now);
}
END_TEST

/* ---- memory ---- */

/* The linker sends the allocations of config*.c here (--wrap). */
static int fail_at;             /* the allocation that fails, from 1; 0: none */
static int nr_allocations;

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__real_reallocarray(void *ptr, size_t nr, size_t size);
void *__wrap_reallocarray(void *ptr, size_t nr, size_t size);

void *__wrap_calloc(size_t nr, size_t size)
{
	return ++nr_allocations == fail_at ? NULL : __real_calloc(nr, size);
}

void *__wrap_reallocarray(void *ptr, size_t nr, size_t size)
{
	return ++nr_allocations == fail_at ? NULL : __real_reallocarray(ptr, nr, size);
}

START_TEST(test_config_out_of_memory_anywhere_is_said_and_leaks_nothing)
{
	int r = -ENOMEM;

	write_conf("[daemon]\nlog-level = info\n[arena a]\ndevice = /a\n[arena b]\ndevice = /b\n[quota 1]\nbytes = 1\n[quota 2]\nbytes = 2\n");
	for (fail_at = 1; r < 0; fail_at++) {
		nr_allocations = 0;
		why.text[0] = '\0';
		r = load();
		if (r < 0) {
			ck_assert_int_eq(r, -ENOMEM);
			assert_says("out of memory");
		}
	}
	ck_assert_int_ge(fail_at, 10);
	fail_at = 0;
	ck_assert_uint_eq(config.nr_arenas, 2);
}
END_TEST

START_TEST(test_config_fini_twice_does_no_harm)
{
	write_conf("[arena a]\ndevice = /a\n");
	ck_assert_int_eq(load(), 0);
	config_fini(&config);
	config_fini(&config);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_config_empty_file_gives_defaults);
	tcase_add_test(t, test_config_arena_defaults);
	tcase_add_loop_test(t, test_config_every_default_can_be_written, 0, (int)nr_config_keys);
	tcase_add_loop_test(t, test_config_installed_file_has_every_key, 0, (int)nr_config_keys);
	tcase_add_loop_test(t, test_config_manual_has_every_key, 0, (int)nr_config_keys);
	tcase_add_test(t, test_config_installed_file_loads);
	tcase_add_loop_test(t, test_config_value_is_taken_or_refused_with_a_reason, 0, (int)(sizeof(values) / sizeof(*values)));
	tcase_add_test(t, test_config_values_land_where_they_belong);
	tcase_add_test(t, test_config_sockets_follow_the_runtime_directory);
	tcase_add_test(t, test_config_runtime_directory_too_long_for_sockets_is_refused);
	tcase_add_test(t, test_config_unknown_key_names_file_line_and_the_nearest);
	tcase_add_test(t, test_config_unknown_key_with_nothing_near_says_where_they_are_listed);
	tcase_add_test(t, test_config_key_of_another_section_says_which);
	tcase_add_test(t, test_config_unknown_section_lists_the_known_ones);
	tcase_add_test(t, test_config_syntax_errors_name_their_line);
	tcase_add_test(t, test_config_key_twice_in_one_file_names_both_lines);
	tcase_add_test(t, test_config_long_line_is_refused_not_cut);
	tcase_add_test(t, test_config_nul_byte_is_refused);
	tcase_add_test(t, test_config_byte_order_mark_and_carriage_returns_do_no_harm);
	tcase_add_test(t, test_config_size_says_the_next_multiple);
	tcase_add_test(t, test_config_arenas_that_collide_are_refused);
	tcase_add_test(t, test_config_file_that_is_named_must_exist);
	tcase_add_test(t, test_config_directory_as_file_is_refused);
	tcase_add_test(t, test_config_drop_ins_win_in_the_order_of_their_names);
	tcase_add_test(t, test_config_error_in_a_drop_in_names_it);
	tcase_add_test(t, test_config_error_on_the_command_line_names_the_setting);
	tcase_add_test(t, test_config_twice_on_the_command_line_takes_the_last);
	tcase_add_test(t, test_config_quota_of_a_user_follows_the_default_where_not_set);
	tcase_add_test(t, test_config_quota_by_name_and_by_uid_is_one);
	tcase_add_test(t, test_config_what_is_printed_reads_back_the_same);
	tcase_add_test(t, test_config_longest_path_reads_back_the_same);
	tcase_add_test(t, test_config_reload_names_what_needs_a_restart);
	tcase_add_test(t, test_config_reload_diff_is_cut_not_overrun);
	tcase_add_test(t, test_config_reload_takes_what_can_change_and_nothing_else);
	tcase_add_test(t, test_config_out_of_memory_anywhere_is_said_and_leaks_nothing);
	tcase_add_test(t, test_config_fini_twice_does_no_harm);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
