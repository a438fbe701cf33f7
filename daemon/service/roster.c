/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roster: keeps the seats of sessions in a mapped file. It knows no socket and no arena.
 *
 *	+-----------+--------+--------+-----
 *	| header 64 | seat 0 | seat 1 | ...
 *	+-----------+--------+--------+-----
 *
 * Only seats below header.nr_used were ever taken.
 */
#include <config.h>

#include "daemon/service/roster.h"

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
#include <unistd.h>

#include "daemon/books/runfile.h"
#include "daemon/clock.h"

#define MAGIC   UINT64_C(0x52545352414d5020)    /* " PMARSTR" */
#define LAYOUT  1

struct header {
	uint64_t magic;
	uint32_t version;
	uint32_t nr_used;               /* all seats that were ever taken are below it */
	uint64_t next_number;
	char     boot_id[40];
};
_Static_assert(sizeof(struct header) == sizeof(struct seat),
	       "the header has the place of one seat");

struct roster {
	int      fd;                    /* owned; locked */
	struct header *header;          /* owned; the mapping begins with it */
	struct seat *seats;             /* inside the mapping */
	uint32_t nr_seats;
	uint32_t *vacant;               /* owned; a stack of the free seats below nr_used */
	uint32_t nr_vacant;
	uint8_t *is_orphan;             /* owned; one byte a seat */
	uint32_t nr_orphans;
};

/*
 * Stores so that whoever sees this value, in another process or after a kill, sees all stores
 * before it.
 */
static void store64(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/*
 * Returns a number above every session number since the machine booted, even if the file of seats
 * was lost since: it is the time since boot in microseconds, and nobody begins a million sessions a
 * second all the time. An arena's ledger may still have a session of before under its number.
 */
static uint64_t first_number(void)
{
	return clock_ns(CLOCK_BOOTTIME) / 1000 + 1;
}

static bool is_usable(const struct roster *roster, const char boot_id[40])
{
	const struct header *h = roster->header;

	return h->magic == MAGIC && h->version == LAYOUT && h->nr_used <= roster->nr_seats &&
	       memcmp(h->boot_id, boot_id, 40) == 0;
}

static void begin_anew(struct roster *roster, const char boot_id[40])
{
	struct header *h = roster->header;

	store64(&h->magic, 0);
	h->version = LAYOUT;
	h->nr_used = 0;
	h->next_number = first_number();
	memcpy(h->boot_id, boot_id, 40);
	/*
	 * The magic comes last. A daemon that is killed before leaves a file that the next one does
	 * not understand and begins anew.
	 */
	store64(&h->magic, MAGIC);
}

/* Sorts the seats of the file: free ones go on the stack, the others are orphans. */
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
		return why_set(why, -ENAMETOOLONG, "runtime directory %s: the name is too long",
			       dir);
	roster->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (roster->fd < 0) {
		r = -errno;
		return why_set(why, r,
			       "%s: %s; the runtime directory must be writable for the daemon",
			       path, strerror(-r));
	}
	if (flock(roster->fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		return why_set(why, r, "%s: %s", path,
			       r == -EBUSY ? "another pmemarenad is running with this runtime "
					     "directory; give each its own"
					   : strerror(-r));
	}
	return 0;
}

static int map_file(struct roster *roster, const char *dir, uint32_t nr_seats, struct why *why)
{
	struct stat st;
	uint64_t there;
	size_t len;
	int r;

	if (fstat(roster->fd, &st) < 0)
		return why_set(why, -errno, "sessions: %s", strerror(errno));
	there = (uint64_t)st.st_size / sizeof(struct seat);
	/*
	 * The file does not become smaller: a daemon with a higher max-sessions may have been here
	 * before, and its sessions may come back.
	 */
	roster->nr_seats = there > (uint64_t)nr_seats + 1 && there <= UINT32_MAX
				   ? (uint32_t)there - 1
				   : nr_seats;
	len = ((size_t)roster->nr_seats + 1) * sizeof(struct seat);
	if (ftruncate(roster->fd, (off_t)len) < 0) {
		r = -errno;
		return why_set(why, r, "sessions: cannot make room for %" PRIu32 " sessions: %s",
			       nr_seats, strerror(-r));
	}
	/*
	 * All of it: a store to a hole of a full file system would be a SIGBUS, and nobody could
	 * connect to give something back.
	 */
	r = -posix_fallocate(roster->fd, 0, (off_t)len);
	if (r < 0)
		return why_set(why, r,
			       "sessions: %s has no room for the %zu bytes of %" PRIu32
			       " sessions: %s; make room there, or lower max-sessions",
			       dir, len, roster->nr_seats, strerror(-r));
	roster->header = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, roster->fd, 0);
	if (roster->header == MAP_FAILED) {
		roster->header = NULL;
		return why_set(why, -errno, "sessions: %s", strerror(errno));
	}
	roster->seats = (struct seat *)(roster->header + 1);
	return 0;
}

/*
 * Begins a file anew that is of another boot or is not understood. A daemon that cannot learn which
 * boot this is does not start: it would end all sessions of the daemon before.
 */
static int judge(struct roster *roster, struct why *why)
{
	char boot_id[40] = { 0 };
	int r = runfile_boot_id(boot_id, why);

	if (r == 0 && !is_usable(roster, boot_id))
		begin_anew(roster, boot_id);
	return r;
}

int roster_open(struct roster **out, const char *dir, uint32_t nr_seats, struct why *why)
{
	struct roster *roster = calloc(1, sizeof(*roster));
	int r;

	if (!roster)
		return why_set(why, -ENOMEM, "out of memory");
	roster->fd = -1;
	r = open_file(roster, dir, why);
	if (r == 0)
		r = map_file(roster, dir, nr_seats, why);
	if (r == 0) {
		roster->vacant = calloc(roster->nr_seats, sizeof(*roster->vacant));
		roster->is_orphan = calloc(roster->nr_seats, 1);
		if (!roster->vacant || !roster->is_orphan)
			r = why_set(why, -ENOMEM, "out of memory for %" PRIu32 " sessions",
				    roster->nr_seats);
	}
	if (r == 0)
		r = judge(roster, why);
	if (r < 0) {
		roster_close(roster);
		return r;
	}
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

static int find_vacant(struct seat **out, struct roster *roster)
{
	uint32_t next = roster->header->nr_used;

	if (roster->nr_vacant > 0) {
		*out = &roster->seats[roster->vacant[--roster->nr_vacant]];
		return 0;
	}
	if (next == roster->nr_seats)
		return -EBUSY;
	roster->seats[next].number = 0;
	roster->header->nr_used = next + 1;
	*out = &roster->seats[next];
	return 0;
}

uint64_t roster_take_number(struct roster *roster)
{
	uint64_t number = roster->header->next_number;

	/*
	 * The next number is stored before this one is used: a kill may skip a number, but none is
	 * given out twice.
	 */
	store64(&roster->header->next_number, number + 1);
	return number;
}

int roster_enter(struct seat **out, struct roster *roster, uint32_t uid)
{
	uint8_t secret[ROSTER_SECRET];
	struct seat *seat;
	int r;

	errno = 0;
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return errno ? -errno : -EIO;
	r = find_vacant(&seat, roster);
	if (r < 0)
		return r;
	seat->last_tag = seat->read_tag = 0;
	seat->uid = uid;
	seat->features = 0;
	memcpy(seat->secret, secret, sizeof(secret));
	store64(&seat->number, roster_take_number(roster));
	*out = seat;
	return 0;
}

/*
 * Takes the same time whatever differs: the time of a comparison that stops early tells how much of
 * a secret was guessed.
 */
static bool is_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t differences = 0;

	for (int i = 0; i < ROSTER_SECRET; i++)
		differences |= a[i] ^ b[i];
	return differences == 0;
}

/* The session of @seat is not awaited any more. */
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

struct seat *roster_resume(struct roster *roster, uint64_t number,
			   const uint8_t secret[ROSTER_SECRET], uint32_t uid)
{
	struct seat *seat = find_seat(roster, number, uid);

	if (!seat || !is_equal(seat->secret, secret))
		return NULL;
	adopt(roster, seat);
	return seat;
}

int roster_adopt(struct seat **out, struct roster *roster, uint64_t number, uint32_t uid)
{
	struct seat *seat = find_seat(roster, number, uid);

	if (!seat)
		return -ENOENT;
	if (!roster->is_orphan[seat - roster->seats])
		return -EBUSY;
	adopt(roster, seat);
	*out = seat;
	return 0;
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
