/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * site: the arenas of a daemon. A handle names its arena only by a number, the place in the
 * daemon's list. So when a daemon comes back with other arenas in these places, the library must
 * notice (by their UUIDs) and stop: ids of the two might be equal by chance, and a handle would
 * name somebody else's data.
 */
#include <config.h>

#include "lib/session/site.h"

#include <errno.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/session/batch.h"
#include "lib/session/call.h"
#include "lib/session/client.h"
#include "lib/error.h"

/* ---- the list ---- */

/*
 * Does the daemon know the arena? Of one that was never online it knows only the name, no UUID and
 * no size.
 */
static bool is_known(const struct wire_arena *arena)
{
	static const uint8_t none[sizeof(arena->uuid)];

	return memcmp(arena->uuid, none, sizeof(none)) != 0;
}

static bool is_page(uint64_t size)
{
	return size >= 4096 && (size & (size - 1)) == 0;
}

static bool is_sound(const struct wire_arena *arena, uint32_t index)
{
	if (arena->result != 0 || arena->index != index || arena->granularity > PMA_PAGE)
		return false;
	return !is_known(arena) || (is_page(arena->align) && is_page(arena->page_size));
}

/*
 * Is this place empty because the user may not use the arena? An arena that was never online has a
 * name at least.
 */
static bool is_hidden(const struct wire_arena *arena)
{
	return arena->name[0] == '\0';
}

int site_refuse(uint32_t index)
{
	return error_set(-ENOENT, "there is no arena %u that this user may use", index);
}

/*
 * Compares the arena at @index with what was there before, and stores it. -ENOTCONN with the
 * reason: it is another arena.
 */
static int take_arena(struct sites *sites, uint32_t index, const struct wire_arena *arena,
		      struct why *why)
{
	struct site *site = &sites->all[index];

	if (!is_sound(arena, index))
		return -EPROTO;
	if (index < sites->nr && !is_known(arena) && is_known(&site->arena)) {
		site->arena.state = arena->state;
		site->is_hidden = is_hidden(arena);
		return 0;
	}
	if (index < sites->nr && is_known(&site->arena) &&
	    memcmp(site->arena.uuid, arena->uuid, sizeof(arena->uuid)) != 0)
		return why_set(why, -ENOTCONN,
			       "the daemon serves other arenas than before (%s in the place of "
			       "%s): disconnect and connect again",
			       arena->name, site->arena.name);
	site->arena = *arena;
	site->is_hidden = is_hidden(arena);
	site->cannot_attach = false;
	return 0;
}

int site_welcome(struct sites *sites, struct wire_reader *reader, struct why *why)
{
	struct wire_arena arena;
	uint32_t nr = 0;
	int r;

	while ((r = wire_next_raw(reader, &arena, sizeof(arena))) == 1 && nr < MAX_SITES) {
		r = take_arena(sites, nr, &arena, why);
		if (r < 0)
			return r;
		nr++;
	}
	if (r != 0)
		return -EPROTO;
	for (uint32_t i = nr; i < sites->nr; i++) {
		if (is_known(&sites->all[i].arena))
			return why_set(why, -ENOTCONN,
				       "the daemon no longer serves arena %s: disconnect and "
				       "connect again",
				       sites->all[i].arena.name);
		sites->all[i].is_hidden = true;
	}
	if (nr > sites->nr)
		sites->nr = nr;
	return 0;
}

int site_surveyed(struct sites *sites, struct wire_reader *reader)
{
	struct wire_arena arena;
	struct why why;
	uint32_t nr = 0;
	int r;

	while ((r = wire_next_raw(reader, &arena, sizeof(arena))) == 1 && nr < MAX_SITES) {
		/* No daemon gives a number to another arena while a session is there. */
		if (take_arena(sites, nr, &arena, &why) < 0)
			return -EPROTO;
		nr++;
	}
	if (r != 0)
		return -EPROTO;
	/* A number whose arena was never there can be given up. */
	for (uint32_t i = nr; i < sites->nr; i++)
		sites->all[i].is_hidden = true;
	if (nr > sites->nr)
		sites->nr = nr;
	return 0;
}

void site_came(struct sites *sites, uint32_t arena)
{
	for (uint32_t i = sites->nr; i <= arena; i++)
		sites->all[i].is_hidden = true;
	if (arena >= sites->nr)
		sites->nr = arena + 1;
}

void site_note(struct site *site, const struct wire_arena *arena, uint32_t index)
{
	if (is_known(arena) && is_sound(arena, index)) {
		site->arena = *arena;
		site->is_hidden = false;
	}
}

struct wire_arena site_arena(struct pma *pma, uint32_t arena)
{
	struct wire_arena copy;

	client_lock(pma);
	copy = pma->sites.all[arena].arena;
	client_unlock(pma);
	return copy;
}

const char *site_name(char buf[SITE_NAME_MAX], struct pma *pma, uint32_t arena)
{
	struct wire_arena copy = site_arena(pma, arena);

	memcpy(buf, copy.name, SITE_NAME_MAX);
	return buf;
}

/* ---- doors and planes that are there ---- */

void site_free_door(struct door *door)
{
	if (!door)
		return;
	close(door->fd);
	free(door);
}

static void retire_door(struct sites *sites, struct door *door)
{
	if (door->nr_users == 0 && !door->is_lent) {
		site_free_door(door);
		return;
	}
	door->is_old = true;
	SLIST_INSERT_HEAD(&sites->old_doors, door, link);
}

/* What is mapped by a door keeps it until it is unmapped. */
static void retire(struct sites *sites, struct site *site)
{
	for (int mode = 0; mode < 2; mode++) {
		if (site->doors[mode])
			retire_door(sites, site->doors[mode]);
		site->doors[mode] = NULL;
	}
	atomic_store(&site->plane, NULL);
	site->cannot_attach = false;
}

void site_forget(struct sites *sites)
{
	for (uint32_t i = 0; i < sites->nr; i++)
		retire(sites, &sites->all[i]);
}

void site_went(struct sites *sites, uint32_t arena)
{
	struct site *site = &sites->all[arena];

	/* Else the device would look mapped by this process, and no other daemon could have it. */
	retire(sites, site);
	site->is_hidden = true;
	site->arena.state = WIRE_ARENA_OFFLINE;
}

void site_init(struct sites *sites)
{
	pthread_mutex_init(&sites->attaching, NULL);
}

void site_fini(struct sites *sites)
{
	struct door *door;
	struct plane *plane;

	for (uint32_t i = 0; i < sites->nr; i++) {
		site_free_door(sites->all[i].doors[0]);
		site_free_door(sites->all[i].doors[1]);
		free(sites->all[i].subscription);
	}
	while ((door = SLIST_FIRST(&sites->old_doors))) {
		SLIST_REMOVE_HEAD(&sites->old_doors, link);
		site_free_door(door);
	}
	while ((plane = SLIST_FIRST(&sites->planes))) {
		SLIST_REMOVE_HEAD(&sites->planes, link);
		munmap((void *)(uintptr_t)plane->ids, plane->nr * sizeof(*plane->ids));
		free(plane);
	}
}

/* ---- public ---- */

static bool is_site_hidden(struct pma *pma, uint32_t arena)
{
	bool is_hidden;

	client_lock(pma);
	is_hidden = arena >= pma->sites.nr || pma->sites.all[arena].is_hidden;
	client_unlock(pma);
	return is_hidden;
}

/* Is there more to know of the arena than this session does? It may have come since. */
static bool is_site_unknown(struct pma *pma, uint32_t arena)
{
	bool is_unknown = is_site_hidden(pma, arena);

	client_lock(pma);
	is_unknown |= !is_known(&pma->sites.all[arena].arena);
	client_unlock(pma);
	return is_unknown;
}

struct survey {
	struct call call;
	struct pma *pma;                /* borrowed */
};

static int absorb_surveyed(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	(void)fds;
	if (nr_fds > 0)
		return -EPROTO;
	return site_surveyed(&((struct survey *)call)->pma->sites, reader);
}

/* Asks which arenas there are now, if the daemon can tell. 0, or the errors of a connection. */
static int survey(struct pma *pma, bool only_if_up)
{
	struct survey survey = { .call = { .opcode = WIRE_SURVEY,
					   .absorb = absorb_surveyed,
					   .is_idempotent = true },
				 .pma = pma };
	uint8_t buf[BATCH_ONE] __attribute__((aligned(8)));
	struct wire_request request = { .arena = 0 };
	struct wire_writer writer;
	bool knows;

	client_lock(pma);
	knows = pma->link.surveys && (pma->link.state == LINK_UP || !only_if_up);
	client_unlock(pma);
	if (!knows)
		return 0;
	wire_begin(&writer, buf, WIRE_SURVEY, 0);
	wire_add_request(&writer, &request, NULL, 0);
	survey.call.message = buf;
	survey.call.length = (uint32_t)wire_end(&writer);
	return client_call(pma, &survey.call);
}

uint32_t pma_arena_count(struct pma *pma)
{
	if (!pma)
		return 0;
	/* What cannot be asked now is what it was. */
	if (process_is(pma->process))
		(void)survey(pma, true);
	return pma->sites.nr;
}

int pma_arena_get(struct pma_arena *out, struct pma *pma, uint32_t index)
{
	struct wire_arena arena;
	int r = client_check(pma);

	if (r == 0 && index < MAX_SITES && is_site_unknown(pma, index))
		r = survey(pma, false);
	if (r < 0)
		return r;
	if (index >= MAX_SITES || is_site_hidden(pma, index))
		return site_refuse(index);
	arena = site_arena(pma, index);
	*out = (struct pma_arena){
		.index = index,
		.page_size = arena.page_size,
		.size = arena.size,
		.align = arena.align,
		.is_dax = arena.is_dax,
		.granularity = (enum pma_granularity)arena.granularity,
		.data_off = arena.data_off,
		.device_size = arena.device_size,
		.node = (int)arena.node_and_1 - 1,
	};
	memcpy(out->uuid, arena.uuid, sizeof(out->uuid));
	memcpy(out->name, arena.name, sizeof(out->name));
	memcpy(out->device, arena.device, sizeof(out->device));
	return 0;
}

static void uuid_text(char text[37], const uint8_t uuid[16])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*text++ = '-';
	}
	*text = '\0';
}

/* Looks among the arenas that this session knows. -ENOENT: it is none of them. */
static int find_known(uint32_t *index, struct pma *pma, const char *name_or_uuid)
{
	for (uint32_t i = 0; i < pma->sites.nr; i++) {
		struct wire_arena arena;
		char uuid[37];

		if (is_site_hidden(pma, i))
			continue;
		arena = site_arena(pma, i);
		uuid_text(uuid, arena.uuid);
		if (strcmp(arena.name, name_or_uuid) == 0 || strcasecmp(uuid, name_or_uuid) == 0) {
			*index = i;
			return 0;
		}
	}
	return -ENOENT;
}

int pma_arena_find(uint32_t *index, struct pma *pma, const char *name_or_uuid)
{
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (find_known(index, pma, name_or_uuid) == 0)
		return 0;
	r = survey(pma, false);
	if (r < 0)
		return r;
	if (find_known(index, pma, name_or_uuid) == 0)
		return 0;
	return error_set(-ENOENT, "no arena is called %s, nor is that the UUID of one",
			 name_or_uuid);
}
