/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service: opens what the configuration names and keeps it up. It decides what becomes of an arena that fails: it is logged
 * once, shown as offline, and the others are served.
 */
#include <config.h>

#include "daemon/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/log.h"
#include "lib/size.h"

/* A slice of the table a tick, so that the verifier never holds up a request for long. */
#define VERIFY_SLOTS_MAX 4096
#define SECTION_SHIFT    27             /* 128 MiB */
#define VERIFY_SECTIONS_MAX 16          /* the same for descriptors: a third of a millisecond */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t service_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- open and close ---- */

static int set_limits(struct quota *quota, const struct config_quota *from)
{
	uint32_t uid = from->is_default ? UINT32_MAX : from->uid;
	int r;

	r = quota_set_limit(quota, uid, QUOTA_BYTES, from->bytes);
	if (r == 0)
		r = quota_set_limit(quota, uid, QUOTA_ALLOCATIONS, from->allocations);
	if (r == 0)
		r = quota_set_limit(quota, uid, QUOTA_SESSIONS, from->sessions);
	if (r == 0)
		r = quota_set_limit(quota, uid, QUOTA_LEASED_BYTES, from->leased_bytes);
	return r;
}

static int apply_quotas(struct service *service)
{
	int r = 0;

	quota_clear_limits(service->quota);
	for (size_t i = 0; r == 0 && i < service->config.nr_quotas; i++)
		r = set_limits(service->quota, &service->config.quotas[i]);
	return r;
}

static int make_runtime_directory(const char *path, struct why *why)
{
	int r;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	r = -errno;
	return why_set(why, r, "runtime directory %s: %s; create it, or name another one: -o runtime-directory=DIR", path, strerror(-r));
}

static void fill_params(struct arena_params *params, struct service *service, const struct config_arena *from)
{
	*params = (struct arena_params){
		.name = from->name,
		.device = from->device,
		.metadata = strcmp(from->metadata, "auto") == 0 ? NULL : from->metadata,
		.size = from->size,
		.page_size = from->page_size,
		.nr_slots = from->slots,
		.format = from->format == CONFIG_FORMAT_IF_BLANK ? ARENA_FORMAT_IF_BLANK : ARENA_FORMAT_NEVER,
		.keep_blocks = from->keep_blocks,
		.memmap = from->memmap == CONFIG_MEMMAP_DEVICE ? MEMMAP_DEVICE : MEMMAP_DRAM,
		.numa_node = from->numa_node,
		.runtime_dir = service->config.daemon.runtime_directory,
		.scrubber = service->scrubber,
		.nr_listeners = &service->nr_listeners,
		.quota = service->quota,
		.vma_budget = &service->vma_budget,
	};
}

static void log_opened(const struct served *served)
{
	const struct arena_identity *identity = arena_identity(served->arena);
	const struct device_info *device = device_info(arena_device(served->arena));
	char size[SIZE_TEXT_MAX], page[SIZE_TEXT_MAX];
	const char *reason;

	log_info("arena %s: %s on %s, pages of %s, metadata %s", served->name, size_text(size, identity->size), device->path,
		 size_text(page, identity->page_size), strcmp(identity->metadata, "device") == 0 ? "on the device" : identity->metadata);
	if (arena_state(served->arena, &reason) == ARENA_DAMAGED)
		log_error("arena %s is damaged and takes no new allocations until `pmemarenactl repair`: %s", served->name, reason);
}

static int open_one(struct served *served, struct service *service, const struct config_arena *from, struct why *why)
{
	struct arena_params params;
	int r;

	served->name = from->name;
	fill_params(&params, service, from);
	r = arena_open(&served->arena, &params, why);
	if (r < 0) {
		why_add(why, r, "arena %s: ", from->name);
		snprintf(served->reason, sizeof(served->reason), "%s", why->text);
		return r;
	}
	log_opened(served);
	return 0;
}

static int open_arenas(struct service *service, struct why *why)
{
	size_t nr = service->config.nr_arenas;
	struct why each = { "" };
	uint32_t nr_open = 0;
	int first = 0, r;

	if (nr == 0)
		return why_set(why, -EINVAL, "no arena is configured: add a section [arena NAME] with device = /dev/daxX.Y or a file, "
			       "or -o arena.NAME.device=PATH");
	if (nr > SERVICE_MAX_ARENAS)
		return why_set(why, -E2BIG, "%zu arenas are configured, a daemon serves at most %d", nr, SERVICE_MAX_ARENAS);
	service->arenas = calloc(nr, sizeof(*service->arenas));
	if (!service->arenas)
		return why_set(why, -ENOMEM, "out of memory");
	service->nr_arenas = (uint32_t)nr;
	for (size_t i = 0; i < nr; i++) {
		r = open_one(&service->arenas[i], service, &service->config.arenas[i], &each);
		if (r == 0) {
			nr_open++;
		} else if (first == 0) {
			first = r;
			*why = each;
		}
	}
	if (nr_open == 0)
		return first;
	for (size_t i = 0; i < nr; i++) {
		if (!service->arenas[i].arena)
			log_error("%s; the other arenas are served without it", service->arenas[i].reason);
	}
	return 0;
}

static int open_parts(struct service *service, struct why *why)
{
	const struct config_daemon *config = &service->config.daemon;
	int r;

	r = make_runtime_directory(config->runtime_directory, why);
	if (r < 0)
		return r;
	/* First: it is the lock that keeps two daemons from the same ledgers. Orphans may need seats beside those allowed now. */
	r = roster_open(&service->roster, config->runtime_directory, 2 * config->max_sessions, why);
	if (r < 0)
		return r;
	service->number = roster_take_number(service->roster);
	vma_budget_init(&service->vma_budget, 0);
	if (config->max_mappings && config->max_mappings < service->vma_budget.limit)
		service->vma_budget.limit = config->max_mappings;
	r = quota_new(&service->quota);
	if (r == 0)
		r = apply_quotas(service);
	if (r == 0)
		r = scrubber_new(&service->scrubber, config->scrub_threads, config->scrub_rate);
	if (r < 0)
		return why_set(why, r, "%s", strerror(-r));
	return open_arenas(service, why);
}

int service_open(struct service **out, struct config *config, const struct config_sources *sources, struct why *why)
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
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].own)
			arena_leave(service->arenas[i].own);
		arena_close(service->arenas[i].arena);
	}
	free(service->arenas);
	scrubber_free(service->scrubber);
	quota_free(service->quota);
	roster_close(service->roster);
	config_fini(&service->config);
	free(service);
}

int service_reload(struct service *service, char *kept, size_t size, struct why *why)
{
	struct config next;
	int r;

	r = config_load(&next, service->sources, why);
	if (r < 0)
		return r;
	config_reload_diff(kept, size, &service->config, &next);
	config_reload(&service->config, &next);
	config_fini(&next);
	log_set_level(service->config.daemon.log_level);
	scrubber_set_rate(service->scrubber, service->config.daemon.scrub_rate);
	r = apply_quotas(service);
	return r < 0 ? why_set(why, r, "quotas: %s", strerror(-r)) : 0;
}

/* ---- looking ---- */

struct arena *service_arena(int *r, const struct service *service, uint32_t index, struct why *why)
{
	*r = 0;
	if (index >= service->nr_arenas) {
		*r = why_set(why, -ENOENT, "there is no arena %" PRIu32 ": this daemon has %" PRIu32, index, service->nr_arenas);
		return NULL;
	}
	if (!service->arenas[index].arena)
		*r = why_set(why, -EIO, "%s", service->arenas[index].reason);
	return service->arenas[index].arena;
}

static void uuid_text(char text[37], const uint8_t uuid[16])
{
	for (int i = 0, at = 0; i < 16; i++) {
		at += snprintf(text + at, 37 - (size_t)at, "%02x%s", uuid[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
	}
}

int service_find_arena(uint32_t *index, const struct service *service, const char *name, struct why *why)
{
	char uuid[37];

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		uuid[0] = '\0';
		if (service->arenas[i].arena)
			uuid_text(uuid, arena_identity(service->arenas[i].arena)->uuid);
		if (strcmp(service->arenas[i].name, name) == 0 || strcasecmp(uuid, name) == 0) {
			*index = i;
			return 0;
		}
	}
	return why_set(why, -ENOENT, "there is no arena \"%s\"; `pmemarenactl list-arenas` shows what there is", name);
}

int service_own_caller(struct caller *caller, struct service *service, uint32_t index, uint32_t uid, uint32_t gid, struct why *why)
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

uint32_t service_nr_open(const struct service *service)
{
	const char *reason;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (service->arenas[i].arena && arena_state(service->arenas[i].arena, &reason) != ARENA_OFFLINE)
			nr++;
	}
	return nr;
}

/* ---- upkeep ---- */

/* Once, whoever noticed. */
static void log_if_offline(struct served *served)
{
	const char *reason;

	if (served->is_offline || arena_state(served->arena, &reason) != ARENA_OFFLINE)
		return;
	served->is_offline = true;
	log_error("arena %s is offline: %s; restart the daemon when the device is well again", served->name, reason);
}

int service_settle(struct service *service, uint32_t index)
{
	int r = arena_settle(service->arenas[index].arena);

	if (r < 0)
		log_if_offline(&service->arenas[index]);
	return r;
}

void service_tell(struct service *service, uint32_t index)
{
	struct arena *arena = service->arenas[index].arena;
	struct watcher *watcher;
	size_t nr;

	do {
		for (nr = 0; nr < SERVICE_EVENTS && arena_next_event(&service->events[nr], arena); nr++)
			;
		if (nr == 0)
			return;
		TAILQ_FOREACH(watcher, &service->watchers, link)
			watcher->tell(watcher, index, service->events, nr);
	} while (nr == SERVICE_EVENTS);
}

/* As many of @nr as make a whole pass in the configured time. */
static uint64_t due_of(const struct service *service, uint64_t nr, uint64_t most, uint64_t elapsed_ns)
{
	uint64_t interval_ms = (uint64_t)service->config.daemon.verify_interval_s * 1000;
	uint64_t due;

	if (interval_ms == 0)
		return 0;
	due = nr / (interval_ms / (elapsed_ns / 1000000 + 1) + 1) + 1;
	return due < most ? due : most;
}

/* The first of a step: there may be thousands. */
static void keep_first(void *arg, const char *what)
{
	struct why *why = arg;

	if (!why->text[0])
		why_set(why, -EUCLEAN, "%s", what);
}

static void verify_descriptors(struct service *service, struct served *served, uint64_t elapsed_ns)
{
	uint64_t nr_sections = (arena_identity(served->arena)->size >> SECTION_SHIFT) + 1;
	uint64_t due = due_of(service, nr_sections, VERIFY_SECTIONS_MAX, elapsed_ns);
	struct why first = { "" };
	uint64_t wrong = arena_verify_memmap(served->arena, due, keep_first, &first);

	if (wrong)
		log_error("arena %s: %" PRIu64 " descriptor%s not what %s should be; the first: %s; `pmemarenactl check-memmap` looks at all",
			  served->name, wrong, wrong == 1 ? " is" : "s are", wrong == 1 ? "it" : "they", first.text);
}

static void verify(struct service *service, struct served *served, uint64_t elapsed_ns)
{
	uint64_t due = due_of(service, arena_identity(served->arena)->nr_slots, VERIFY_SLOTS_MAX, elapsed_ns);
	uint64_t mended = due ? arena_verify_step(served->arena, (uint32_t)due) : 0;

	served->mended += mended;
	if (mended)
		log_warning("arena %s: %" PRIu64 " record%s on the device differed from what is known to be right and %s rewritten; "
			    "a client may have written where it must not", served->name, mended, mended == 1 ? "" : "s", mended == 1 ? "was" : "were");
}

void service_tick(struct service *service, bool *busy)
{
	uint64_t now = service_now_ns();
	uint64_t elapsed = now - service->ticked_ns;

	service->ticked_ns = now;
	*busy = false;
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		struct served *served = &service->arenas[i];

		if (!served->arena)
			continue;
		arena_tick(served->arena);
		verify(service, served, elapsed);
		verify_descriptors(service, served, elapsed);
		service_settle(service, i);
		service_tell(service, i);
		log_if_offline(served);
		*busy = *busy || arena_is_busy(served->arena);
	}
}

bool service_collect(struct service *service)
{
	return arena_collect(service->scrubber);
}

void service_drop_orphans(struct service *service)
{
	uint32_t nr;

	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].arena)
			continue;
		arena_drop_orphans(service->arenas[i].arena);
		service_settle(service, i);
		service_tell(service, i);
	}
	nr = roster_drop_orphans(service->roster);
	service->counters.sessions_orphaned += nr;
	if (nr)
		log_info("%" PRIu32 " session%s of the daemon before this one did not come back and %s over", nr, nr == 1 ? "" : "s",
			 nr == 1 ? "is" : "are");
}
