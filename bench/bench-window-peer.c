/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer: files; Redis and memcached by their protocols over unix sockets, which are lines and
 * lengths, so that no library of theirs is needed. bench-window-lmdb.c has LMDB.
 */
#include <config.h>

#include "bench/bench-window-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the crew ---- */

int window_crew(struct timing *timing, const struct window_job *job,
		int (*open)(void **context, const void *arg, unsigned index),
		void (*close)(void *context),
		int (*work)(struct turn *turn, void *context, const void *arg), const void *arg)
{
	struct timing timings[NR_PHASES];
	struct crew_plan plan = { .nr = job->nr_processes,
				  .nr_threads = 1,
				  .placement = PLACE_ANYWHERE,
				  .seconds = job->seconds,
				  .open = open,
				  .close = close,
				  .work = work,
				  .arg = arg };
	int r = crew_run(timings, &plan);

	*timing = timings[PHASE_THERE];
	return r;
}

/* ---- files ---- */

static void file_path(char path[200], const struct window_job *job, uint64_t i)
{
	/* The names have slashes. */
	snprintf(path, 200, "%s/files/%llu", job->dir, (unsigned long long)i);
}

static int make_files(const struct window_job *job)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/files", job->dir);
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	for (uint64_t i = 0; i < WINDOW_HOT; i++) {
		int fd, r;

		file_path(path, job, i);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : -posix_fallocate(fd, 0, 4096);
		if (fd >= 0)
			close(fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int get_file(const struct window_job *job, uint64_t i)
{
	char path[200];
	void *memory;
	int fd;

	file_path(path, job, i);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, 4096);
	return 0;
}

static int file_work(struct turn *turn, void *context, const void *arg)
{
	const struct window_job *job = arg;
	uint64_t state = 0;

	(void)context;
	while (turn_goes_on(turn)) {
		uint64_t from = turn_now();

		for (unsigned i = 0; i < WINDOW_RUN; i++) {
			int r = get_file(job, window_next(&state, job) / (job->nr / WINDOW_HOT));

			if (r < 0)
				return r;
		}
		turn_note(turn, PHASE_THERE, from, turn_now(), WINDOW_RUN);
	}
	return 0;
}

int window_peer_file(struct timing *timing, const struct window_job *job)
{
	int r = job->is_random ? -EOPNOTSUPP : make_files(job);

	return r < 0 ? r : window_crew(timing, job, NULL, NULL, file_work, job);
}

/* ---- servers ---- */

struct server {
	const char *name;
	/* writes a request to @out; returns its length */
	int (*get)(char *out, size_t size, const char *name);
	int (*set)(char *out, size_t size, const char *name, size_t value);
	/* bytes that stand before and behind the value in the reply */
	int (*before)(char *out, size_t size, const char *name, size_t value);
	const char *behind;
	const char *stored;             /* the reply to a set */
	const char *args[12];
};

/* A connection, or a file of @path that is not there yet. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, bytes, len, 0);

		if (n <= 0)
			return -EIO;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int redis_get(char *out, size_t size, const char *name)
{
	return snprintf(out, size, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(name), name);
}

static int redis_set(char *out, size_t size, const char *name, size_t value)
{
	return snprintf(out, size, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(name), name,
			value);
}

static int redis_before(char *out, size_t size, const char *name, size_t value)
{
	(void)name;
	return snprintf(out, size, "$%zu\r\n", value);
}

static int memcached_get(char *out, size_t size, const char *name)
{
	return snprintf(out, size, "get %s\r\n", name);
}

static int memcached_set(char *out, size_t size, const char *name, size_t value)
{
	return snprintf(out, size, "set %s 0 0 %zu\r\n", name, value);
}

static int memcached_before(char *out, size_t size, const char *name, size_t value)
{
	return snprintf(out, size, "VALUE %s 0 %zu\r\n", name, value);
}

#define SOCKET_HERE "SOCKET"

static const struct server redis = {
	.name = "redis-server",
	.get = redis_get,
	.set = redis_set,
	.before = redis_before,
	.behind = "\r\n",
	.stored = "+OK\r\n",
	.args = { "redis-server", "--port", "0", "--unixsocket", SOCKET_HERE, "--save", "",
		  "--appendonly", "no" },
};

static const struct server memcached = {
	.name = "memcached",
	.get = memcached_get,
	.set = memcached_set,
	.before = memcached_before,
	.behind = "\r\nEND\r\n",
	.stored = "STORED\r\n",
	.args = { "memcached", "-s", SOCKET_HERE, "-m", "1024", "-I", "8m", "-u", "root" },
};

struct served {
	const struct server *server;
	const struct window_job *job;
	char path[160];
	uint64_t nr_hot;                /* names that are stored */
};

static pid_t start_server(struct served *served, const char *dir)
{
	const char *args[12];
	pid_t pid;

	snprintf(served->path, sizeof(served->path), "%s/%s.sock", dir, served->server->name);
	for (int i = 0; i < 12; i++) {
		args[i] = served->server->args[i];
		if (args[i] && strcmp(args[i], SOCKET_HERE) == 0)
			args[i] = served->path;
	}
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (chdir(dir) == 0)
			execvp(args[0], (char *const *)(uintptr_t)args);
		_exit(127);
	}
	return pid;
}

/* Until it listens; -EOPNOTSUPP: it is not installed. */
static int await_server(const struct served *served, pid_t pid)
{
	struct timespec pause = { 0, 10000000 };
	int status;

	for (int i = 0; i < 500; i++) {
		int fd = connect_to(served->path);

		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return -EOPNOTSUPP;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

static int store_all(const struct served *served)
{
	size_t len = served->job->value, stored = strlen(served->server->stored);
	char *value = calloc(1, len), line[256], reply[16];
	int fd = connect_to(served->path), r = fd < 0 ? fd : 0;

	for (uint64_t i = 0; r == 0 && i < served->nr_hot; i++) {
		const char *name = served->job->names[i * (served->job->nr / served->nr_hot)];
		int n = served->server->set(line, sizeof(line), name, len);

		r = write_all(fd, line, (size_t)n);
		if (r == 0)
			r = write_all(fd, value, len);
		if (r == 0)
			r = write_all(fd, "\r\n", 2);
		if (r == 0)
			r = read_all(fd, reply, stored);
		if (r == 0 && memcmp(reply, served->server->stored, stored) != 0)
			r = -EIO;
	}
	if (fd >= 0)
		close(fd);
	free(value);
	return r;
}

static int server_open(void **context, const void *arg, unsigned index)
{
	const struct served *served = arg;
	int fd = connect_to(served->path);

	(void)index;
	if (fd < 0)
		return fd;
	*context = malloc(sizeof(fd));
	*(int *)*context = fd;
	return 0;
}

static void server_close(void *context)
{
	close(*(int *)context);
	free(context);
}

static int get_value(int fd, const struct served *served, const char *name, char *buf)
{
	char line[128];
	int n = served->server->get(line, sizeof(line), name);
	int r = write_all(fd, line, (size_t)n);

	n = served->server->before(line, sizeof(line), name, served->job->value);
	if (r == 0)
		r = read_all(fd, buf, (size_t)n + served->job->value +
				      strlen(served->server->behind));
	return r == 0 && memcmp(buf, line, (size_t)n) != 0 ? -EIO : r;
}

static int server_work(struct turn *turn, void *context, const void *arg)
{
	const struct served *served = arg;
	uint64_t step = served->job->nr / served->nr_hot, state = 0;
	char *buf = malloc(served->job->value + 256);
	int fd = *(int *)context, r = buf ? 0 : -ENOMEM;

	while (r == 0 && turn_goes_on(turn)) {
		uint64_t i = window_next(&state, served->job) % served->nr_hot * step;
		uint64_t from = turn_now();

		r = get_value(fd, served, served->job->names[i], buf);
		turn_note(turn, PHASE_THERE, from, turn_now(), 1);
	}
	free(buf);
	return r;
}

static int run_server(struct timing *timing, const struct window_job *job,
		      const struct server *server)
{
	struct served served = { .server = server, .job = job };
	pid_t pid;
	int r;

	served.nr_hot = job->value > 65536 ? 32 : WINDOW_HOT;
	if (job->is_random)
		return -EOPNOTSUPP;
	pid = start_server(&served, job->dir);
	r = pid < 0 ? -errno : await_server(&served, pid);
	if (r == 0)
		r = store_all(&served);
	if (r == 0)
		r = window_crew(timing, job, server_open, server_close, server_work, &served);
	if (pid > 0 && r != -EOPNOTSUPP) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	unlink(served.path);
	return r;
}

int window_peer_redis(struct timing *timing, const struct window_job *job)
{
	return run_server(timing, job, &redis);
}

int window_peer_memcached(struct timing *timing, const struct window_job *job)
{
	return run_server(timing, job, &memcached);
}
