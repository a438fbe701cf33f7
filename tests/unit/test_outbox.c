/* SPDX-License-Identifier: BSD-3-Clause */
/* outbox: order, descriptors that are never leaked, sockets that are full or gone. */
#include <config.h>

#include "daemon/serve/outbox.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct outbox outbox;
static int here, there;

static void setup(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv),
			 0);
	here = sv[0];
	there = sv[1];
	outbox_init(&outbox);
}

static void teardown(void)
{
	outbox_fini(&outbox);
	close(here);
	close(there);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* Until the socket takes no more; returns how many it took. */
static int fill(int *kept)
{
	int nr = 0, r;

	while ((r = outbox_send(&outbox, here, &nr, sizeof(nr), NULL, 0)) == 0)
		nr++;
	ck_assert_int_eq(r, 1);
	*kept = nr;
	return nr;
}

static void expect(int value)
{
	int got = -1;

	ck_assert_int_eq(recv(there, &got, sizeof(got), 0), sizeof(got));
	ck_assert_int_eq(got, value);
}

START_TEST(test_outbox_sends_at_once_what_fits)
{
	ck_assert_int_eq(outbox_send(&outbox, here, &(int){ 7 }, sizeof(int), NULL, 0), 0);
	ck_assert(outbox_is_empty(&outbox));
	expect(7);
}
END_TEST

static void take_one_with_descriptors(void)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &(int){ 0 }, sizeof(int) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd;

	ck_assert_int_gt(recvmsg(there, &msg, 0), 0);
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	close(fd);
}

START_TEST(test_outbox_with_descriptors_that_nobody_reads_keeps_the_next)
{
	for (int i = 0; i <= OUTBOX_CARRIED; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		ck_assert_int_eq(outbox_send(&outbox, here, &i, sizeof(i), &fd, 1),
				 i == OUTBOX_CARRIED);
	}
	ck_assert_int_eq(outbox.full, -ETOOMANYREFS);
	ck_assert_int_eq(outbox_flush(&outbox, here), 1);
	for (int i = 0; i < OUTBOX_CARRIED; i++)
		take_one_with_descriptors();
	ck_assert_int_eq(outbox_flush(&outbox, here), 0);
	take_one_with_descriptors();
	ck_assert(outbox_is_empty(&outbox));
}
END_TEST

START_TEST(test_outbox_keeps_the_order_over_a_full_socket)
{
	int kept, next = fill(&kept) + 1;

	ck_assert_int_eq(outbox.full, -EAGAIN);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(
			outbox_send(&outbox, here, &(int){ next + i }, sizeof(int), NULL, 0), 1);
	ck_assert_int_eq(outbox_try(&outbox, here, &(int){ -1 }, sizeof(int)), 1);
	for (int i = 0; i < next + 10; i++) {
		expect(i);
		ck_assert_int_ge(outbox_flush(&outbox, here), 0);
	}
	ck_assert(outbox_is_empty(&outbox));
	ck_assert_int_eq(outbox_flush(&outbox, here), 0);
	ck_assert_int_eq(outbox_try(&outbox, here, &(int){ 99 }, sizeof(int)), 0);
	expect(99);
}
END_TEST

START_TEST(test_outbox_descriptors_go_once_or_are_closed)
{
	int kept, before = count_fds();
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(outbox_send(&outbox, here, "x", 1, &fd, 1), 0);
	fill(&kept);
	for (int i = 0; i < 3; i++) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		ck_assert_int_eq(outbox_send(&outbox, here, "x", 1, &fd, 1), 1);
	}
	ck_assert_int_eq(count_fds(), before + 3);
	outbox_fini(&outbox);
	ck_assert_int_eq(count_fds(), before);
	ck_assert(outbox_is_empty(&outbox));
}
END_TEST

START_TEST(test_outbox_other_end_gone_is_an_error_and_leaks_nothing)
{
	int kept, fd, before = count_fds();

	fill(&kept);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(outbox_send(&outbox, here, "x", 1, &fd, 1), 1);
	close(there);
	ck_assert_int_lt(outbox_flush(&outbox, here), 0);
	outbox_fini(&outbox);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(outbox_send(&outbox, here, "x", 1, &fd, 1), -EPIPE);
	ck_assert_int_eq(outbox_try(&outbox, here, "x", 1), -EPIPE);
	there = dup(here);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_outbox_sends_at_once_what_fits);
	tcase_add_test(t, test_outbox_with_descriptors_that_nobody_reads_keeps_the_next);
	tcase_add_test(t, test_outbox_keeps_the_order_over_a_full_socket);
	tcase_add_test(t, test_outbox_descriptors_go_once_or_are_closed);
	tcase_add_test(t, test_outbox_other_end_gone_is_an_error_and_leaks_nothing);
}

UNIT("outbox", { .add = add_tests, .setup = setup, .teardown = teardown });
