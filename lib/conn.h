/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn: one connected SOCK_SEQPACKET socket, framed messages and descriptors in and out. No loop, no meaning: the library
 * and the daemon share it.
 */
#ifndef PMEMARENA_CONN_H
#define PMEMARENA_CONN_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

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

/* ---- without descriptors ---- */

/* ThreadSanitizer sees that one thread's packet comes before what another does with it, but only where the wrappers are called. */
#ifdef __SANITIZE_THREAD__
#define CONN_SEND       send
#define CONN_RECEIVE    recv
#define CONN_RECEIVE_MESSAGE    recvmsg
#else
#define CONN_SEND(sock, buf, length, flags)     syscall(SYS_sendto, sock, buf, length, flags, NULL, 0)
#define CONN_RECEIVE(sock, buf, size, flags)    syscall(SYS_recvfrom, sock, buf, size, flags, NULL, NULL)
#define CONN_RECEIVE_MESSAGE(sock, msg, flags)  syscall(SYS_recvmsg, sock, msg, flags)
#endif

/*
 * The way of a request, without a message header for the kernel to copy in and out, and in line: after the other end had the
 * processor each return to a caller is mispredicted.
 */
static inline int conn_send_plain(int sock, const void *buf, size_t length)
{
	ssize_t sent;

	do {
		sent = CONN_SEND(sock, buf, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* @flags: MSG_DONTWAIT or 0. Descriptors that come are dropped by the kernel. */
static inline ssize_t conn_recv_plain(int sock, void *buf, size_t size, int flags)
{
	ssize_t length;

	do {
		length = CONN_RECEIVE(sock, buf, size, flags | MSG_TRUNC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == ECONNRESET ? 0 : -errno;
	return (size_t)length > size ? -EMSGSIZE : length;
}

/* The same for those who must know of descriptors that were sent: -EPROTO, and the kernel dropped them. A message header more to copy, 80 ns. */
static inline ssize_t conn_recv_none(int sock, void *buf, size_t size, int flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t length;

	do {
		length = CONN_RECEIVE_MESSAGE(sock, &msg, flags);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (msg.msg_flags & MSG_CTRUNC)
		return -EPROTO;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : length;
}

/* A connected, non-blocking, CLOEXEC socket of @type at @path ("@name": abstract), or -errno. */
int conn_connect(const char *path, int type);
/* A listening one, mode @mode; a stale socket file (nobody listens) is replaced, a live one is -EADDRINUSE, another file -ENOTSOCK. */
int conn_listen(const char *path, int type, mode_t mode);

#endif
