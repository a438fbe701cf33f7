/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * served: opens one arena of the configuration, looks after it at each tick, and logs what the
 * operator should know of it, each thing once or not too often.
 */
#include <config.h>

#include "daemon/service/served.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_stats.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/arena/moves.h"
#include "daemon/log.h"
#include "daemon/service/quotas.h"
#include "daemon/service/service.h"
#include "lib/wire/size.h"

/* The most that one tick verifies, so that the verifier never holds up a request for long. */
#define VERIFY_SLOTS_MAX    4096
#define VERIFY_SECTIONS_MAX 16          /* verifying this many takes a third of a millisecond */
#define SECTION_SHIFT       27          /* a section has 128 MiB */
/*
 * The least time between two lines that say that a file was made longer, and between two that say
 * who locks the marks without right.
 */
#define GREW_NS           UINT64_C(60000000000)
#define STRANGER_EVERY_NS UINT64_C(10000000000)

/* ---- opening ---- */

static void fill_params(struct arena_params *params, struct service *service,
			const struct config_arena *from)
{
	*params = (struct arena_params){
		.name = from->name,
		.device = from->device,
		.metadata = strcmp(from->metadata, "auto") == 0 ? NULL : from->metadata,
		.size = from->size,
		.page_size = from->page_size,
		.nr_slots = from->slots,
		.format = from->format == CONFIG_FORMAT_IF_BLANK ? ARENA_FORMAT_IF_BLANK
								 : ARENA_FORMAT_NEVER,
		.keep_blocks = from->keep_blocks,
		.memmap = from->memmap == CONFIG_MEMMAP_DEVICE ? MEMMAP_DEVICE : MEMMAP_DRAM,
		.numa_node = from->numa_node,
		.runtime_dir = service->config.daemon.runtime_directory,
		.scrubber = service->scrubber,
		.host = &service->host,
		.hosts = from->hosts,
		.nr_listeners = &service->nr_listeners,
		.quota = service->quota,
		.vma_budget = &service->vma_budget,
	};
}

/* The identity is read, or made, when the first arena needs it. */
static int identify_host(struct service *service, struct why *why)
{
	static const uint8_t none[16];

	if (memcmp(service->host.identity, none, 16) != 0)
		return 0;
	return host_identify(&service->host, service->config.daemon.state_directory, why);
}

static void log_abroad(const struct served *served)
{
	char size[SIZE_TEXT_MAX];
	struct moves_hosts hosts;

	arena_abroad(&hosts, served->arena);
	for (uint32_t i = 0; i < hosts.nr; i++)
		log_warning("arena %s: processes of host %s may have it mapped: %s that are free "
			    "wait until that host opens the arena itself, or is certainly down "
			    "(then stop this daemon, and `pmemarenactl take-over --fenced BY %s`)",
			    served->name, hosts.list[i].name[0] ? hosts.list[i].name : "unknown",
			    size_text(size, arena_withheld(served->arena)),
			    device_info(arena_device(served->arena))->path);
}

static void log_opened(const struct served *served)
{
	const struct arena_identity *identity = arena_identity(served->arena);
	const struct device_info *device = device_info(arena_device(served->arena));
	char size[SIZE_TEXT_MAX], page[SIZE_TEXT_MAX];
	struct arena_stats stats;
	struct arena_owner owner;
	const char *reason;

	log_info("arena %s: %s on %s, pages of %s, metadata %s", served->name,
		 size_text(size, identity->size), device->path,
		 size_text(page, identity->page_size),
		 strcmp(identity->metadata, "device") == 0 ? "on the device" : identity->metadata);
	if (arena_owner(&owner, served->arena))
		log_info("arena %s: host %s owns it, term %" PRIu64, served->name, owner.name,
			 owner.term);
	arena_stats(served->arena, &stats);
	if (stats.start.ledger_broken > 0)
		log_warning("arena %s: in its ledger, a file of the runtime directory, something "
			    "else wrote: %" PRIu64 " broken item%s dropped. Space that others get "
			    "now may still be mapped by somebody: end the arena's clients",
			    served->name, stats.start.ledger_broken,
			    stats.start.ledger_broken == 1 ? " was" : "s were");
	log_abroad(served);
	if (arena_state(served->arena, &reason) == ARENA_DAMAGED)
		log_error("arena %s is damaged and takes no new allocations until `pmemarenactl "
			  "repair`: %s",
			  served->name, reason);
}

/*
 * Does the configuration ask for another size than the file has? If so, that has no effect, since
 * an arena does not grow or shrink, and the operator should know.
 */
bool served_is_other_size(char *text, size_t size, const struct served *served,
			  const struct config_arena *wish)
{
	const struct device_info *device =
		served->arena ? device_info(arena_device(served->arena)) : NULL;
	char is[SIZE_TEXT_MAX], said[SIZE_TEXT_MAX];

	if (!device || device->kind != DEVICE_FILE || wish->size == 0 || wish->size == device->size)
		return false;
	snprintf(text, size,
		 "arena %s: size = %s has no effect, %.175s is there and has %s: an arena does not "
		 "grow or shrink, also not by a restart",
		 served->name, size_text(said, wish->size), device->path,
		 size_text(is, device->size));
	return true;
}

int served_open(struct served *served, struct service *service, const struct config_arena *from,
		struct why *why)
{
	struct arena_params params;
	char size[512];
	int r;

	snprintf(served->name, sizeof(served->name), "%s", from->name);
	fill_params(&params, service, from);
	r = from->hosts[0] ? identify_host(service, why) : 0;
	if (r < 0) {
		snprintf(served->reason, sizeof(served->reason), "%s", why->text);
		served->err = r;
		return r;
	}
	/* *why may have a sentence about another arena, and arena_open() keeps what is there. */
	why->text[0] = '\0';
	r = arena_open(&served->arena, &params, why);
	if (r == 0 && quotas_apply_to_arena(service, served->arena) < 0) {
		arena_close(served->arena);
		served->arena = NULL;
		r = why_set(why, -ENOMEM, "out of memory");
	}
	if (r == 0) {
		quotas_set_eviction(served->arena, from);
		arena_set_device_grace(served->arena, from->device_grace_s);
	}
	served->err = r;
	if (r < 0) {
		why_fill(why, r);
		why_add(why, r, "arena %s: ", from->name);
		snprintf(served->reason, sizeof(served->reason), "%s", why->text);
		return r;
	}
	log_opened(served);
	if (served_is_other_size(size, sizeof(size), served, from))
		log_warning("%s", size);
	return 0;
}

/* ---- verifying ---- */

/*
 * Returns how many of @nr things to verify now, so that all are verified once in the configured
 * time.
 */
static uint64_t due_of(uint64_t interval_ms, uint64_t nr, uint64_t most, uint64_t elapsed_ns)
{
	uint64_t due;

	if (interval_ms == 0)
		return 0;
	due = nr / (interval_ms / (elapsed_ns / 1000000 + 1) + 1) + 1;
	return due < most ? due : most;
}

/* Keeps the first difference of a step; there may be thousands. */
static void keep_first(void *arg, const char *what)
{
	struct why *why = arg;

	if (!why->text[0])
		why_set(why, -EUCLEAN, "%s", what);
}

static void verify_descriptors(struct served *served, uint64_t interval_ms, uint64_t elapsed_ns)
{
	uint64_t nr_sections = (arena_identity(served->arena)->size >> SECTION_SHIFT) + 1;
	uint64_t due = due_of(interval_ms, nr_sections, VERIFY_SECTIONS_MAX, elapsed_ns);
	struct why first = { "" };
	uint64_t wrong = arena_verify_memmap(served->arena, due, keep_first, &first);

	if (wrong)
		log_error("arena %s: %" PRIu64 " descriptor%s not what %s should be; the first: "
			  "%s; `pmemarenactl check-memmap` looks at all",
			  served->name, wrong, wrong == 1 ? " is" : "s are",
			  wrong == 1 ? "it" : "they", first.text);
}

static void verify_records(struct served *served, uint64_t interval_ms, uint64_t elapsed_ns)
{
	uint64_t due = due_of(interval_ms, arena_identity(served->arena)->nr_slots,
			      VERIFY_SLOTS_MAX, elapsed_ns);
	uint64_t mended = due ? arena_verify_step(served->arena, (uint32_t)due) : 0;

	served->mended += mended;
	if (mended)
		log_warning("arena %s: %" PRIu64
			    " record%s on the device differed from what is known to be right and "
			    "%s rewritten; a client may have written where it must not",
			    served->name, mended, mended == 1 ? "" : "s",
			    mended == 1 ? "was" : "were");
}

/*
 * Cuts the file of the arena back to its length. Clients have descriptors of it, and one of them
 * could make it longer until the file system is full.
 */
static void cut(struct served *served, uint64_t now)
{
	uint64_t nr = arena_cut(served->arena);
	char size[SIZE_TEXT_MAX];

	if (nr == 0 || (served->grew_ns && now - served->grew_ns < GREW_NS))
		return;
	served->grew_ns = now;
	log_warning("arena %s: a client wrote beyond the end of its file, or made it longer: %s "
		    "were cut off",
		    served->name, size_text(size, nr));
}

void served_tick(struct served *served, uint64_t verify_interval_ms, uint64_t now,
		 uint64_t elapsed_ns)
{
	arena_tick(served->arena);
	cut(served, now);
	verify_records(served, verify_interval_ms, elapsed_ns);
	verify_descriptors(served, verify_interval_ms, elapsed_ns);
}

/* ---- what the operator is told ---- */

void served_log_if_offline(struct served *served)
{
	const char *reason;

	if (served->is_offline || arena_state(served->arena, &reason) != ARENA_OFFLINE)
		return;
	served->is_offline = true;
	log_error("arena %s is offline: %s; restart the daemon when the device is well again",
		  served->name, reason);
}

static bool is_same_stranger(const struct device_stranger *a, const struct device_stranger *b)
{
	return a->is_there == b->is_there && a->pid == b->pid && a->is_write == b->is_write &&
	       a->first == b->first && a->len == b->len;
}

static void log_stranger(const struct served *served, const struct device_stranger *stranger)
{
	const char *path = device_info(arena_device(served->arena))->path;
	char who[128] =
		"a process that cannot be told from here (`pmemarenactl status` as root names it)";

	if (stranger->pid)
		snprintf(who, sizeof(who), "process %ld (%s, uid %" PRIu32 ")", stranger->pid,
			 stranger->comm, stranger->uid);
	log_warning("arena %s: %s has a %s lock over bytes of %s by which it is known who has it "
		    "mapped (from %#" PRIx64 "): %s; end it",
		    served->name, who, stranger->is_write ? "write" : "read", path, stranger->first,
		    stranger->is_write ? "sessions whose bytes these are cannot map the arena"
				       : "finding out which space is free takes longer");
}

static void report_stranger(struct served *served, uint64_t now)
{
	const struct device_stranger *stranger = device_stranger(arena_device(served->arena));

	if (!stranger || is_same_stranger(stranger, &served->stranger) ||
	    (served->stranger_ns && now - served->stranger_ns < STRANGER_EVERY_NS))
		return;
	served->stranger = *stranger;
	served->stranger_ns = now;
	log_stranger(served, stranger);
}

void served_report(struct served *served, uint64_t now)
{
	served_log_if_offline(served);
	report_stranger(served, now);
}
