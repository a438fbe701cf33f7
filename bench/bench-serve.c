/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-serve: what a request of the daemon costs, beside the cheapest round trip there is and what
 * else one could use, all in one run. Starts a daemon of its own; touches nothing else.
 * bench/README.md tells how to read it.
 */
#include <config.h>

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench/bench-serve-daemon.h"
#include "bench/bench-serve-plan.h"

struct options {
	const char *daemon, *tmpfs, *disk, *svg, *json_file;
	double seconds;
	bool json, quick;
};

static const char usage[] =
	"usage: bench-serve [--quick] [--seconds S] [--json[=FILE]] [--svg FILE] [--daemon PATH] "
	"[--tmpfs DIR] [--disk DIR]\n"
	"\n"
	"  --quick        a quarter of a second a figure, and no gigabytes: below 30 s\n"
	"  --seconds S    so long a figure (default 1)\n"
	"  --json         an array of objects instead of a table\n"
	"  --json=FILE    beside it, in that file\n"
	"  --svg FILE     and a drawing\n"
	"  --daemon PATH  pmemarenad (default: the one that was built beside this program)\n"
	"  --tmpfs DIR    where the arena goes (default /dev/shm)\n"
	"  --disk DIR     an ext4 for the peer that is a file there (default $TMPDIR, else "
	"/var/tmp)\n";

static int parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "seconds", required_argument, NULL, 's' },
		{ "json", optional_argument, NULL, 'j' },
		{ "svg", required_argument, NULL, 'g' },
		{ "daemon", required_argument, NULL, 'd' },
		{ "tmpfs", required_argument, NULL, 't' },
		{ "disk", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'q': options->quick = true; options->seconds = 0.25; break;
		case 's': options->seconds = strtod(optarg, NULL); break;
		case 'j': options->json = !optarg; options->json_file = optarg; break;
		case 'g': options->svg = optarg; break;
		case 'd': options->daemon = optarg; break;
		case 't': options->tmpfs = optarg; break;
		case 'k': options->disk = optarg; break;
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs(usage, stderr); return -EINVAL;
		}
	}
	return optind < argc || options->seconds <= 0 ? (fputs(usage, stderr), -EINVAL) : 0;
}

static bool is_on(const char *dir, long magic)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && fs.f_type == magic;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int make_dir(char dir[PATH_MAX], const char *parent)
{
	snprintf(dir, PATH_MAX, "%.40s/bench-serve-XXXXXX", parent);
	return mkdtemp(dir) ? 0 : -errno;
}

/* A thousand connections are as many descriptors of the daemon. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 4096) {
		limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* @path NULL is fine. */
static int write_to(const char *path, const struct sheet *sheet,
		    void (*print)(const struct sheet *sheet, FILE *out))
{
	FILE *out = path ? fopen(path, "w") : NULL;
	int r;

	if (!path)
		return 0;
	if (out)
		print(sheet, out);
	r = out && fclose(out) == 0 ? 0 : -errno;
	if (r < 0)
		fprintf(stderr, "bench-serve: %s: %s\n", path, strerror(-r));
	return r;
}

static int run(const struct options *options, const char *dir, const char *disk_dir)
{
	static struct sheet sheet;
	struct plan plan = {
		.program = options->daemon ? options->daemon : bench_daemon_program(),
		.dir = dir,
		.disk_dir = disk_dir,
		.seconds = options->seconds,
		.is_quick = options->quick,
	};
	int r = plan_run(&sheet, &plan);

	if (r < 0) {
		fprintf(stderr, "bench-serve: the daemon could not be measured: %s\n",
			strerror(-r));
		return r;
	}
	if (options->json)
		sheet_print_json(&sheet, stdout);
	else
		sheet_print(&sheet, stdout);
	r = write_to(options->svg, &sheet, sheet_draw);
	return r < 0 ? r : write_to(options->json_file, &sheet, sheet_print_json);
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	struct options options = { .tmpfs = "/dev/shm",
				   .disk = tmp ? tmp : "/var/tmp",
				   .seconds = 1 };
	char dir[PATH_MAX], disk_dir[PATH_MAX];
	bool has_disk;
	int r;

	if (parse(&options, argc, argv) < 0)
		return 64;
	if (!is_on(options.tmpfs, TMPFS_MAGIC)) {
		fprintf(stderr, "bench-serve: %s is not on a tmpfs; name one with --tmpfs\n",
			options.tmpfs);
		return 77;
	}
	allow_descriptors();
	r = make_dir(dir, options.tmpfs);
	if (r < 0) {
		fprintf(stderr, "bench-serve: %s: %s\n", dir, strerror(-r));
		return 1;
	}
	has_disk = is_on(options.disk, EXT4_SUPER_MAGIC) && make_dir(disk_dir, options.disk) == 0;
	r = run(&options, dir, has_disk ? disk_dir : NULL);
	if (r == 0)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (has_disk)
		nftw(disk_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r < 0 ? 1 : 0;
}
