/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * places: keeps the numbers of arenas in a mapped file. What a place is, its flags say, one word
 * that is stored after everything that it speaks of: a SIGKILL at any instruction leaves a place
 * taken or free, with a whole UUID or with none.
 *
 *	+-----------+---------+---------+-----
 *	| header 64 | place 0 | place 1 | ...      128 places of 96 bytes
 *	+-----------+---------+---------+-----
 */
#include <config.h>

#include "daemon/service/places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/books/runfile.h"

#define MAGIC  UINT64_C(0x53434c5041504d20)     /* " MPAPLCS" */
#define LAYOUT 1

enum {
	IS_TAKEN = 1,
	HAS_UUID = 2,
	IS_DRAINED = 4,
};

struct header {
	uint64_t magic;
	uint32_t version, unused;
	char     boot_id[40];
	uint64_t unused_too;
};
_Static_assert(sizeof(struct header) == 64, "the header is one cache line");

struct place {
	uint64_t flags;
	uint8_t  uuid[16];
	char     name[PLACES_NAME_MAX];
	uint64_t unused;
};
_Static_assert(sizeof(struct place) == 96, "a place has 96 bytes in the file");

struct places {
	struct header header;
	struct place all[PLACES_MAX];
};

static void set_flags(struct place *place, uint64_t flags)
{
	__atomic_store_n(&place->flags, flags, __ATOMIC_RELEASE);
}

/* ---- the file ---- */

static int map(struct places **out, int fd)
{
	void *at;
	int r = -posix_fallocate(fd, 0, (off_t)sizeof(struct places));

	if (r < 0)
		return r;
	at = mmap(NULL, sizeof(struct places), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*out = at;
	return 0;
}

static bool is_usable(const struct places *places, const char boot_id[40])
{
	const struct header *h = &places->header;

	if (h->magic != MAGIC || h->version != LAYOUT || memcmp(h->boot_id, boot_id, 40) != 0)
		return false;
	for (uint32_t i = 0; i < PLACES_MAX; i++) {
		if (!memchr(places->all[i].name, '\0', PLACES_NAME_MAX))
			return false;
	}
	return true;
}

static void begin_anew(struct places *places, const char boot_id[40])
{
	__atomic_store_n(&places->header.magic, 0, __ATOMIC_RELEASE);
	places->header.version = LAYOUT;
	memcpy(places->header.boot_id, boot_id, 40);
	memset(places->all, 0, sizeof(places->all));
	/* The magic comes last: a file without it is begun anew by the next daemon. */
	__atomic_store_n(&places->header.magic, MAGIC, __ATOMIC_RELEASE);
}

/* Frees the numbers that nobody can know any more. */
static void forget(struct places *places)
{
	for (uint32_t i = 0; i < PLACES_MAX; i++) {
		if (!places_is_drained(places, i))
			set_flags(&places->all[i], 0);
	}
}

int places_open(struct places **out, const char *dir, bool is_unknown, struct why *why)
{
	char boot_id[40] = { 0 };
	struct places *places = NULL;
	int fd, r = runfile_boot_id(boot_id, why);

	if (r == 0)
		r = runfile_open_named(&fd, dir, "arenas", O_RDWR | O_CREAT, why);
	if (r < 0)
		return r;
	r = map(&places, fd);
	close(fd);
	if (r < 0)
		return why_set(why, r, "%s/arenas: %s; the runtime directory needs room for %zu "
				       "bytes more",
			       dir, strerror(-r), sizeof(struct places));
	if (!is_usable(places, boot_id))
		begin_anew(places, boot_id);
	else if (is_unknown)
		forget(places);
	*out = places;
	return 0;
}

void places_close(struct places *places)
{
	if (places)
		munmap(places, sizeof(*places));
}

/* ---- finding ---- */

uint32_t places_nr(const struct places *places)
{
	uint32_t nr = PLACES_MAX;

	while (nr > 0 && !(places->all[nr - 1].flags & IS_TAKEN))
		nr--;
	return nr;
}

uint32_t places_find_uuid(const struct places *places, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < PLACES_MAX; i++) {
		if (places_is_of(places, i, uuid))
			return i;
	}
	return PLACES_NONE;
}

uint32_t places_find_name(const struct places *places, const char *name)
{
	for (uint32_t i = 0; i < PLACES_MAX; i++) {
		if ((places->all[i].flags & IS_TAKEN) && strcmp(places->all[i].name, name) == 0)
			return i;
	}
	return PLACES_NONE;
}

bool places_has_uuid(const struct places *places, uint32_t place)
{
	const uint64_t both = IS_TAKEN | HAS_UUID;

	return (places->all[place].flags & both) == both;
}

bool places_is_of(const struct places *places, uint32_t place, const uint8_t uuid[16])
{
	return places_has_uuid(places, place) && memcmp(places->all[place].uuid, uuid, 16) == 0;
}

const char *places_name(const struct places *places, uint32_t place)
{
	return places->all[place].name;
}

/* ---- changing ---- */

/*
 * Is the place free? One that was given up stays taken, without a name: a client that was told of
 * so many arenas would take fewer for those of another daemon.
 */
static bool is_free(const struct places *places, uint32_t place)
{
	return !(places->all[place].flags & IS_TAKEN) ||
	       (!places_has_uuid(places, place) && places->all[place].name[0] == '\0');
}

int places_take(uint32_t *place, struct places *places, const char *name, struct why *why)
{
	for (uint32_t i = 0; i < PLACES_MAX; i++) {
		if (!is_free(places, i))
			continue;
		places_rename(places, i, name);
		set_flags(&places->all[i], IS_TAKEN);
		*place = i;
		return 0;
	}
	return why_set(why, -ENOSPC,
		       "%d arenas have had a number, and none is given to a second one while "
		       "somebody may still mean the first: stop all clients, remove the file "
		       "`arenas` of the runtime directory, and restart the daemon",
		       PLACES_MAX);
}

void places_set_uuid(struct places *places, uint32_t place, const uint8_t uuid[16])
{
	/* In this order: what has a UUID always has all of it. */
	set_flags(&places->all[place], places->all[place].flags & ~(uint64_t)HAS_UUID);
	memcpy(places->all[place].uuid, uuid, 16);
	set_flags(&places->all[place], places->all[place].flags | HAS_UUID);
}

void places_rename(struct places *places, uint32_t place, const char *name)
{
	/* The last byte is never anything but 0: the name ends whenever somebody looks. */
	snprintf(places->all[place].name, PLACES_NAME_MAX, "%s", name);
}

void places_give_up(struct places *places, uint32_t place)
{
	if (!places_has_uuid(places, place))
		places_rename(places, place, "");
}

bool places_is_drained(const struct places *places, uint32_t place)
{
	return places->all[place].flags & IS_TAKEN && places->all[place].flags & IS_DRAINED;
}

void places_set_drained(struct places *places, uint32_t place, bool is_drained)
{
	uint64_t flags = places->all[place].flags & ~(uint64_t)IS_DRAINED;

	set_flags(&places->all[place], is_drained ? flags | IS_DRAINED : flags);
}
