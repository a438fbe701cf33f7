/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn: one connected SOCK_SEQPACKET socket, framed messages and descriptors in and out. No loop, no meaning: the library
 * and the daemon share it.
 */
#ifndef PMEMARENA_CONN_H
#define PMEMARENA_CONN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define CONN_MAX_FDS 4

struct conn_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;                      /* 0: in a PID namespace we do not see */
	gid_t groups[64];               /* supplementary, as SO_PEERGROUPS says */
	int   nr_groups;
};

/* What the kernel says about the other end at the time it connected. 0 or -errno. */
int conn_peer(int sock, struct conn_peer *peer);

/*
 * One packet. @nr_fds descriptors go with it (SCM_RIGHTS; they stay the caller's). 0; -EAGAIN the socket is full (never blocks);
 * -ETOOMANYREFS too many descriptors in flight, try again later; -EPIPE, -ECONNRESET the other end is gone.
 */
int conn_send(int sock, const void *buf, size_t length, const int *fds, int nr_fds);

/*
 * One packet into @buf. > 0 its length; 0 the other end hung up; -EAGAIN nothing there (never blocks); -EMSGSIZE it was larger than
 * @size; -EPROTO descriptors came that @max_fds does not allow (they were closed). Received descriptors are CLOEXEC and
 * the caller's; *nr_fds says how many.
 */
ssize_t conn_recv(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds);
/* The same, but waits for a packet if the socket is a blocking one: one system call where poll() and conn_recv() are two. */
ssize_t conn_recv_wait(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds);

/* A connected, non-blocking, CLOEXEC socket of @type at @path ("@name": abstract), or -errno. */
int conn_connect(const char *path, int type);
/* A listening one, mode @mode; a stale socket file (nobody listens) is replaced, a live one is -EADDRINUSE, another file -ENOTSOCK. */
int conn_listen(const char *path, int type, mode_t mode);

#endif
