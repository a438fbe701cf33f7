/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service: opens what the configuration names, looks again for devices that were not there, and
 * closes it all. An arena that cannot be opened is logged once and shown as offline; the daemon
 * serves the others.
 */
#include <config.h>

#include "daemon/service/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/arena/arena_holder.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/service/quotas.h"

uint64_t service_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t service_grace_left_ns(const struct service *service)
{
	uint64_t grace_ns = UINT64_C(1000000000) * service->config.daemon.grace_s;
	uint64_t gone_ns = service_now_ns() - service->started_mono_ns;

	return gone_ns < grace_ns ? grace_ns - gone_ns : 0;
}

/* ---- open and close ---- */

static int make_runtime_directory(const char *path, struct why *why)
{
	int r;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	r = -errno;
	return why_set(why, r,
		       "runtime directory %s: %s; create it, or name another one: -o "
		       "runtime-directory=DIR",
		       path, strerror(-r));
}

/*
 * Gives each open arena the place of its UUID. Whatever stood there comes to where the arena was,
 * and is looked at next; each turn puts one for good where it belongs.
 */
static void settle_places(struct service *service)
{
	struct why why;

	service->is_starting = true;
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		uint32_t place = i;

		while (service->arenas[i].arena &&
		       service_settle_place(service, &place, &why) == 0 && place != i)
			place = i;
	}
	service->is_starting = false;
}

/*
 * Opens all arenas. It is an error only if none could be opened and none is waited for; then it is
 * the error of the first.
 */
static int open_arenas(struct service *service, struct why *why)
{
	struct why each = { "" };
	uint32_t nr_open = 0;
	int first = 0, r;

	if (service->config.nr_arenas == 0)
		return why_set(why, -EINVAL,
			       "no arena is configured: add a section [arena NAME] with device = "
			       "/dev/daxX.Y or a file, or -o arena.NAME.device=PATH");
	if (service->config.nr_arenas > SERVICE_MAX_ARENAS)
		return why_set(why, -E2BIG, "%zu arenas are configured, a daemon serves at most %d",
			       service->config.nr_arenas, SERVICE_MAX_ARENAS);
	r = service_lay_out(service, why);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].is_gone)
			continue;
		r = served_open(&service->arenas[i], service, &service->config.arenas[i], &each);
		if (r == 0) {
			nr_open++;
		} else if (first == 0) {
			first = r;
			*why = each;
		}
	}
	if (nr_open == 0 && !service_awaited(service))
		return first;
	settle_places(service);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].arena && !service->arenas[i].is_gone)
			log_error("%s; %s", service->arenas[i].reason,
				  nr_open ? "the other arenas are served without it"
					  : "it is waited for");
	}
	return 0;
}

/* ---- devices that come later ---- */

const struct served *service_awaited(const struct service *service)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].err == -ENODEV || service->arenas[i].err == -ENXIO)
			return &service->arenas[i];
	}
	return NULL;
}

/* May @err go away by itself? The device, or the right to open it, may come later, as at boot. */
static bool may_pass(int err)
{
	return err == -ENODEV || err == -ENXIO || err == -ENOENT || err == -ENOTTY ||
	       err == -EACCES || err == -EPERM || err == -EBUSY;
}

/* Tries once more to open the arena at @index; its number may become another one. */
static void open_late(struct service *service, uint32_t index)
{
	struct served *served = &service->arenas[index];
	char before[sizeof(struct why)];
	struct why why;
	int r;

	memcpy(before, served->reason, sizeof(before));
	r = served_open(served, service, &service->config.arenas[index], &why);
	if (r == 0)
		r = service_settle_place(service, &index, &why);
	if (r == 0) {
		service->has_new = true;
		service_tell_reloaded(service);
		service_tell_arena(service, index, ARENA_CAME);
	} else if (strcmp(before, served->reason) != 0) {
		log_error("%s", served->reason);
	}
}

void service_look_again(struct service *service, bool all)
{
	service->looked_ns = service_now_ns();
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];

		if (!served->arena && !served->is_gone && (all || may_pass(served->err)))
			open_late(service, i);
	}
}

/* ---- lines that clients can cause ---- */

bool service_may_log(struct service *service, enum log_kind kind, uint32_t uid)
{
	return log_limit_allows(&service->log_limit, kind, uid, service_now_ns());
}

void service_tell_unlogged(struct service *service, bool all)
{
	static const char *const kinds[] = {
		[LOG_KIND_REFUSED] = "sessions that were refused",
		[LOG_KIND_PROTOCOL] = "clients that do not keep the protocol",
		[LOG_KIND_SILENT] = "connections that never said hello",
		[LOG_KIND_CONNECTION] = "connections that could not be taken",
		[LOG_KIND_ADMIN] = "connections of administrators that were hung up on",
	};
	enum log_kind kind;
	uint32_t uid, nr;

	while ((nr = log_limit_next(&kind, &uid, &service->log_limit, service_now_ns(), all)) > 0) {
		if (uid == LOG_LIMIT_ANYBODY)
			log_info("%" PRIu32 " more lines about %s were not logged", nr,
				 kinds[kind]);
		else
			log_info("%" PRIu32 " more lines about %s of uid %" PRIu32
				 " were not logged",
				 nr, kinds[kind], uid);
	}
}

static int open_parts(struct service *service, struct why *why)
{
	const struct config_daemon *config = &service->config.daemon;
	int r;

	r = make_runtime_directory(config->runtime_directory, why);
	if (r < 0)
		return r;
	/*
	 * The roster is opened first: it is the lock that keeps two daemons out of one runtime
	 * directory. It has twice the seats, since orphans of the daemon before need some beside
	 * those that are allowed now.
	 */
	r = roster_open(&service->roster, config->runtime_directory, 2 * config->max_sessions, why);
	if (r < 0)
		return r;
	r = inbox_open(&service->inbox, config->runtime_directory, why);
	if (r == 0)
		r = places_open(&service->places, config->runtime_directory,
				roster_orphans(service->roster) == 0, why);
	if (r < 0)
		return r;
	service->number = roster_take_number(service->roster);
	vma_budget_init(&service->vma_budget, 0);
	if (config->max_mappings && config->max_mappings < service->vma_budget.limit)
		service->vma_budget.limit = config->max_mappings;
	r = quota_new(&service->quota);
	if (r == 0)
		r = quotas_apply(service);
	if (r < 0)
		return why_set(why, r, "quotas: %s", strerror(-r));
	r = scrubber_new(&service->scrubber, config->scrub_threads, config->scrub_rate);
	if (r < 0)
		return why_set(why, r,
			       "%u threads that scrub cannot be started: %s; lower scrub-threads, "
			       "or see what limits threads and memory (TasksMax=, ulimit -u)",
			       config->scrub_threads, strerror(-r));
	return open_arenas(service, why);
}

int service_open(struct service **out, struct config *config, const struct config_sources *sources,
		 struct why *why)
{
	struct service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return why_set(why, -ENOMEM, "out of memory");
	service->config = *config;
	memset(config, 0, sizeof(*config));
	service->sources = sources;
	service->started_ns = clock_ns(CLOCK_REALTIME);
	service->started_mono_ns = service->ticked_ns = service_now_ns();
	TAILQ_INIT(&service->watchers);
	host_read(&service->host);
	idmap_read(&service->idmap);
	r = open_parts(service, why);
	if (r < 0) {
		service_close(service);
		return r;
	}
	*out = service;
	return 0;
}

void service_close(struct service *service)
{
	if (!service)
		return;
	service_tell_unlogged(service, true);
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].own)
			arena_leave(service->arenas[i].own);
		arena_close(service->arenas[i].arena);
	}
	free(service->arenas);
	scrubber_free(service->scrubber);
	quota_free(service->quota);
	places_close(service->places);
	inbox_close(service->inbox);
	roster_close(service->roster);
	config_fini(&service->config);
	free(service);
}

/* ---- finding arenas ---- */

struct arena *service_arena(int *r, const struct service *service, uint32_t index, struct why *why)
{
	*r = 0;
	if (index >= service->nr_arenas) {
		*r = why_set(why, -ENOENT,
			     "there is no arena %" PRIu32 ": this daemon has %" PRIu32, index,
			     service->nr_arenas);
		return NULL;
	}
	if (!service->arenas[index].arena)
		*r = why_set(why, -EIO, "%s", service->arenas[index].reason);
	return service->arenas[index].arena;
}

static void uuid_text(char text[37], const uint8_t uuid[16])
{
	for (int i = 0, at = 0; i < 16; i++) {
		at += snprintf(text + at, 37 - (size_t)at, "%02x%s", uuid[i],
			       i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
	}
}

int service_no_arena(const char *name, struct why *why)
{
	return why_set(why, -ENOENT,
		       "there is no arena \"%s\"; `pmemarenactl list-arenas` shows what there is",
		       name);
}

int service_find_arena(uint32_t *index, const struct service *service, const char *name,
		       struct why *why)
{
	char uuid[37];

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		uuid[0] = '\0';
		if (service->arenas[i].arena)
			uuid_text(uuid, arena_identity(service->arenas[i].arena)->uuid);
		if (service->arenas[i].is_gone)
			continue;
		if (strcmp(service->arenas[i].name, name) == 0 || strcasecmp(uuid, name) == 0) {
			*index = i;
			return 0;
		}
	}
	return service_no_arena(name, why);
}

int service_own_caller(struct caller *caller, struct service *service, uint32_t index, uint32_t uid,
		       uint32_t gid, struct why *why)
{
	struct served *served = &service->arenas[index];
	int r;

	if (!served->own) {
		r = arena_join(&served->own, served->arena, service->number, 0);
		if (r < 0)
			return why_set(why, r, "%s", strerror(-r));
	}
	*caller = (struct caller){ .uid = uid, .gid = gid, .holder = served->own };
	return 0;
}

uint32_t service_nr_here(const struct service *service)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < service->nr_arenas; i++)
		nr += !service->arenas[i].is_gone;
	return nr;
}

uint32_t service_nr_open(const struct service *service)
{
	const char *reason;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].arena &&
		    arena_state(service->arenas[i].arena, &reason) != ARENA_OFFLINE)
			nr++;
	}
	return nr;
}

static const char *plural(uint32_t nr)
{
	return nr == 1 ? "" : "s";
}

void service_describe(char *text, size_t size, const struct service *service)
{
	uint32_t nr_open = service_nr_open(service), nr_awaited = roster_orphans(service->roster);
	uint32_t nr_here = service_nr_here(service);
	char arenas[600], awaited[64] = "";

	if (nr_open == 0 && service_awaited(service))
		snprintf(arenas, sizeof(arenas), "Waiting: %s", service_awaited(service)->reason);
	else if (nr_open == nr_here)
		snprintf(arenas, sizeof(arenas), "Serving %" PRIu32 " arena%s", nr_open,
			 plural(nr_open));
	else
		snprintf(arenas, sizeof(arenas),
			 "Degraded: %" PRIu32 " of %" PRIu32 " arenas are online", nr_open,
			 nr_here);
	if (nr_awaited)
		snprintf(awaited, sizeof(awaited), ", %" PRIu32 " awaited", nr_awaited);
	snprintf(text, size, "%s, %" PRIu32 " session%s%s%s%s", arenas, service->nr_sessions,
		 plural(service->nr_sessions), awaited,
		 service->reload_failed.text[0] ? "; the last reload failed: " : "",
		 service->reload_failed.text);
}
