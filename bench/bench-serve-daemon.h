/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon: the real one, on a file arena of its own in a directory of its own, for as long as it is
 * measured.
 */
#ifndef PMEMARENA_BENCH_SERVE_DAEMON_H
#define PMEMARENA_BENCH_SERVE_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

struct bench_daemon {
	pid_t pid;                      /* 0: not running */
	char  socket[108], admin[108];
	char  dir[80];                  /* below the one given */
};

/*
 * @dir is on a tmpfs; @size is the arena's, sparse; free space keeps the blocks that it got, as a
 * device has them. Its loop has the server's processor. Returns when it is ready. 0 or -errno, and
 * then it has said why; its log is in @dir.
 */
int bench_daemon_start(struct bench_daemon *daemon, const char *program, const char *dir,
		       const char *name, uint64_t size, unsigned busy_poll_us);
/* The one that was built beside this program, BUILD/bench/NAME. */
const char *bench_daemon_program(void);
/* The same in steps, for those who start one again and again: a directory, */
int bench_daemon_prepare(struct bench_daemon *daemon, const char *dir, const char *name);
/* a daemon there with these options (NULL at the end), and how long from fork() to READY=1, */
int bench_daemon_run(uint64_t *took_ns, struct bench_daemon *daemon, const char *program,
		     const char *const *options);
/* and its end by SIGTERM or SIGKILL; the arena stays. */
void bench_daemon_end(struct bench_daemon *daemon, int sig);
/* Returns when all free space is known to be zero. 0 or -errno; -ETIMEDOUT after a minute. */
int bench_daemon_wait_zero(const char *admin);
/* Asks it to stop and waits; what it left is removed with the directory. Not started is fine. */
void bench_daemon_stop(struct bench_daemon *daemon);

#endif
