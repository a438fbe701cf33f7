/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer: files and passed memory, with nothing but the kernel.
 */
#include <config.h>

#include "bench/bench-serve-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a file an object ---- */

static int make_file(int *fd, void **memory, const char *path, uint64_t size)
{
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0 || fallocate(*fd, 0, 0, (off_t)size) < 0)
		return -errno;
	*memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return *memory == MAP_FAILED ? -errno : 0;
}

static int work_files(struct turn *turn, void *context, const void *arg)
{
	const struct peer *peer = arg;
	char path[128];
	void *memory = NULL;
	int fd, r;

	snprintf(path, sizeof(path), "%s/object", peer->dir);
	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		r = make_file(&fd, &memory, path, peer->size);
		if (r < 0)
			return r;
		between = turn_now();
		munmap(memory, peer->size);
		close(fd);
		unlink(path);
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, 1);
		turn_note(turn, PHASE_BACK, between, to, 1);
		turn_note(turn, PHASE_BOTH, from, to, 1);
	}
	return 0;
}

int peer_run_file(struct timing timings[NR_PHASES], const struct peer *peer)
{
	struct crew_plan plan = { .nr = 1,
				  .nr_threads = 1,
				  .placement = PLACE_SAME_CORE,
				  .seconds = peer->seconds,
				  .work = work_files,
				  .arg = peer };

	return crew_run(timings, &plan);
}

/* ---- a memfd passed on ---- */

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_fd(int sock, int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The descriptor that came; -1: none did; -2: the other end is gone. */
static int receive_fd(int sock)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union control control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -2;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* Keeps what it was given until it is told to let go of it. */
static void keep_for_others(int sock)
{
	int kept = -1, fd;

	while ((fd = receive_fd(sock)) != -2) {
		if (fd == -1)
			close(kept);
		else
			kept = fd;
		if (send(sock, "", 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

static int ask(int sock, int fd)
{
	char byte = 0;
	int r = 0;

	if (fd >= 0)
		r = send_fd(sock, fd);
	else if (send(sock, &byte, 1, MSG_NOSIGNAL) != 1)
		r = -errno;
	if (r == 0 && recv(sock, &byte, 1, 0) != 1)
		r = -EPIPE;
	return r;
}

static int make_memfd(int *fd, void **memory, uint64_t size, int sock)
{
	*fd = memfd_create("object", MFD_CLOEXEC);
	if (*fd < 0 || fallocate(*fd, 0, 0, (off_t)size) < 0)
		return -errno;
	*memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return *memory == MAP_FAILED ? -errno : ask(sock, *fd);
}

static int pass_memory(struct turn *turn, const struct peer *peer, int sock)
{
	void *memory = NULL;
	int fd, r;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		r = make_memfd(&fd, &memory, peer->size, sock);
		if (r < 0)
			return r;
		between = turn_now();
		munmap(memory, peer->size);
		close(fd);
		r = ask(sock, -1);
		if (r < 0)
			return r;
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, 1);
		turn_note(turn, PHASE_BACK, between, to, 1);
		turn_note(turn, PHASE_BOTH, from, to, 1);
	}
	return 0;
}

static int work_memfd(struct turn *turn, void *context, const void *arg)
{
	int pair[2], r;
	pid_t keeper;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	keeper = fork();
	if (keeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		place_server(0);
		close(pair[1]);
		keep_for_others(pair[0]);
	}
	close(pair[0]);
	r = pass_memory(turn, arg, pair[1]);
	close(pair[1]);
	waitpid(keeper, NULL, 0);
	return r;
}

int peer_run_memfd(struct timing timings[NR_PHASES], const struct peer *peer)
{
	struct crew_plan plan = { .nr = 1,
				  .nr_threads = 1,
				  .placement = peer->placement,
				  .seconds = peer->seconds,
				  .work = work_memfd,
				  .arg = peer };

	return crew_run(timings, &plan);
}
