/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service_change: arenas that come and go while others are served. What an administrator adds is
 * in no file, and lasts as long as this daemon; what is removed is closed as at a stop, and its
 * media are left as they are.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_drain.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/log.h"
#include "daemon/service/service.h"

/* ---- coming ---- */

/*
 * Finds a free place for an arena of that name: the one that an arena of the same name had, which
 * is most likely this one; else a new one.
 */
static int find_free(uint32_t *place, struct service *service, const char *name, struct why *why)
{
	*place = places_find_name(service->places, name);
	if (*place != PLACES_NONE && service->arenas[*place].is_gone)
		return 0;
	return places_take(place, service->places, name, why);
}

/* Puts @section into the place @index and opens its arena, which may move it to another one. */
static int open_section(struct service *service, uint32_t *index,
			const struct config_arena *section, struct why *why)
{
	struct served *served = &service->arenas[*index];
	int r;

	*served = (struct served){ .arena = NULL };
	service->config.arenas[*index] = *section;
	service->nr_arenas = places_nr(service->places);
	service->config.nr_arenas = service->nr_arenas;
	r = served_open(served, service, &service->config.arenas[*index], why);
	return r < 0 ? r : service_settle_place(service, index, why);
}

/* The arena is there: sessions learn of their rights, then of the arena. */
static void announce(struct service *service, uint32_t index)
{
	service_tell_reloaded(service);
	if (!service->arenas[index].arena)
		return;
	service->has_new = true;
	service_tell_arena(service, index, ARENA_CAME);
}

int service_add_section(struct service *service, uint32_t *index,
			const struct config_arena *section, struct why *why)
{
	int r = find_free(index, service, section->name, why);

	if (r < 0) {
		log_error("arena %s is not served: %s", section->name, why->text);
		return r;
	}
	r = open_section(service, index, section, why);
	if (r < 0)
		log_error("%s; the other arenas are served without it", why->text);
	announce(service, *index);
	return r;
}

static int write_section(char **text, const struct config_arena *section)
{
	size_t size;
	FILE *to = open_memstream(text, &size);

	if (!to)
		return -ENOMEM;
	config_print_arena(section, to);
	return fclose(to) == 0 ? 0 : -ENOMEM;
}

int service_add(struct service *service, uint32_t *index, char **section, const char *name,
		const char *const *settings, size_t nr, struct why *why)
{
	struct config_arena asked;
	int r = config_arena_new(&asked, &service->config, name, settings, nr, why);

	*section = NULL;
	if (r == 0)
		r = find_free(index, service, name, why);
	if (r == 0 && write_section(section, &asked) < 0)
		r = why_set(why, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	r = open_section(service, index, &asked, why);
	if (r < 0) {
		service_vacate(service, *index, "arena %s could not be added", name);
		free(*section);
		return r;
	}
	service->arenas[*index].is_added = true;
	/* Whoever adds it wants it used, whatever it was before. */
	places_set_drained(service->places, *index, false);
	arena_set_drained(service->arenas[*index].arena, false);
	announce(service, *index);
	return 0;
}

/* ---- going ---- */

/*
 * Does somebody hold something of the arena? One that is offline goes as at a stop, whoever holds
 * something: nothing of it is handed out until it is opened again, and then the ledger tells.
 */
static bool is_held(const struct served *served, struct why *why)
{
	const char *reason;

	return served->arena && arena_state(served->arena, &reason) != ARENA_OFFLINE &&
	       arena_is_held(served->arena, why);
}

int service_drain(struct service *service, uint32_t index, bool is_drained, struct why *why)
{
	struct served *served = &service->arenas[index];

	if (!is_drained && served->is_leaving)
		return why_set(why, -EBUSY,
			       "the section of arena %s is gone from the configuration, so it goes "
			       "when nobody holds anything of it: put the section back and reload",
			       served->name);
	if (places_is_drained(service->places, index) == is_drained)
		return 0;
	places_set_drained(service->places, index, is_drained);
	if (served->arena)
		arena_set_drained(served->arena, is_drained);
	log_notice("arena %s %s", served->name,
		   is_drained ? "is drained: it hands out no new space"
			      : "is not drained any more: it hands out space again");
	return 0;
}

/* Closes the arena as at a stop. Who had pointers into it forgets them first. */
static void close_arena(struct service *service, uint32_t index)
{
	struct served *served = &service->arenas[index];
	struct watcher *watcher;

	TAILQ_FOREACH(watcher, &service->watchers, link) {
		if (watcher->leaving)
			watcher->leaving(watcher, index);
	}
	if (served->own)
		arena_leave(served->own);
	served->own = NULL;
	arena_close(served->arena);
	served->arena = NULL;
}

int service_remove(struct service *service, uint32_t index, uint64_t *published, struct why *why)
{
	struct served *served = &service->arenas[index];
	char name[CONFIG_NAME_MAX];
	struct arena_stats stats = { .nr_published = 0 };

	memcpy(name, served->name, sizeof(name));
	if (is_held(served, why))
		return why_add(why, -EBUSY,
			       "arena %s is not removed while somebody holds something of it "
			       "(`pmemarenactl holders --arena %s`): ",
			       name, name);
	if (served->arena) {
		arena_stats(served->arena, &stats);
		service_tell_arena(service, index, ARENA_LEFT);
		close_arena(service, index);
	}
	places_set_drained(service->places, index, false);
	service_vacate(service, index, "arena %s was removed: this daemon does not serve it any "
				       "more",
		       name);
	service_tell_reloaded(service);
	log_notice("arena %s was removed; %" PRIu64 " published allocation%s stay%s on its media",
		   name, stats.nr_published, stats.nr_published == 1 ? "" : "s",
		   stats.nr_published == 1 ? "s" : "");
	if (published)
		*published = stats.nr_published;
	return 0;
}

void service_remove_leaving(struct service *service)
{
	struct why why;

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];

		if (served->is_leaving && !is_held(served, &why))
			service_remove(service, i, NULL, &why);
	}
}
