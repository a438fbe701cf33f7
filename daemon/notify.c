/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify: all of libsystemd that the daemon uses.
 */
#include <config.h>

#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

void notify_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
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

/* Which of the two it is; NULL: neither. */
static int *place_of(int fd, const char *name, int *client, int *admin)
{
	int *place = NULL;

	if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
		place = client;
	else if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
		place = admin;
	if (name && ((strcmp(name, "client") == 0 && place != client) || (strcmp(name, "admin") == 0 && place != admin)))
		return NULL;
	return place;
}

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

static int take(int fd, const char *name, int *client, int *admin, struct why *why)
{
	int *place = place_of(fd, name, client, admin);

	if (!place || *place >= 0)
		return why_set(why, -EINVAL, "the service manager passed a socket \"%s\" that is neither the client socket (sequential packets) nor "
			       "the admin socket (a stream), or is one too many", name ? name : "");
	if (fcntl(fd, F_SETFL, O_NONBLOCK | fcntl(fd, F_GETFL)) < 0)
		return why_set(why, -errno, "socket \"%s\": %s", name ? name : "", strerror(errno));
	*place = fd;
	return 0;
}

int notify_sockets(int *client, int *admin, struct why *why)
{
	char **names = NULL;
	int nr, r = 0;

	*client = *admin = -1;
	nr = sd_listen_fds_with_names(1, &names);
	if (nr < 0)
		return why_set(why, nr, "sockets of the service manager: %s", strerror(-nr));
	for (int i = 0; r == 0 && i < nr; i++)
		r = take(SD_LISTEN_FDS_START + i, names ? names[i] : NULL, client, admin, why);
	free_names(names);
	return r;
}
