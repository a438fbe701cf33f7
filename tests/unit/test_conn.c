/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn: packets, descriptors and addresses of one socket.
 */
#include <config.h>

#include "lib/wire/conn.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int pair[2];
static char dir[64], path[96];

static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	strcpy(dir, "/tmp/test_conn.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
}

static void teardown(void)
{
	close(pair[0]);
	close(pair[1]);
	unlink(path);
	rmdir(dir);
}

static int count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int nr = 0;

	while (readdir(fds))
		nr++;
	closedir(fds);
	return nr;
}

START_TEST(test_conn_packets_keep_their_boundaries)
{
	char buf[16];

	ck_assert_int_eq(conn_send(pair[0], "one", 3, NULL, 0), 0);
	ck_assert_int_eq(conn_send(pair[0], "three", 5, NULL, 0), 0);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), NULL, 0, NULL), 3);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), NULL, 0, NULL), 5);
	ck_assert_mem_eq(buf, "three", 5);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), NULL, 0, NULL), -EAGAIN);
}
END_TEST

START_TEST(test_conn_hang_up_is_zero_and_sending_is_epipe)
{
	char buf[16];

	close(pair[0]);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), NULL, 0, NULL), 0);
	ck_assert_int_eq(conn_send(pair[1], "x", 1, NULL, 0), -EPIPE);
	pair[0] = dup(pair[1]);
}
END_TEST

START_TEST(test_conn_hang_up_with_unread_packets_is_zero)
{
	char buf[16];

	ck_assert_int_eq(conn_send(pair[1], "x", 1, NULL, 0), 0);
	close(pair[0]);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), NULL, 0, NULL), 0);
	pair[0] = dup(pair[1]);
}
END_TEST

START_TEST(test_conn_full_socket_is_eagain)
{
	char big[4096] = "";
	int r;

	while ((r = conn_send(pair[0], big, sizeof(big), NULL, 0)) == 0)
		;
	ck_assert_int_eq(r, -EAGAIN);
}
END_TEST

START_TEST(test_conn_larger_packet_is_emsgsize)
{
	char buf[4];

	ck_assert_int_eq(conn_send(pair[0], "too long", 8, NULL, 0), 0);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), NULL, 0, NULL), -EMSGSIZE);
}
END_TEST

START_TEST(test_conn_recv_wait_takes_packets_and_hang_up)
{
	char buf[4];

	ck_assert_int_eq(conn_send(pair[0], "one", 3, NULL, 0), 0);
	ck_assert_int_eq(conn_recv_wait(pair[1], buf, sizeof(buf), NULL, 0, NULL), 3);
	ck_assert_int_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(conn_recv_wait(pair[1], buf, sizeof(buf), NULL, 0, NULL), -EAGAIN);
	close(pair[0]);
	ck_assert_int_eq(conn_recv_wait(pair[1], buf, sizeof(buf), NULL, 0, NULL), 0);
	pair[0] = dup(pair[1]);
}
END_TEST

START_TEST(test_conn_descriptors_arrive_closed_on_exec)
{
	int fds[CONN_MAX_FDS], nr_fds;
	char buf[4];

	ck_assert_int_eq(conn_send(pair[0], "fds", 3, pair, 2), 0);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), fds, 2, &nr_fds), 3);
	ck_assert_int_eq(nr_fds, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
	ck_assert_int_eq(conn_send(pair[0], "none", 4, NULL, 0), 0);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), fds, 2, &nr_fds), 4);
	ck_assert_int_eq(nr_fds, 0);
}
END_TEST

/* By hand, since conn_send() would not send so many. */
static void send_many_fds(int sock, int nr)
{
	char control[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8))) = "";
	struct iovec iov = { .iov_base = control, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE((size_t)nr * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN((size_t)nr * sizeof(int));
	for (int i = 0; i < nr; i++)
		memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &pair[0], sizeof(int));
	ck_assert_int_eq(sendmsg(sock, &msg, 0), 1);
}

/* One more than wanted, as many as there is room for, more than that: all refused, none leaks. */
START_TEST(test_conn_unwanted_descriptors_are_refused_and_closed)
{
	int before = count_fds(), fds[CONN_MAX_FDS], nr_fds;
	char buf[4];

	for (int max = 0; max <= 2; max++) {
		for (int nr = max + 1; nr <= 16; nr++) {
			send_many_fds(pair[0], nr);
			ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), fds, max, &nr_fds),
					 -EPROTO);
		}
	}
	ck_assert_int_eq(count_fds(), before);
	ck_assert_int_eq(conn_send(pair[0], "x", 1, fds, CONN_MAX_FDS + 1), -EINVAL);
}
END_TEST

START_TEST(test_conn_descriptors_with_a_packet_too_large_are_closed)
{
	int before = count_fds(), fds[CONN_MAX_FDS], nr_fds;
	char buf[2];

	ck_assert_int_eq(conn_send(pair[0], "fds", 3, pair, 2), 0);
	ck_assert_int_eq(conn_recv(pair[1], buf, sizeof(buf), fds, 2, &nr_fds), -EMSGSIZE);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(test_conn_peer_is_who_we_are)
{
	struct conn_peer peer;
	gid_t groups[64];

	ck_assert_int_eq(conn_peer(pair[0], &peer), 0);
	ck_assert_uint_eq(peer.uid, geteuid());
	ck_assert_uint_eq(peer.gid, getegid());
	ck_assert_int_eq(peer.pid, getpid());
	ck_assert_int_eq(peer.nr_groups, getgroups(64, groups));
	conn_peer_fini(&peer);
	conn_peer_fini(&peer);
}
END_TEST

/* Each test is a process of its own: nobody else gets these groups. */
START_TEST(test_conn_peer_in_thousands_of_groups_has_them_all)
{
	static gid_t groups[5000];
	struct conn_peer peer;
	int of_many[2];

	for (int i = 0; i < 5000; i++)
		groups[i] = (gid_t)(70000 + i);
	if (getenv("CK_FORK") && strcmp(getenv("CK_FORK"), "no") == 0)
		return;
	if (setgroups(5000, groups) < 0)
		return;                 /* takes root */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, of_many), 0);
	ck_assert_int_eq(conn_peer(of_many[0], &peer), 0);
	ck_assert_int_eq(peer.nr_groups, 5000);
	for (int i = 0; i < 5000; i++)
		ck_assert_uint_eq(peer.groups[i], groups[i]);
	conn_peer_fini(&peer);
}
END_TEST

START_TEST(test_conn_peer_of_what_is_no_socket_is_refused)
{
	struct conn_peer peer;

	ck_assert_int_eq(conn_peer(-1, &peer), -EBADF);
}
END_TEST

START_TEST(test_conn_listen_and_connect)
{
	int server, client;
	struct stat st;
	mode_t old = umask(077);

	server = conn_listen(path, SOCK_SEQPACKET, 0660);
	umask(old);
	ck_assert_int_ge(server, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	client = conn_connect(path, SOCK_SEQPACKET);
	ck_assert_int_ge(client, 0);
	ck_assert_int_eq(fcntl(client, F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(conn_listen(path, SOCK_SEQPACKET, 0660), -EADDRINUSE);
	ck_assert_int_eq(conn_listen(path, SOCK_STREAM, 0660), -EADDRINUSE);
	close(client);
	close(server);
}
END_TEST

START_TEST(test_conn_listen_replaces_a_stale_socket_and_nothing_else)
{
	int server = conn_listen(path, SOCK_SEQPACKET, 0600);

	close(server);
	ck_assert_int_eq(conn_connect(path, SOCK_SEQPACKET), -ECONNREFUSED);
	server = conn_listen(path, SOCK_SEQPACKET, 0600);
	ck_assert_int_ge(server, 0);
	close(server);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(conn_listen(path, SOCK_SEQPACKET, 0600), -ENOTSOCK);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_conn_abstract_names_work)
{
	char name[64];
	int server, client;

	snprintf(name, sizeof(name), "@pmemarena-test-%d", getpid());
	server = conn_listen(name, SOCK_SEQPACKET, 0600);
	ck_assert_int_ge(server, 0);
	client = conn_connect(name, SOCK_SEQPACKET);
	ck_assert_int_ge(client, 0);
	close(client);
	ck_assert_int_eq(conn_listen(name, SOCK_SEQPACKET, 0600), -EADDRINUSE);
	close(server);
}
END_TEST

START_TEST(test_conn_bad_paths_have_their_errors)
{
	char endless[200];

	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	ck_assert_int_eq(conn_connect(endless, SOCK_SEQPACKET), -ENAMETOOLONG);
	ck_assert_int_eq(conn_connect("", SOCK_SEQPACKET), -ENOENT);
	ck_assert_int_eq(conn_connect(path, SOCK_SEQPACKET), -ENOENT);
	ck_assert_int_eq(conn_listen("/nonexistent/x", SOCK_SEQPACKET, 0600), -ENOENT);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_conn_packets_keep_their_boundaries);
	tcase_add_test(t, test_conn_hang_up_is_zero_and_sending_is_epipe);
	tcase_add_test(t, test_conn_hang_up_with_unread_packets_is_zero);
	tcase_add_test(t, test_conn_full_socket_is_eagain);
	tcase_add_test(t, test_conn_larger_packet_is_emsgsize);
	tcase_add_test(t, test_conn_recv_wait_takes_packets_and_hang_up);
	tcase_add_test(t, test_conn_descriptors_arrive_closed_on_exec);
	tcase_add_test(t, test_conn_unwanted_descriptors_are_refused_and_closed);
	tcase_add_test(t, test_conn_descriptors_with_a_packet_too_large_are_closed);
	tcase_add_test(t, test_conn_peer_is_who_we_are);
	tcase_add_test(t, test_conn_peer_in_thousands_of_groups_has_them_all);
	tcase_add_test(t, test_conn_peer_of_what_is_no_socket_is_refused);
	tcase_add_test(t, test_conn_listen_and_connect);
	tcase_add_test(t, test_conn_listen_replaces_a_stale_socket_and_nothing_else);
	tcase_add_test(t, test_conn_abstract_names_work);
	tcase_add_test(t, test_conn_bad_paths_have_their_errors);
}

UNIT("conn", { .add = add_tests, .setup = setup, .teardown = teardown });
