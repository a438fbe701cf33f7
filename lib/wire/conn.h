/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn: one connected SOCK_SEQPACKET socket, by which whole messages (packets) and descriptors are
 * sent and received. The library and the daemon share these functions, so there is no event loop
 * here, and no function looks into a message.
 *
 * The *peer* is the process at the other end of the socket. All functions return 0 (or what they
 * say) or a negative errno, and none of them logs.
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
	/* 0: the peer lives in a PID namespace that this process cannot see */
	pid_t pid;
	/* owned; all supplementary groups of the peer (SO_PEERGROUPS) */
	gid_t *groups;
	int   nr_groups;
};

/*
 * Asks the kernel who the peer was when it connected. 0: the caller has to call conn_peer_fini().
 * -ENOMEM and other negative errnos: *peer holds nothing. The list of groups is complete or the
 * call fails: a list that is cut would not only take rights from the peer, since a file mode may
 * give a group less than it gives to others.
 */
int conn_peer(int sock, struct conn_peer *peer);
void conn_peer_fini(struct conn_peer *peer);

/*
 * Sends one packet of @length bytes, and with it @nr_fds descriptors (SCM_RIGHTS), which the caller
 * still owns and closes. Never blocks. 0; -EAGAIN the socket's buffer is full; -ETOOMANYREFS too
 * many descriptors are under way on this host, try again later; -EINVAL more than CONN_MAX_FDS;
 * -EPIPE or -ECONNRESET the peer is gone. After an error nothing was sent.
 */
int conn_send(int sock, const void *buf, size_t length, const int *fds, int nr_fds);

/*
 * Receives one packet into @buf. Never blocks. > 0: its length. 0: the peer hung up. -EAGAIN: no
 * packet is there. -EMSGSIZE: the packet was longer than @size; its rest is lost. -EPROTO: the
 * packet brought more descriptors than @max_fds. -EMFILE: descriptors came and this process has no
 * free number for them. On success the caller owns the *nr_fds descriptors in @fds, which have
 * CLOEXEC set; after an error all that came are closed.
 */
ssize_t conn_recv(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds);
/*
 * As conn_recv(), but on a blocking socket the call waits for a packet. That takes one system call,
 * where poll() and conn_recv() take two.
 */
ssize_t conn_recv_wait(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds);

/* ---- without descriptors ---- */

/*
 * These call the kernel by syscall(), past the wrappers of the C library, which are points where a
 * thread can be cancelled (conn.c says why that must not be). ThreadSanitizer learns from those
 * wrappers alone that what one thread did before it sent a packet comes before what another thread
 * does after it received the packet. So a build with ThreadSanitizer uses the wrappers; without
 * them it would report races that are none.
 */
#ifdef __SANITIZE_THREAD__
#define CONN_SEND       send
#define CONN_RECEIVE    recv
#define CONN_RECEIVE_MESSAGE    recvmsg
#else
#define CONN_SEND(sock, buf, length, flags) syscall(SYS_sendto, sock, buf, length, flags, NULL, 0)
#define CONN_RECEIVE(sock, buf, size, flags) \
	syscall(SYS_recvfrom, sock, buf, size, flags, NULL, NULL)
#define CONN_RECEIVE_MESSAGE(sock, msg, flags)  syscall(SYS_recvmsg, sock, msg, flags)
#endif

/*
 * As conn_send() without descriptors: a request and its reply take this way. sendto() copies no
 * message header into the kernel, which sendmsg() does. The function is inline because a process
 * that slept meanwhile mispredicts each return from a function: one call less is measurable.
 */
static inline int conn_send_plain(int sock, const void *buf, size_t length)
{
	ssize_t sent;

	do {
		sent = CONN_SEND(sock, buf, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/*
 * Receives one packet of at most @size bytes; @flags is MSG_DONTWAIT or 0 (wait). The kernel drops
 * descriptors that come with the packet, and the caller does not learn that there were any. Returns
 * as conn_recv().
 */
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

/*
 * As conn_recv_plain(), for callers that must notice a peer that sends descriptors against the
 * protocol: -EPROTO, and the kernel has dropped the descriptors. It costs about 80 ns more, since
 * the kernel copies a message header in and out.
 */
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

/*
 * Connects to @path ("@name" is an abstract address). Returns a non-blocking CLOEXEC socket of
 * @type, which the caller owns, or a negative errno: -ENOENT or -ECONNREFUSED nobody listens,
 * -EACCES, -EAGAIN the listener's backlog is full.
 */
int conn_connect(const char *path, int type);
/*
 * Creates a listening socket of @type at @path, whose file gets the mode @mode. Returns the socket,
 * which the caller owns, or a negative errno. A socket file on which nobody listens is replaced;
 * -EADDRINUSE: somebody listens there; -ENOTSOCK: another kind of file is at @path, and stays.
 */
int conn_listen(const char *path, int type, mode_t mode);

#endif
