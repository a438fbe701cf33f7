/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn: system calls on one local (AF_UNIX) socket. No function here logs. A descriptor that a peer
 * sends is either handed to the caller or closed, so that a peer cannot fill this process's
 * descriptor table. The file knows packets and not what is in them.
 *
 * Packets are sent and received by syscall(), not by the C library's wrappers. The wrappers are
 * points where a thread can be cancelled: that costs two locked instructions a call in a process
 * with threads, and a thread that is cancelled in one would keep the library's lock for ever and
 * receive for nobody any more.
 */
#include <config.h>

#include "lib/wire/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#define SEND_MESSAGE    sendmsg
#else
#define SEND_MESSAGE(sock, msg, flags)     syscall(SYS_sendmsg, sock, msg, flags)
#endif

#define GROUPS_GUESS 32

/*
 * The supplementary groups of the other end. Some users are in thousands of groups, so the buffer
 * is not of a fixed size: the kernel fails with ERANGE, says how many bytes it would have written,
 * and is asked again with a buffer of that size.
 */
static int read_groups(int sock, struct conn_peer *peer)
{
	socklen_t size = GROUPS_GUESS * sizeof(gid_t), room;

	do {
		gid_t *grown = realloc(peer->groups, size);

		if (!grown)
			return -ENOMEM;
		peer->groups = grown;
		room = size;
		if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, grown, &size) == 0) {
			peer->nr_groups = (int)(size / sizeof(gid_t));
			return 0;
		}
	} while (errno == ERANGE && size > room);
	return -errno;
}

int conn_peer(int sock, struct conn_peer *peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);
	int r;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	*peer = (struct conn_peer){ .uid = cred.uid, .gid = cred.gid, .pid = cred.pid };
	r = read_groups(sock, peer);
	if (r < 0)
		conn_peer_fini(peer);
	return r;
}

void conn_peer_fini(struct conn_peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->nr_groups = 0;
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CONN_MAX_FDS * sizeof(int))];
};

static void put_fds(struct msghdr *msg, union control *control, const int *fds, int nr_fds)
{
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE((size_t)nr_fds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN((size_t)nr_fds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, (size_t)nr_fds * sizeof(int));
}

static ssize_t send_with_fds(int sock, const void *buf, size_t length, const int *fds, int nr_fds,
			     int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;

	put_fds(&msg, &control, fds, nr_fds);
	return SEND_MESSAGE(sock, &msg, flags);
}

int conn_send(int sock, const void *buf, size_t length, const int *fds, int nr_fds)
{
	ssize_t sent;

	if (nr_fds == 0)
		return conn_send_plain(sock, buf, length);
	if (nr_fds < 0 || nr_fds > CONN_MAX_FDS)
		return -EINVAL;
	do {
		sent = send_with_fds(sock, buf, length, fds, nr_fds, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/*
 * Copies every descriptor of @msg into @fds, whether the caller wants descriptors or not: all of
 * them are open in this process now, and whoever ignored one would leak it. Returns how many there
 * are. The kernel itself drops what goes beyond CONN_MAX_FDS, because the control buffer has no
 * more room.
 */
static int take_fds(int fds[CONN_MAX_FDS], struct msghdr *msg)
{
	int nr = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t size = cmsg->cmsg_len - CMSG_LEN(0);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + nr, CMSG_DATA(cmsg), size);
		nr += (int)(size / sizeof(int));
	}
	return nr;
}

static void close_fds(const int *fds, int nr)
{
	for (int i = 0; i < nr; i++)
		close(fds[i]);
}

/*
 * Judges a packet of @length bytes that came with @nr descriptors. 0: good. -EMFILE: this process
 * has no free descriptor number. -EPROTO: the peer sent descriptors that the caller does not
 * expect. -EMSGSIZE: the packet was longer than the caller's buffer.
 */
static int check_packet(const struct msghdr *msg, ssize_t length, int nr, int max_fds)
{
	/*
	 * The control buffer had room left, and yet the kernel dropped descriptors: this process
	 * had no free descriptor number. That is no fault of the peer, so the answer is not
	 * -EPROTO.
	 */
	if (msg->msg_flags & MSG_CTRUNC && nr < CONN_MAX_FDS)
		return -EMFILE;
	if (msg->msg_flags & MSG_CTRUNC || nr > max_fds || (length == 0 && nr > 0))
		return -EPROTO;
	return msg->msg_flags & MSG_TRUNC ? -EMSGSIZE : 0;
}

static ssize_t receive_with_fds(int sock, void *buf, size_t size, int *fds, int max_fds,
				int *nr_fds, int flags)
{
	union control control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int got[CONN_MAX_FDS], nr, r;
	ssize_t length;

	do {
		length = CONN_RECEIVE_MESSAGE(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == ECONNRESET ? 0 : -errno;
	nr = take_fds(got, &msg);
	r = check_packet(&msg, length, nr, max_fds);
	if (r < 0) {
		close_fds(got, nr);
		return r;
	}
	if (nr > 0)
		memcpy(fds, got, (size_t)nr * sizeof(int));
	*nr_fds = nr;
	return length;
}

static ssize_t receive(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds,
		       int flags)
{
	if (max_fds == 0)
		return conn_recv_none(sock, buf, size, flags);
	return receive_with_fds(sock, buf, size, fds, max_fds, nr_fds, flags);
}

ssize_t conn_recv(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds)
{
	return receive(sock, buf, size, fds, max_fds, nr_fds, MSG_DONTWAIT);
}

ssize_t conn_recv_wait(int sock, void *buf, size_t size, int *fds, int max_fds, int *nr_fds)
{
	return receive(sock, buf, size, fds, max_fds, nr_fds, 0);
}

/* Writes the socket address of @path. 0; -ENOENT @path is empty; -ENAMETOOLONG it does not fit. */
static int make_address(struct sockaddr_un *address, socklen_t *size, const char *path)
{
	size_t len = strlen(path);

	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, len + 1);
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (path[0] == '@') {
		/*
		 * The kernel takes an abstract name by its length and not up to a NUL. If the NUL
		 * were counted, it would be part of the name.
		 */
		address->sun_path[0] = '\0';
		*size -= 1;
	}
	return 0;
}

static int new_socket(int type)
{
	int sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return sock < 0 ? -errno : sock;
}

int conn_connect(const char *path, int type)
{
	struct sockaddr_un address;
	socklen_t size;
	int sock, r;

	r = make_address(&address, &size, path);
	if (r < 0)
		return r;
	sock = new_socket(type);
	if (sock < 0)
		return sock;
	if (connect(sock, (struct sockaddr *)&address, size) < 0) {
		r = -errno;
		close(sock);
		return r;
	}
	return sock;
}

/*
 * bind() found a file at @path. Removes the file if it is a socket on which nobody listens any
 * more, as a killed daemon leaves it. 0: removed, or the file is gone by itself. -EADDRINUSE: some
 * process listens. -ENOTSOCK: the file is no socket, and stays. Other errors: this process could
 * not find out.
 */
static int remove_stale(const char *path)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	r = conn_connect(path, SOCK_SEQPACKET);
	if (r >= 0)
		close(r);
	/*
	 * A process listens there: it accepted the connection, or its socket is of another type, or
	 * its backlog is full. Removing the file would cut that process off from its clients.
	 */
	if (r >= 0 || r == -EPROTOTYPE || r == -EAGAIN)
		return -EADDRINUSE;
	/*
	 * Any other error (no memory, no descriptor) is about this process and says nothing about a
	 * listener. So the file stays.
	 */
	if (r != -ECONNREFUSED)
		return r;
	return unlink(path) < 0 ? -errno : 0;
}

static int bind_path(int sock, const char *path, mode_t mode)
{
	struct sockaddr_un address;
	socklen_t size;
	int r;

	r = make_address(&address, &size, path);
	if (r < 0)
		return r;
	/*
	 * The mode is set twice. fchmod() before bind(): otherwise the file would be open to others
	 * for a moment. chmod() afterwards: bind() takes the bits of the umask away.
	 */
	if (fchmod(sock, mode) < 0)
		return -errno;
	if (bind(sock, (struct sockaddr *)&address, size) < 0)
		return -errno;
	if (path[0] != '@' && chmod(path, mode) < 0)
		return -errno;
	return 0;
}

int conn_listen(const char *path, int type, mode_t mode)
{
	int sock, r;

	sock = new_socket(type);
	if (sock < 0)
		return sock;
	r = bind_path(sock, path, mode);
	if (r == -EADDRINUSE && path[0] != '@') {
		r = remove_stale(path);
		if (r == 0)
			r = bind_path(sock, path, mode);
	}
	if (r == 0 && listen(sock, SOMAXCONN) < 0)
		r = -errno;
	if (r < 0) {
		close(sock);
		return r;
	}
	return sock;
}
