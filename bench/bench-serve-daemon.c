/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon: spawned with a notification socket, as a service manager does. The file arena stands for
 * memory that is made durable by cache lines: PMEM2_FORCE_GRANULARITY, as libpmem2's own tests do.
 */
#include <config.h>

#include "bench/bench-serve-daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench-serve-crew.h"

#define READY_MS    60000
#define OPTIONS_MAX 12
#define ZERO_MS  60000

static int listen_for_ready(struct sockaddr_un *address, const char *dir)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "%.80s/notify", dir);
	if (sock >= 0 && bind(sock, (struct sockaddr *)address, sizeof(*address)) < 0) {
		close(sock);
		return -errno;
	}
	return sock;
}

static int wait_until_ready(int sock, pid_t pid)
{
	struct pollfd poller = { .fd = sock, .events = POLLIN };
	char text[1024];
	ssize_t n;

	for (int ms = 0; ms < READY_MS; ms += 10) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return -ECHILD;
		if (poll(&poller, 1, 10) <= 0)
			continue;
		n = recv(sock, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, "READY=1"))
			return 0;
	}
	return -ETIMEDOUT;
}

static void redirect(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	fd = open("/dev/null", O_RDONLY);
	if (fd >= 0)
		dup2(fd, STDIN_FILENO);
}

static void run(const char *program, const char *dir, const char *const *options,
		const char *notify)
{
	const char *args[4 + 2 * OPTIONS_MAX + 1] = { program, "-c", "/dev/null", "-o" };
	char run_dir[160];
	int nr = 4;

	snprintf(run_dir, sizeof(run_dir), "runtime-directory=%s/run", dir);
	args[nr++] = run_dir;
	for (; *options && nr < 2 * OPTIONS_MAX; options++) {
		args[nr++] = "-o";
		args[nr++] = *options;
	}
	setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1);
	setenv("NOTIFY_SOCKET", notify, 1);
	redirect(dir);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execv(program, (char *const *)(uintptr_t)args);
	perror(program);
	_exit(127);
}

const char *bench_daemon_program(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "../pmemarenad");
	if (access(path, X_OK) < 0)             /* libtool runs a program from a directory below */
		strcpy(slash ? slash + 1 : path, "../../pmemarenad");
	return path;
}

int bench_daemon_prepare(struct bench_daemon *daemon, const char *dir, const char *name)
{
	*daemon = (struct bench_daemon){ 0 };
	snprintf(daemon->dir, sizeof(daemon->dir), "%s/%s", dir, name);
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/run/pmemarena.sock", daemon->dir);
	snprintf(daemon->admin, sizeof(daemon->admin), "%s/run/admin.sock", daemon->dir);
	return mkdir(daemon->dir, 0700) < 0 ? -errno : 0;
}

int bench_daemon_run(uint64_t *took_ns, struct bench_daemon *daemon, const char *program,
		     const char *const *options)
{
	struct sockaddr_un address;
	int sock = listen_for_ready(&address, daemon->dir), r;
	uint64_t from;

	if (sock < 0)
		return sock;
	fflush(NULL);
	from = turn_now();
	daemon->pid = fork();
	if (daemon->pid == 0)
		run(program, daemon->dir, options, address.sun_path);
	r = daemon->pid < 0 ? -errno : wait_until_ready(sock, daemon->pid);
	*took_ns = turn_now() - from;
	close(sock);
	unlink(address.sun_path);
	if (r < 0)
		fprintf(stderr, "%s did not start: %s; its log is %s/log\n", program, strerror(-r),
			daemon->dir);
	return r;
}

/* Another user does its worst beside those that are measured: it has to find the socket. */
static int let_others_in(const struct bench_daemon *daemon, const char *dir)
{
	return chmod(dir, 0711) < 0 || chmod(daemon->dir, 0711) < 0 ||
			       chmod(daemon->socket, 0666) < 0
		       ? -errno
		       : 0;
}

int bench_daemon_start(struct bench_daemon *daemon, const char *program, const char *dir,
		       const char *name, uint64_t size, unsigned busy_poll_us)
{
	char device[160], size_text[80], keep[80], busy[64];
	const char *const options[] = { device, size_text, keep, busy, "arena.main.format=if-blank",
					NULL };
	uint64_t took_ns;
	int r = bench_daemon_prepare(daemon, dir, name);

	snprintf(device, sizeof(device), "arena.main.device=%s/arena", daemon->dir);
	snprintf(size_text, sizeof(size_text), "arena.main.size=%" PRIu64, size);
	snprintf(keep, sizeof(keep), "arena.main.keep-blocks=%" PRIu64, size);
	snprintf(busy, sizeof(busy), "busy-poll-us=%u", busy_poll_us);
	if (r == 0)
		r = bench_daemon_run(&took_ns, daemon, program, options);
	if (r == 0)
		r = let_others_in(daemon, dir);
	return r < 0 ? r : place_server(daemon->pid);
}

static int connect_admin(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0)
		return sock < 0 ? -errno : sock;
	r = -errno;
	close(sock);
	return r;
}

static uint64_t number_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static int all_is_zero(FILE *admin)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats\"}\n";
	char answer[8192];

	if (fputs(ask, admin) < 0 || fflush(admin) != 0 || !fgets(answer, sizeof(answer), admin))
		return -EPIPE;
	return number_of(answer, "\"known_zero\":") == number_of(answer, "\"free\":");
}

int bench_daemon_wait_zero(const char *path)
{
	int sock = connect_admin(path), r = 0;
	FILE *admin = sock < 0 ? NULL : fdopen(sock, "r+");

	if (!admin)
		return sock < 0 ? sock : -errno;
	for (int ms = 0; ms < ZERO_MS && (r = all_is_zero(admin)) == 0; ms++)
		poll(NULL, 0, 1);
	fclose(admin);
	return r == 0 ? -ETIMEDOUT : r < 0 ? r : 0;
}

void bench_daemon_end(struct bench_daemon *daemon, int sig)
{
	if (daemon->pid <= 0)
		return;
	kill(daemon->pid, sig);
	waitpid(daemon->pid, NULL, 0);
	daemon->pid = 0;
}

void bench_daemon_stop(struct bench_daemon *daemon)
{
	char arena[128];

	if (daemon->pid <= 0)
		return;
	bench_daemon_end(daemon, SIGTERM);
	/* Gigabytes of memory: also where the directory stays for its log. */
	snprintf(arena, sizeof(arena), "%s/arena", daemon->dir);
	unlink(arena);
}
