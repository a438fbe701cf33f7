/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service_upkeep: what the loop calls between requests: ticks, slices of sessions that end,
 * settles, and telling the watchers.
 */
#include <config.h>

#include <inttypes.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/log.h"
#include "daemon/service/service.h"

/* How often devices that were not there are looked for. */
#define LOOK_NS UINT64_C(10000000000)

int service_settle(struct service *service, uint32_t index)
{
	int r = arena_settle(service->arenas[index].arena);

	if (r < 0)
		served_log_if_offline(&service->arenas[index]);
	return r;
}

void service_tell(struct service *service, uint32_t index)
{
	struct arena *arena = service->arenas[index].arena;
	struct watcher *watcher;
	size_t nr;

	do {
		for (nr = 0; nr < SERVICE_EVENTS && arena_next_event(&service->events[nr], arena);
		     nr++)
			;
		if (nr == 0)
			return;
		TAILQ_FOREACH(watcher, &service->watchers, link)
			watcher->tell(watcher, index, service->events, nr);
	} while (nr == SERVICE_EVENTS);
}

void service_tick(struct service *service, bool *busy)
{
	uint64_t now = service_now_ns();
	uint64_t elapsed = now - service->ticked_ns;
	uint64_t verify_ms = (uint64_t)service->config.daemon.verify_interval_s * 1000;

	service->ticked_ns = now;
	*busy = false;
	service_tell_unlogged(service, false);
	if (now - service->looked_ns >= LOOK_NS)
		service_look_again(service, false);
	service_remove_leaving(service);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		struct served *served = &service->arenas[i];

		if (!served->arena)
			continue;
		served_tick(served, verify_ms, now, elapsed);
		service_settle(service, i);
		service_tell(service, i);
		served_report(served, now);
		*busy = *busy || arena_is_busy(served->arena);
	}
}

bool service_is_ending(const struct service *service)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++)
		if (service->arenas[i].arena && arena_is_ending(service->arenas[i].arena))
			return true;
	return false;
}

void service_step(struct service *service)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].arena || !arena_is_ending(service->arenas[i].arena))
			continue;
		arena_step(service->arenas[i].arena);
		service_settle(service, i);
		service_tell(service, i);
	}
}

bool service_collect(struct service *service)
{
	return arena_collect(service->scrubber);
}

void service_end_orphans(struct service *service)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].arena)
			continue;
		arena_drop_orphans(service->arenas[i].arena);
		service_settle(service, i);
		service_tell(service, i);
	}
}

void service_drop_orphans(struct service *service)
{
	uint32_t nr;

	service_end_orphans(service);
	nr = roster_drop_orphans(service->roster);
	service->counters.sessions_orphaned += nr;
	if (nr)
		log_info("%" PRIu32
			 " session%s of the daemon before this one did not come back and %s over",
			 nr, nr == 1 ? "" : "s", nr == 1 ? "is" : "are");
}
