/* SPDX-License-Identifier: BSD-3-Clause */
/* config: every key's default and bounds, quotas, and memory that runs out. */
#include <config.h>

#include "tests/unit/config_fixture.h"

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
	ck_assert_uint_eq(config.daemon.grace_s, 10);
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

/*
 * What the table calls the default is what one gets by writing it, and what is printed reads back.
 */
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
	snprintf(setting, sizeof(setting), "%s%s=%s", section_prefix(key), key->name,
		 key->fallback);
	ck_assert_msg(load_with((const char *[]){ setting }, 1) == 0, "%s: %s", setting, why.text);
	ck_assert(key->section != CONFIG_DAEMON ||
		  config_key_is_equal(key, &config.daemon, &as_is.daemon));
	ck_assert(key->section != CONFIG_ARENA ||
		  config_key_is_equal(key, config.arenas, as_is.arenas));
	ck_assert(key->section != CONFIG_QUOTA ||
		  config_key_is_equal(key, config.quotas, as_is.quotas));
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
		is_default |= !key->fallback || !key->fallback[0] ||
			      strcmp(line + strlen(expected), key->fallback) == 0;
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
		is_there |= strncmp(line, expected, strlen(expected)) == 0 &&
			    key->reloadable == (strstr(line, "Em reload") != NULL);
	fclose(f);
	ck_assert_msg(is_there, "%s, or whether a reload takes it, is not in %s", key->name, path);
}
END_TEST

START_TEST(test_config_installed_file_loads)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];

	snprintf(path, sizeof(path), "%s/config/pmemarenad.conf", srcdir ? srcdir : ".");
	ck_assert_msg(config_load(&config, &(struct config_sources){ path, NULL, 0 }, &why) == 0,
		      "%s", why.text);
	ck_assert_uint_eq(config.nr_arenas, 0);
}
END_TEST

/* ---- values ---- */

static const struct { const char *setting; bool is_good;
} values[] = {
	{ "runtime-directory=/tmp/x", true },
	{ "runtime-directory=run", false },
	{ "runtime-directory=", false },
	{ "socket=/tmp/s", true },
	{ "socket=@pmemarena", true },
	{ "socket=@", false },
	{ "socket=s", false },
	{ "admin-socket=/tmp/a", true },
	{ "admin-socket=a", false },
	{ "metrics-listen=off", true },
	{ "metrics-listen=127.0.0.1:9847", true },
	{ "metrics-listen=[::1]:9847", true },
	{ "metrics-listen=/run/m", true },
	{ "metrics-listen=:9847", false },
	{ "metrics-listen=127.0.0.1", false },
	{ "metrics-listen=127.0.0.1:0", false },
	{ "metrics-listen=127.0.0.1:65535", true },
	{ "metrics-listen=127.0.0.1:65536", false },
	{ "metrics-listen=127.0.0.1:1K", false },
	{ "metrics-listen=on", false },
	{ "admin-group=wheel", true },
	{ "admin-group=", false },
	{ "log-level=error", true },
	{ "log-level=debug", true },
	{ "log-level=Debug", false },
	{ "log-level=7", false },
	{ "scrub-threads=1", true },
	{ "scrub-threads=64", true },
	{ "scrub-threads=0", false },
	{ "scrub-threads=65", false },
	{ "scrub-threads=-1", false },
	{ "scrub-threads=1K", false },
	{ "scrub-threads=four", false },
	{ "scrub-threads=1 1", false },
	{ "scrub-rate=0", true },
	{ "scrub-rate=1.5G", true },
	{ "scrub-rate=-1", false },
	{ "scrub-rate=fast", false },
	{ "scrub-rate=18446744073709551615", true },
	{ "scrub-rate=18446744073709551616", false },
	{ "scrub-rate=16E", false },
	{ "verify-interval=0", true },
	{ "verify-interval=90s", true },
	{ "verify-interval=7d", true },
	{ "verify-interval=8d", false },
	{ "verify-interval=5m", false },
	{ "verify-interval=s", false },
	{ "verify-interval=99999999999999999999s", false },
	{ "metrics-listen=;:5", false },
	{ "metrics-listen=a;b:5", true },
	{ "grace=0", true }, { "grace=30s", true }, { "grace=1h", true },
	{ "grace=2h", false }, { "grace=-1", false },
	{ "max-sessions=1", true },
	{ "max-sessions=0", false },
	{ "max-sessions=1000001", false },
	{ "busy-poll-us=1000000", true },
	{ "busy-poll-us=1000001", false },
	{ "max-mappings=0", true },
	{ "max-mappings=2000", true },
	{ "max-mappings=-1", false },
	{ "max-mappings=4294967296", false },
	{ "arena.a.device=/dev/dax0.0", true },
	{ "arena.a.device=auto", true },
	{ "arena.a.device=dax0.0", false },
	{ "arena.a.device=uuid:6a57ce3f-0e2c-4f1f-9c1c-2b6a6f2f3d11", true },
	{ "arena.a.device=uuid:6a57", false },
	{ "arena.a.metadata=auto", true },
	{ "arena.a.metadata=device", true },
	{ "arena.a.metadata=/meta", true },
	{ "arena.a.metadata=/a", false },
	{ "arena.a.metadata=none", false },
	{ "arena.a.size=64G", true },
	{ "arena.a.size=3M", false },
	{ "arena.a.size=4M", true },
	{ "arena.a.size=x", false },
	{ "arena.a.size=0x200000", true },
	{ "arena.a.size=1 GiB", true },
	{ "arena.a.size=17179869184G", false },
	{ "arena.a.page-size=4K", true },
	{ "arena.a.page-size=4096", true },
	{ "arena.a.page-size=1G", true },
	{ "arena.a.page-size=4M", false },
	{ "arena.a.page-size=0", false },
	{ "arena.a.format=never", true },
	{ "arena.a.format=if-blank", true },
	{ "arena.a.format=always", false },
	{ "arena.a.keep-blocks=0", true },
	{ "arena.a.keep-blocks=1G", true },
	{ "arena.a.keep-blocks=some", false },
	{ "arena.a.memmap=dram", true },
	{ "arena.a.memmap=device", true },
	{ "arena.a.memmap=disk", false },
	{ "arena.a.slots=100000", true },
	{ "arena.a.slots=4294967297", false },
	{ "arena.a.numa-node=auto", true },
	{ "arena.a.numa-node=0", true },
	{ "arena.a.numa-node=1024", false },
	{ "arena.a.numa-node=-1", false },
	{ "arena.a.users=*", true },
	{ "arena.a.users=-", true },
	{ "arena.a.users=root", true },
	{ "arena.a.users=0", true },
	{ "arena.a.users=root, daemon 1007,,4294967294", true },
	{ "arena.a.users= 1 ", true },
	{ "arena.a.users=4294967295", false },
	{ "arena.a.users=1x", false },
	{ "arena.a.users=-1", false },
	{ "arena.a.users=no-such-user-here", false },
	{ "arena.a.users=,", false },
	{ "arena.a.users=", false },
	{ "arena.a.users=* root", false },
	{ "arena.a.users=root,-", false },
	{ "arena.a.users=@root", false },
	{ "arena.a.users=root\troot", false },
	{ "arena.a.users=root ;x", false },
	{ "arena.a.groups=*", true },
	{ "arena.a.groups=-", true },
	{ "arena.a.groups=root 7", true },
	{ "arena.a.groups=@root", false },
	{ "arena.a.groups=no-such-group-here", false },
	{ "arena.a.groups=4294967295", false },
	{ "arena.a.groups=@", false },
	{ "arena.a.readers=-", true },
	{ "arena.a.readers=root", false },
	{ "arena.a.readers=*", false },
	{ "arena.a.readers=@", false },
	{ "arena.a.readers=@@root", false },
	{ "arena.a.readers=@no-such-group-here", false },
	{ "arena.a.b.device=/x", true },
	{ "arena..device=/x", false },
	{ "arena.a b.device=/x", false },
	{ "quota.default.bytes=1T", true },
	{ "quota.root.bytes=1T", true },
	{ "quota.0.bytes=1T", true },
	{ "quota.4294967294.bytes=1T", true },
	{ "quota.4294967295.bytes=1T", false },
	{ "quota.1x.bytes=1T", false },
	{ "quota.no-such-user-here.bytes=1T", false },
	{ "quota.default.allocations=10", true },
	{ "quota.default.allocations=10K", false },
	{ "quota.default.sessions=5", true },
	{ "quota.default.leased-bytes=1G", true },
	{ "socket", false },
	{ "=x", false },
	{ "", false },
	{ "sokcet=/x", false },
	{ "arena.a=/x", false },
	{ "other.a.b=c", false },
	{ "socket=/tmp/a\nb", false },
	{ "socket=/tmp/a ;b", false },
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
	write_conf(
		"[daemon]\nlog-level = debug\nscrub-rate = 1.5G ; a comment\nverify-interval: 1h\n"
		"  busy-poll-us = 20\n"
		"[arena one]\ndevice = /one\nsize = 1T\npage-size = 1G\nformat = if-blank\nmemmap "
		"= device\nslots = 7\nnuma-node = 1\n"
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
	assert_override(-EINVAL,
			"runtime-directory=/123456789/123456789/123456789/123456789/123456789/"
			"123456789/123456789"
			"/123456789/123456789/123456789",
			"longer than the 107 bytes");
}
END_TEST

/* ---- quotas ---- */

START_TEST(test_config_quota_of_a_user_follows_the_default_where_not_set)
{
	write_conf("[quota 1000]\nbytes = 1G\nsessions = 0\n[quota default]\nbytes = 2G\nsessions "
		   "= 3\nallocations = 4\n");
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

	write_conf("[daemon]\nlog-level = info\n[arena a]\ndevice = /a\n[arena b]\ndevice = "
		   "/b\n[quota 1]\nbytes = 1\n[quota 2]\nbytes = 2\n");
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

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_config_empty_file_gives_defaults);
	tcase_add_test(t, test_config_arena_defaults);
	tcase_add_loop_test(t, test_config_every_default_can_be_written, 0, (int)nr_config_keys);
	tcase_add_loop_test(t, test_config_installed_file_has_every_key, 0, (int)nr_config_keys);
	tcase_add_loop_test(t, test_config_manual_has_every_key, 0, (int)nr_config_keys);
	tcase_add_test(t, test_config_installed_file_loads);
	tcase_add_loop_test(t, test_config_value_is_taken_or_refused_with_a_reason,
			    0, (int)(sizeof(values) / sizeof(*values)));
	tcase_add_test(t, test_config_values_land_where_they_belong);
	tcase_add_test(t, test_config_sockets_follow_the_runtime_directory);
	tcase_add_test(t, test_config_runtime_directory_too_long_for_sockets_is_refused);
	tcase_add_test(t, test_config_quota_of_a_user_follows_the_default_where_not_set);
	tcase_add_test(t, test_config_quota_by_name_and_by_uid_is_one);
	tcase_add_test(t, test_config_out_of_memory_anywhere_is_said_and_leaks_nothing);
	tcase_add_test(t, test_config_fini_twice_does_no_harm);
}

UNIT("config", { .add = add_tests, .setup = setup, .teardown = teardown });
