/* SPDX-License-Identifier: BSD-3-Clause */
/* main: the command line of pmemarenad. It is the only file that ends the process. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/config/config.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/service/offline.h"
#include "daemon/sandbox.h"
#include "daemon/server.h"

#define OVERRIDES_MAX 256

struct options {
	const char *file;               /* of the option -c */
	const char *overrides[OVERRIDES_MAX];
	size_t nr_overrides;
	bool check_config;
	struct offline_request offline;
};

static const char usage[] =
	"usage: pmemarenad [-c FILE] [-o KEY=VALUE]...\n"
	"       pmemarenad --check-config [-c FILE] [-o KEY=VALUE]...\n"
	"       pmemarenad --format DEVICE [--name NAME] [--size SIZE] [--page-size SIZE] "
	"[--metadata WHERE]\n"
	"                  [--slots N] [--memmap-on-device] [--force]\n"
	"       pmemarenad --check DEVICE [--metadata WHERE]\n"
	"       pmemarenad --repair DEVICE [--metadata WHERE] [--dry-run] [--force]\n"
	"       pmemarenad --reidentify DEVICE [--metadata WHERE] [--force]\n"
	"       pmemarenad --take-over DEVICE --fenced BY [--metadata WHERE]\n"
	"       pmemarenad --take-over DEVICE --dry-run [--metadata WHERE]\n"
	"\n"
	"Serves persistent-memory arenas. Stays in the foreground; stops on SIGTERM, reloads on "
	"SIGHUP.\n"
	"\n"
	"  -c, --config FILE     read FILE instead of " PMEMARENA_CONF "\n"
	"  -o, --option KEY=VALUE\n"
	"                        set a key of [daemon], or arena.NAME.KEY, or quota.USER.KEY; wins "
	"over files\n"
	"      --check-config    read the configuration, print what it comes to, and exit\n"
	"      --version         print the version and exit\n"
	"      --help            print this and exit\n"
	"\n"
	"On a device that no daemon serves; the result is JSON:\n"
	"      --format DEVICE   write a new, empty arena\n"
	"      --check DEVICE    look for damage, change nothing; exit status 4 when there is "
	"some\n"
	"      --repair DEVICE   make a damaged arena whole; --dry-run: only say what would be "
	"done\n"
	"      --reidentify DEVICE\n"
	"                        give a copy of an arena a UUID of its own; names, ids, owners and "
	"contents stay\n"
	"      --take-over DEVICE --fenced BY\n"
	"                        the hosts that had the arena are certainly down; BY says what "
	"proves it;\n"
	"                        --dry-run: only say which hosts these are\n"
	"\n"
	"Exit status: 0 done, 1 failed, 4 differences were found, 64 wrong usage, "
	"78 wrong configuration.\n";

enum {
	OPT_CHECK_CONFIG = 256, OPT_VERSION, OPT_HELP, OPT_FORMAT, OPT_CHECK, OPT_REPAIR,
	OPT_REIDENTIFY, OPT_NAME, OPT_SIZE, OPT_PAGE_SIZE, OPT_METADATA, OPT_SLOTS, OPT_MEMMAP,
	OPT_FORCE, OPT_DRY_RUN, OPT_TAKE_OVER, OPT_FENCED,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "option", required_argument, NULL, 'o' },
	{ "check-config", no_argument, NULL, OPT_CHECK_CONFIG },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "check", required_argument, NULL, OPT_CHECK },
	{ "repair", required_argument, NULL, OPT_REPAIR },
	{ "reidentify", required_argument, NULL, OPT_REIDENTIFY },
	{ "take-over", required_argument, NULL, OPT_TAKE_OVER },
	{ "fenced", required_argument, NULL, OPT_FENCED },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "page-size", required_argument, NULL, OPT_PAGE_SIZE },
	{ "metadata", required_argument, NULL, OPT_METADATA },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "memmap-on-device", no_argument, NULL, OPT_MEMMAP },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ NULL, 0, NULL, 0 },
};

/*
 * Functions that take options return -1 to go on, or the exit status with which the program ends.
 */
static int refuse(const char *what)
{
	fprintf(stderr, "pmemarenad: %s\nTry 'pmemarenad --help'.\n", what);
	return EX_USAGE;
}

static int set_task(struct offline_request *offline, enum offline_task task, const char *device)
{
	if (offline->task != OFFLINE_NONE)
		return refuse("--format, --check, --repair, --reidentify and --take-over exclude "
			      "each other");
	offline->task = task;
	offline->device = device;
	return -1;
}

static int add_override(struct options *options, const char *text)
{
	if (options->nr_overrides == OVERRIDES_MAX)
		return refuse("too many -o options");
	options->overrides[options->nr_overrides++] = text;
	return -1;
}

static int take_option(struct options *options, int option, char *value)
{
	struct offline_request *offline = &options->offline;

	switch (option) {
	case 'c':
		options->file = value;
		return -1;
	case 'o':
		return add_override(options, value);
	case OPT_CHECK_CONFIG:
		options->check_config = true;
		return -1;
	case OPT_VERSION:
		puts("pmemarenad " PACKAGE_VERSION);
		return EXIT_SUCCESS;
	case OPT_HELP:
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	case OPT_FORMAT:
		return set_task(offline, OFFLINE_FORMAT, value);
	case OPT_CHECK:
		return set_task(offline, OFFLINE_CHECK, value);
	case OPT_REPAIR:
		return set_task(offline, OFFLINE_REPAIR, value);
	case OPT_REIDENTIFY:
		return set_task(offline, OFFLINE_REIDENTIFY, value);
	case OPT_TAKE_OVER:
		return set_task(offline, OFFLINE_TAKE_OVER, value);
	case OPT_FENCED:
		offline->fenced_by = value;
		return -1;
	case OPT_NAME:
		offline->name = value;
		return -1;
	case OPT_SIZE:
		offline->size = value;
		return -1;
	case OPT_PAGE_SIZE:
		offline->page_size = value;
		return -1;
	case OPT_METADATA:
		offline->metadata = value;
		return -1;
	case OPT_SLOTS:
		offline->slots = value;
		return -1;
	case OPT_MEMMAP:
		offline->memmap_on_device = true;
		return -1;
	case OPT_FORCE:
		offline->force = true;
		return -1;
	case OPT_DRY_RUN:
		offline->dry_run = true;
		return -1;
	default:
		return EX_USAGE;
	}
}

/* Refuses options that the task would ignore: who writes --force expects something to be forced. */
static int check_offline(const struct offline_request *offline)
{
	bool formats = offline->task == OFFLINE_FORMAT, repairs = offline->task == OFFLINE_REPAIR,
	     takes_over = offline->task == OFFLINE_TAKE_OVER;

	if (!formats && (offline->name || offline->size || offline->page_size || offline->slots ||
			 offline->memmap_on_device))
		return refuse("--name, --size, --page-size, --slots and --memmap-on-device go with "
			      "--format only");
	if (!formats && !repairs && offline->task != OFFLINE_REIDENTIFY && offline->force)
		return refuse("--force goes with --format, --repair and --reidentify only");
	if ((takes_over && !offline->dry_run) != (offline->fenced_by && *offline->fenced_by))
		return refuse("--take-over DEVICE and --fenced BY (or --dry-run) go together; BY "
			      "says what made certain that the other hosts are down");
	if (!repairs && !takes_over && offline->dry_run)
		return refuse("--dry-run goes with --repair and --take-over only");
	if (offline->task == OFFLINE_NONE && offline->metadata)
		return refuse("--metadata goes with a task on a DEVICE only");
	return -1;
}

static int read_options(struct options *options, int argc, char **argv)
{
	int option, status = -1;

	while (status < 0 && (option = getopt_long(argc, argv, "c:o:", long_options, NULL)) != -1)
		status = take_option(options, option, optarg);
	if (status < 0 && optind < argc)
		return refuse("there are no arguments, only options");
	return status < 0 ? check_offline(&options->offline) : status;
}

/*
 * Descriptors 0, 1 and 2 must be open. Else a device or a socket that is opened next gets one of
 * these numbers, and the log is written into it.
 */
static void open_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/*
 * Takes as many descriptors as the system allows: each session needs one. No code here uses
 * select(), which could not handle them.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Logs every mistake of the configuration, so that all of them can be mended at once. */
static void log_mistake(void *arg, const char *what)
{
	log_error("%s", what);
}

static int load(struct config *config, const struct config_sources *sources)
{
	struct why why;

	return config_load_all(config, sources, log_mistake, NULL, &why) < 0 ? -EINVAL : 0;
}

static int check_config(const struct config_sources *sources)
{
	struct config config;

	if (load(&config, sources) < 0)
		return EX_CONFIG;
	config_print(&config, stdout);
	config_fini(&config);
	return EXIT_SUCCESS;
}

/*
 * Runs a task on a device without serving. A repair respects the ledger that a daemon left in its
 * runtime directory, if there is one.
 */
static int run_offline(struct options *options, const struct config_sources *sources)
{
	struct config config = { 0 };
	struct why why;
	int status;

	if (options->offline.task == OFFLINE_REPAIR && config_load(&config, sources, &why) == 0 &&
	    access(config.daemon.runtime_directory, W_OK) == 0)
		options->offline.runtime_dir = config.daemon.runtime_directory;
	status = offline_run(&options->offline);
	config_fini(&config);
	return status;
}

/*
 * The daemon cannot start, and another attempt would not help. Clients that wait at a socket of the
 * service manager are hung up on now; else they would wait until the service manager gives up.
 */
static int give_up(void)
{
	struct passed passed;
	struct why why;

	if (notify_sockets(&passed, &why) == 0)
		notify_hang_up((int[]){ passed.client, passed.admin }, 2);
	passed_fini(&passed);
	return EX_CONFIG;
}

/*
 * Descriptors of one compound page fill 32 KiB, and each is mapped by itself: a kernel whose own
 * pages are larger than 4 KiB could not map them.
 */
static int check_kernel(void)
{
	long page = sysconf(_SC_PAGESIZE);

	if (page == 4096)
		return 0;
	log_error("this kernel has pages of %ldK, and arenas need one with pages of 4K: boot such "
		  "a kernel",
		  page / 1024);
	return -ENOTSUP;
}

static int serve(const struct config_sources *sources)
{
	struct server *server;
	struct config config;
	struct passed passed;
	struct why why;

	if (load(&config, sources) < 0)
		return give_up();
	if (config.nr_arenas == 0) {
		log_error("no arena is configured: add a section [arena NAME] with device = "
			  "/dev/daxX.Y or a file, or -o arena.NAME.device=PATH");
		config_fini(&config);
		return give_up();
	}
	log_set_level(config.daemon.log_level);
	if (notify_sockets(&passed, &why) < 0) {
		log_error("%s", why.text);
		passed_fini(&passed);
		config_fini(&config);
		return EXIT_FAILURE;
	}
	raise_descriptor_limit();
	/*
	 * A client that hangs up shall be an error (EPIPE) of the write to its socket, and not a
	 * signal that ends the daemon.
	 */
	signal(SIGPIPE, SIG_IGN);
	sandbox_enter();
	if (server_new(&server, &config, sources, &passed, &why) < 0) {
		log_error("%s", why.text);
		notify_status(why.text);
		return EXIT_FAILURE;
	}
	server_run(server);
	server_free(server);
	log_info("stopped");
	return EXIT_SUCCESS;
}

/*
 * The result of a task is what it prints. If that cannot be written, the exit status must not say
 * that all went well.
 */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "pmemarenad: standard output: %s\n", strerror(errno));
	return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

static int run(int argc, char **argv)
{
	struct options options = { 0 };
	struct config_sources sources = { 0 };
	int status;

	open_standard_streams();
	status = read_options(&options, argc, argv);
	if (status >= 0)
		return status;
	sources.file = options.file;
	sources.overrides = options.overrides;
	sources.nr_overrides = options.nr_overrides;
	if (options.check_config)
		return check_config(&sources);
	/*
	 * A file that grows beyond the limit of file sizes shall be an error (EFBIG) that is
	 * reported, and not a signal that ends the program without a word.
	 */
	signal(SIGXFSZ, SIG_IGN);
	if (check_kernel() < 0)
		return EXIT_FAILURE;
	if (options.offline.task != OFFLINE_NONE)
		return run_offline(&options, &sources);
	return serve(&sources);
}

int main(int argc, char **argv)
{
	return finish(run(argc, argv));
}
