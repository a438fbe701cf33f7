/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon: spawned with a notification socket, as a service manager does. The file arena stands for memory that is made durable
 * by cache lines: PMEM2_FORCE_GRANULARITY, as libpmem2's own tests do.
 */
#include <config.h>

#include "bench/bench-serve-daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#define READY_MS 10000
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

static void run(const char *program, const char *dir, uint64_t size, unsigned busy_poll_us, const char *notify)
{
	char run_dir[160], device[160], size_text[80], keep[80], busy[64];

	snprintf(run_dir, sizeof(run_dir), "runtime-directory=%s/run", dir);
	snprintf(device, sizeof(device), "arena.main.device=%s/arena", dir);
	snprintf(size_text, sizeof(size_text), "arena.main.size=%" PRIu64, size);
	snprintf(keep, sizeof(keep), "arena.main.keep-blocks=%" PRIu64, size);
	snprintf(busy, sizeof(busy), "busy-poll-us=%u", busy_poll_us);
	setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1);
	setenv("NOTIFY_SOCKET", notify, 1);
	redirect(dir);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execl(program, program, "-c", "/dev/null", "-o", run_dir, "-o", device, "-o", size_text, "-o", "arena.main.format=if-blank",
	      "-o", keep, "-o", busy, (char *)NULL);
	perror(program);
	_exit(127);
}

int bench_daemon_start(struct bench_daemon *daemon, const char *program, const char *dir, const char *name, uint64_t size,
		       unsigned busy_poll_us)
{
	struct sockaddr_un address;
	int sock, r;

	*daemon = (struct bench_daemon){ 0 };
	snprintf(daemon->dir, sizeof(daemon->dir), "%s/%s", dir, name);
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/run/pmemarena.sock", daemon->dir);
	snprintf(daemon->admin, sizeof(daemon->admin), "%s/run/admin.sock", daemon->dir);
	if (mkdir(daemon->dir, 0700) < 0)
		return -errno;
	sock = listen_for_ready(&address, daemon->dir);
	if (sock < 0)
		return sock;
	fflush(NULL);
	daemon->pid = fork();
	if (daemon->pid == 0)
		run(program, daemon->dir, size, busy_poll_us, address.sun_path);
	r = daemon->pid < 0 ? -errno : wait_until_ready(sock, daemon->pid);
	close(sock);
	if (r == 0)
		r = place_server(daemon->pid);
	if (r < 0)
		fprintf(stderr, "bench-serve: %s did not start: %s; its log is %s/log\n", program, strerror(-r), daemon->dir);
	return r;
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

void bench_daemon_stop(struct bench_daemon *daemon)
{
	char arena[128];

	if (daemon->pid <= 0)
		return;
	kill(daemon->pid, SIGTERM);
	waitpid(daemon->pid, NULL, 0);
	/* Gigabytes of memory: also where the directory stays for its log. */
	snprintf(arena, sizeof(arena), "%s/arena", daemon->dir);
	unlink(arena);
	daemon->pid = 0;
}
