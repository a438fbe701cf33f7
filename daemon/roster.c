/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roster: seats in a mapped file. It knows no socket and no arena.
 *
 *	+-----------+--------+--------+-----
 *	| header 64 | seat 0 | seat 1 | ...   only seats below header.nr_used were ever taken: the rest of the file is a hole
 *	+-----------+--------+--------+-----
 */
#include <config.h>

#include "daemon/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC   UINT64_C(0x52545352414d5020)    /* " PMARSTR" */
#define LAYOUT  1

struct header {
	uint64_t magic;
	uint32_t version;
	uint32_t nr_used;               /* seats that were ever taken */
	uint64_t next_number;
	char     boot_id[40];
};
_Static_assert(sizeof(struct header) == sizeof(struct seat), "the header has the place of one seat");

struct roster {
	int      fd;                    /* owned; locked */
	struct header *header;          /* owned; the mapping */
	struct seat *seats;             /* in the mapping */
	uint32_t nr_seats;
	uint32_t *vacant;               /* owned; a stack of free seats below nr_used */
	uint32_t nr_vacant;
	uint8_t *is_orphan;             /* owned; one a seat */
	uint32_t nr_orphans;
};

/* Stores before it are there when another process, or the next daemon, sees this one. */
static void store64(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static void read_boot_id(char id[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, id, 36);

	if (fd >= 0)
		close(fd);
	memset(id + (n > 0 ? n : 0), 0, (size_t)(40 - (n > 0 ? n : 0)));
}

/*
 * Above every number that was given out since boot, even if this file was lost meanwhile: nobody begins a million sessions
 * a second for as long as the machine runs.
 */
static uint64_t first_number(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + 1;
}

static bool is_usable(const struct roster *roster, const char boot_id[40])
{
	const struct header *h = roster->header;

	return h->magic == MAGIC && h->version == LAYOUT && h->nr_used <= roster->nr_seats && memcmp(h->boot_id, boot_id, 40) == 0;
}

static void begin_anew(struct roster *roster, const char boot_id[40])
{
	struct header *h = roster->header;

	store64(&h->magic, 0);
	h->version = LAYOUT;
	h->nr_used = 0;
	h->next_number = first_number();
	memcpy(h->boot_id, boot_id, 40);
	/* Last: before this line the file is not understood, and begun anew again. */
	store64(&h->magic, MAGIC);
}

static void find_orphans(struct roster *roster)
{
	for (uint32_t i = roster->header->nr_used; i-- > 0;) {
		if (roster->seats[i].number == 0) {
			roster->vacant[roster->nr_vacant++] = i;
		} else {
			roster->is_orphan[i] = 1;
			roster->nr_orphans++;
		}
	}
}

static int open_file(struct roster *roster, const char *dir, struct why *why)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/sessions", dir) >= (int)sizeof(path))
		return why_set(why, -ENAMETOOLONG, "runtime directory %s: the name is too long", dir);
	roster->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (roster->fd < 0) {
		r = -errno;
		return why_set(why, r, "%s: %s; the runtime directory must be writable for the daemon", path, strerror(-r));
	}
	if (flock(roster->fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		return why_set(why, r, "%s: %s", path, r == -EBUSY ? "another pmemarenad is running with this runtime directory; give each its own" : strerror(-r));
	}
	return 0;
}

static int map_file(struct roster *roster, uint32_t nr_seats, struct why *why)
{
	struct stat st;
	uint64_t there;
	size_t len;
	int r;

	if (fstat(roster->fd, &st) < 0)
		return why_set(why, -errno, "sessions: %s", strerror(errno));
	there = (uint64_t)st.st_size / sizeof(struct seat);
	/* Never smaller than it was: the sessions of a daemon that allowed more may come back. */
	roster->nr_seats = there > (uint64_t)nr_seats + 1 && there <= UINT32_MAX ? (uint32_t)there - 1 : nr_seats;
	len = ((size_t)roster->nr_seats + 1) * sizeof(struct seat);
	if (ftruncate(roster->fd, (off_t)len) < 0) {
		r = -errno;
		return why_set(why, r, "sessions: cannot make room for %" PRIu32 " sessions: %s", nr_seats, strerror(-r));
	}
	r = -posix_fallocate(roster->fd, 0, sizeof(struct header));
	if (r < 0)
		return why_set(why, r, "sessions: no space in the runtime directory: %s", strerror(-r));
	roster->header = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, roster->fd, 0);
	if (roster->header == MAP_FAILED) {
		roster->header = NULL;
		return why_set(why, -errno, "sessions: %s", strerror(errno));
	}
	roster->seats = (struct seat *)(roster->header + 1);
	return 0;
}

int roster_open(struct roster **out, const char *dir, uint32_t nr_seats, struct why *why)
{
	struct roster *roster = calloc(1, sizeof(*roster));
	char boot_id[40];
	int r;

	if (!roster)
		return why_set(why, -ENOMEM, "out of memory");
	roster->fd = -1;
	r = open_file(roster, dir, why);
	if (r == 0)
		r = map_file(roster, nr_seats, why);
	if (r == 0) {
		roster->vacant = calloc(roster->nr_seats, sizeof(*roster->vacant));
		roster->is_orphan = calloc(roster->nr_seats, 1);
		if (!roster->vacant || !roster->is_orphan)
			r = why_set(why, -ENOMEM, "out of memory for %" PRIu32 " sessions", roster->nr_seats);
	}
	if (r < 0) {
		roster_close(roster);
		return r;
	}
	read_boot_id(boot_id);
	if (!is_usable(roster, boot_id))
		begin_anew(roster, boot_id);
	find_orphans(roster);
	*out = roster;
	return 0;
}

void roster_close(struct roster *roster)
{
	if (!roster)
		return;
	if (roster->header)
		munmap(roster->header, ((size_t)roster->nr_seats + 1) * sizeof(struct seat));
	if (roster->fd >= 0)
		close(roster->fd);
	free(roster->vacant);
	free(roster->is_orphan);
	free(roster);
}

/* A store to a hole of a full file system would be a SIGBUS: take the space first. */
static int allocate(struct roster *roster, uint32_t seat)
{
	return -posix_fallocate(roster->fd, ((off_t)seat + 1) * (off_t)sizeof(struct seat), sizeof(struct seat));
}

static int find_vacant(struct seat **out, struct roster *roster)
{
	uint32_t next = roster->header->nr_used;
	int r;

	if (roster->nr_vacant > 0) {
		*out = &roster->seats[roster->vacant[--roster->nr_vacant]];
		return 0;
	}
	if (next == roster->nr_seats)
		return -EBUSY;
	r = allocate(roster, next);
	if (r < 0)
		return r;
	roster->seats[next].number = 0;
	roster->header->nr_used = next + 1;
	*out = &roster->seats[next];
	return 0;
}

uint64_t roster_take_number(struct roster *roster)
{
	uint64_t number = roster->header->next_number;

	/* Before it is used: a number may be skipped, but is never given out twice. */
	store64(&roster->header->next_number, number + 1);
	return number;
}

int roster_enter(struct seat **out, struct roster *roster, uint32_t uid)
{
	uint8_t token[ROSTER_TOKEN];
	struct seat *seat;
	int r;

	if (getrandom(token, sizeof(token), 0) != sizeof(token))
		return -EIO;
	r = find_vacant(&seat, roster);
	if (r < 0)
		return r;
	seat->last_tag = seat->read_tag = 0;
	seat->uid = uid;
	seat->features = 0;
	memcpy(seat->token, token, sizeof(token));
	store64(&seat->number, roster_take_number(roster));
	*out = seat;
	return 0;
}

static bool is_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t differences = 0;

	for (int i = 0; i < ROSTER_TOKEN; i++)
		differences |= a[i] ^ b[i];
	return differences == 0;
}

static void adopt(struct roster *roster, const struct seat *seat)
{
	size_t i = (size_t)(seat - roster->seats);

	if (!roster->is_orphan[i])
		return;
	roster->is_orphan[i] = 0;
	roster->nr_orphans--;
}

static struct seat *find_seat(const struct roster *roster, uint64_t number, uint32_t uid)
{
	for (uint32_t i = 0; number != 0 && i < roster->header->nr_used; i++) {
		if (roster->seats[i].number == number)
			return roster->seats[i].uid == uid ? &roster->seats[i] : NULL;
	}
	return NULL;
}

struct seat *roster_resume(struct roster *roster, uint64_t number, const uint8_t token[ROSTER_TOKEN], uint32_t uid)
{
	struct seat *seat = find_seat(roster, number, uid);

	if (!seat || !is_equal(seat->token, token))
		return NULL;
	adopt(roster, seat);
	return seat;
}

struct seat *roster_adopt(struct roster *roster, uint64_t number, uint32_t uid)
{
	struct seat *seat = find_seat(roster, number, uid);

	if (seat)
		adopt(roster, seat);
	return seat;
}

void roster_leave(struct roster *roster, struct seat *seat)
{
	if (!seat)
		return;
	adopt(roster, seat);
	store64(&seat->number, 0);
	roster->vacant[roster->nr_vacant++] = (uint32_t)(seat - roster->seats);
}

uint32_t roster_orphans(const struct roster *roster)
{
	return roster->nr_orphans;
}

uint32_t roster_drop_orphans(struct roster *roster)
{
	uint32_t nr = roster->nr_orphans;

	for (uint32_t i = 0; roster->nr_orphans > 0 && i < roster->header->nr_used; i++) {
		if (roster->is_orphan[i])
			roster_leave(roster, &roster->seats[i]);
	}
	return nr;
}
