/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify: everything that the daemon uses of libsystemd: state for the service manager, and sockets
 * from it.
 */
#include <config.h>

#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/clock.h"

int notify_ready(const char *status)
{
	int r = sd_notifyf(0, "READY=1\nSTATUS=%s", status);

	return r < 0 ? r : 0;
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ns(CLOCK_MONOTONIC) / 1000);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
}

void notify_status(const char *status)
{
	sd_notifyf(0, "STATUS=%s", status);
}

void notify_watchdog(void)
{
	sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us / 2000 + 1 : 0;
}

/*
 * Returns where a listening socket belongs: @client (sequential packets) or @admin (a stream);
 * NULL: it is neither, or its name says the other one.
 */
static int *place_of(int fd, const char *name, int *client, int *admin)
{
	int *place = NULL;

	if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
		place = client;
	else if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
		place = admin;
	if (name && ((strcmp(name, "client") == 0 && place != client) ||
		     (strcmp(name, "admin") == 0 && place != admin)))
		return NULL;
	return place;
}

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

#define SESSION_NAME "session-"

/*
 * Takes @fd if it is the connection of a session, which an earlier daemon left with the service
 * manager. Returns false if it is not one.
 */
static bool take_session(struct passed *passed, int fd, const char *name)
{
	char *end;
	uint64_t number;

	if (!name || strncmp(name, SESSION_NAME, strlen(SESSION_NAME)) != 0 ||
	    sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 0) <= 0)
		return false;
	number = strtoull(name + strlen(SESSION_NAME), &end, 10);
	if (*end != '\0' || number == 0)
		return false;
	passed->sessions[passed->nr_sessions++] =
		(struct passed_session){ .number = number, .sock = fd };
	return true;
}

static int take(struct passed *passed, int fd, const char *name, struct why *why)
{
	int *place;

	if (take_session(passed, fd, name))
		return 0;
	place = place_of(fd, name, &passed->client, &passed->admin);
	if (!place || *place >= 0)
		return why_set(why, -EINVAL,
			       "the service manager passed a socket \"%s\" that is neither the "
			       "client socket (sequential packets) nor the admin socket (a "
			       "stream), or is one too many",
			       name ? name : "");
	if (fcntl(fd, F_SETFL, O_NONBLOCK | fcntl(fd, F_GETFL)) < 0)
		return why_set(why, -errno, "socket \"%s\": %s", name ? name : "", strerror(errno));
	*place = fd;
	return 0;
}

int notify_sockets(struct passed *passed, struct why *why)
{
	char **names = NULL;
	int nr, r = 0;

	*passed = (struct passed){ .client = -1, .admin = -1 };
	nr = sd_listen_fds_with_names(1, &names);
	if (nr < 0)
		return why_set(why, nr, "sockets of the service manager: %s", strerror(-nr));
	passed->sessions = calloc((size_t)nr + 1, sizeof(*passed->sessions));
	if (!passed->sessions)
		r = why_set(why, -ENOMEM, "out of memory");
	for (int i = 0; r == 0 && i < nr; i++)
		r = take(passed, SD_LISTEN_FDS_START + i, names ? names[i] : NULL, why);
	free_names(names);
	return r;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void passed_fini(struct passed *passed)
{
	close_fd(passed->client);
	close_fd(passed->admin);
	for (size_t i = 0; i < passed->nr_sessions; i++)
		close_fd(passed->sessions[i].sock);
	free(passed->sessions);
	*passed = (struct passed){ .client = -1, .admin = -1 };
}

uint64_t notify_store_size(void)
{
	const char *text = getenv("FDSTORE") ? getenv("FDSTORE") : getenv("PMEMARENA_FDSTORE");

	return text ? strtoull(text, NULL, 10) : 0;
}

void notify_hang_up(const int *socks, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		int sock;

		while (socks[i] >= 0 && (sock = accept4(socks[i], NULL, NULL, SOCK_CLOEXEC)) >= 0)
			close(sock);
	}
}

/*
 * Does the service manager keep descriptors? If not, nobody would read the daemon's messages about
 * them, and each send would wait.
 */
static bool has_store(void)
{
	return getenv("FDSTORE") || getenv("PMEMARENA_FDSTORE");
}

void notify_store(uint64_t number, int sock)
{
	char text[64];

	if (!has_store())
		return;
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=" SESSION_NAME "%" PRIu64, number);
	sd_pid_notify_with_fds(0, 0, text, &sock, 1);
}

void notify_forget(uint64_t number)
{
	if (has_store())
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=" SESSION_NAME "%" PRIu64, number);
}
