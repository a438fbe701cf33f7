/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service_places: puts the sections of the configuration, and the arenas that they describe, where
 * their numbers say. By which number an arena goes is known for certain only when it is open, by
 * its UUID; until then its name tells.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_drain.h"
#include "daemon/log.h"
#include "daemon/service/service.h"

/* ---- places ---- */

static void count(struct service *service)
{
	service->nr_arenas = places_nr(service->places);
	service->config.nr_arenas = service->nr_arenas;
}

void service_vacate(struct service *service, uint32_t index, const char *fmt, ...)
{
	struct served *served = &service->arenas[index];
	struct served gone = { .is_gone = true, .err = -ESHUTDOWN };
	va_list ap;

	memcpy(gone.name, served->name, sizeof(gone.name));
	va_start(ap, fmt);
	vsnprintf(gone.reason, sizeof(gone.reason), fmt, ap);
	va_end(ap);
	*served = gone;
	/*
	 * Who might use it still may hear that it is gone; all else of the section is void. Nobody
	 * has heard of one that never was on line.
	 */
	if (places_has_uuid(service->places, index))
		service->config.arenas[index].name[0] = '\0';
	else
		memset(&service->config.arenas[index], 0, sizeof(service->config.arenas[index]));
	places_give_up(service->places, index);
	count(service);
}

/* A number that an arena had under a daemon before, and that has none under this one so far. */
static void leave_blank(struct service *service, uint32_t index)
{
	struct served *served = &service->arenas[index];

	snprintf(served->name, sizeof(served->name), "%s", places_name(service->places, index));
	service_vacate(service, index,
		       "arena %s is not served any more: it is not in the configuration",
		       served->name);
}

/*
 * Copies each section of the configuration to its place in @sections. One for which no number is
 * left is not served: else a daemon with nothing but that arena too many would serve none. Returns
 * the error of the first of these if no section has a place.
 */
static int place_sections(struct config_arena *sections, struct service *service, struct why *why)
{
	struct why each = { "" };
	bool has_one = false;
	int first = 0, r;

	for (size_t i = 0; i < service->config.nr_arenas; i++) {
		const struct config_arena *section = &service->config.arenas[i];
		uint32_t place = places_find_name(service->places, section->name);

		r = place == PLACES_NONE
			    ? places_take(&place, service->places, section->name, &each)
			    : 0;
		if (r < 0) {
			log_error("arena %s is not served: %s", section->name, each.text);
			if (first == 0)
				*why = each;
			first = first ? first : r;
			continue;
		}
		sections[place] = *section;
		has_one = true;
	}
	return has_one ? 0 : first;
}

int service_lay_out(struct service *service, struct why *why)
{
	struct config_arena *sections = calloc(SERVICE_MAX_ARENAS, sizeof(*sections));
	int r;

	service->arenas = calloc(SERVICE_MAX_ARENAS, sizeof(*service->arenas));
	if (!sections || !service->arenas)
		r = why_set(why, -ENOMEM, "out of memory");
	else
		r = place_sections(sections, service, why);
	if (r < 0) {
		free(sections);
		return r;
	}
	free(service->config.arenas);
	service->config.arenas = sections;
	count(service);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!sections[i].name[0])
			leave_blank(service, i);
	}
	return 0;
}

static void exchange(struct service *service, uint32_t a, uint32_t b)
{
	struct config_arena section = service->config.arenas[a];
	struct served served = service->arenas[a];

	service->config.arenas[a] = service->config.arenas[b];
	service->arenas[a] = service->arenas[b];
	service->config.arenas[b] = section;
	service->arenas[b] = served;
}

static bool is_open(const struct service *service, uint32_t place)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct arena *arena = service->arenas[i].arena;

		if (arena && places_is_of(service->places, place, arena_identity(arena)->uuid))
			return true;
	}
	return false;
}

/*
 * Does the number belong to another arena than the one that was opened there? At a start an arena
 * that was formatted anew keeps the number that the one of its name had, if that one is gone:
 * programs that use it by its number, as they do the first, go on with it, and sessions of before
 * get a WELCOME, see that it is another one, and stop.
 */
static bool is_anothers(const struct service *service, uint32_t place)
{
	return places_has_uuid(service->places, place) &&
	       !(service->is_starting && !is_open(service, place));
}

/*
 * Returns the place that belongs to the arena which was opened at @index. It is another one than
 * @index if it has had one under another name, or if another arena had this one.
 */
static int find_place(uint32_t *place, struct service *service, uint32_t index, struct why *why)
{
	const struct served *served = &service->arenas[index];
	const uint8_t *uuid = arena_identity(served->arena)->uuid;
	int r = 0;

	*place = places_find_uuid(service->places, uuid);
	if (*place != PLACES_NONE)
		return 0;
	*place = index;
	if (is_anothers(service, index)) {
		r = places_take(place, service->places, served->name, why);
		count(service);
	}
	if (r == 0 && *place != index)
		leave_blank(service, *place);
	if (r == 0)
		places_set_uuid(service->places, *place, uuid);
	return r;
}

bool service_is_drained(const struct service *service, uint32_t index)
{
	return service->arenas[index].is_leaving || places_is_drained(service->places, index);
}

int service_settle_place(struct service *service, uint32_t *index, struct why *why)
{
	struct served *served = &service->arenas[*index];
	uint32_t place;
	int r = find_place(&place, service, *index, why);

	if (r < 0) {
		arena_close(served->arena);
		served->arena = NULL;
		served->err = r;
		why_add(why, r, "arena %s: ", served->name);
		snprintf(served->reason, sizeof(served->reason), "%s", why->text);
		return r;
	}
	if (place != *index) {
		exchange(service, *index, place);
		places_rename(service->places, place, service->arenas[place].name);
		if (service->arenas[*index].is_gone) {
			/*
			 * The arena that had this number had this name, and most likely these
			 * users.
			 */
			service->config.arenas[*index] = service->config.arenas[place];
			leave_blank(service, *index);
		} else {
			places_rename(service->places, *index, service->arenas[*index].name);
		}
		*index = place;
		served = &service->arenas[place];
	}
	arena_set_drained(served->arena, service_is_drained(service, place));
	return 0;
}

/* ---- telling ---- */

void service_tell_reloaded(struct service *service)
{
	struct watcher *watcher;

	TAILQ_FOREACH(watcher, &service->watchers, link) {
		if (watcher->reloaded)
			watcher->reloaded(watcher);
	}
}

void service_tell_arena(struct service *service, uint32_t index, enum arena_event_kind kind)
{
	const char *name = service->arenas[index].name;
	struct arena_event event = { .kind = kind, .name_len = (uint8_t)strlen(name) };
	struct watcher *watcher;

	memcpy(event.name, name, event.name_len);
	TAILQ_FOREACH(watcher, &service->watchers, link)
		watcher->tell(watcher, index, &event, 1);
}
