/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena: opens an arena, puts its parts together (media, table, zero map, memmap, space, ledger,
 * plane) and takes it apart. What requests do is in reserve.c, change.c, release.c and lease.c;
 * settle.c makes it durable; tick.c has the regular work.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/arena/abroad.h"
#include "daemon/arena/arena_internal.h"
#include "daemon/arena/bad.h"
#include "daemon/arena/belong.h"
#include "daemon/arena/evictable.h"
#include "daemon/arena/holder.h"
#include "daemon/arena/owner.h"
#include "daemon/arena/pair.h"
#include "daemon/arena/recover.h"
#include "daemon/arena/stamp.h"
#include "daemon/arena/window.h"
#include "daemon/log.h"
#include "lib/wire/size.h"

/* ---- open ---- */

/*
 * While pmemarenactl reidentify runs, some records carry the old UUID and some the new one. An
 * arena that was left in that state must not be opened: records of the other UUID would count as
 * free slots.
 */
static int check_whole(const struct arena *arena, struct why *why)
{
	if (!((arena->sb.incompat | arena->label.incompat) & SUPERBLOCK_INCOMPAT_RENEWING))
		return 0;
	return why_set(why, -EUCLEAN,
		       "it was getting a UUID of its own when that was interrupted: `pmemarenactl "
		       "reidentify %s` finishes it",
		       device_info(arena->device)->path);
}

/*
 * Refuses to change an arena that uses a feature of a later version: a change that does not know
 * the feature could make its data wrong. To read the arena is allowed.
 */
static int check_features(const struct arena *arena, struct why *why)
{
	uint64_t unknown = arena->sb.ro_compat & ~SUPERBLOCK_RO_COMPAT_KNOWN;

	if (!unknown || arena->read_only)
		return 0;
	return why_set(
		why, -EROFS,
		"it uses features (read-only compatible bits %#llx) that this program does not "
		"know: it may look (`pmemarenactl check`), but changing it takes a newer pmemarena",
		(unsigned long long)unknown);
}

/*
 * Warns when the device counted an unsafe shutdown while the arena was open: the platform could not
 * write what was in its buffers when power failed. What the daemon fenced may be lost too.
 */
static void report_unsafe(const struct arena *arena)
{
	int64_t now = device_info(arena->device)->unsafe_shutdowns;

	if (arena->sb.clean || now < 0 || arena->sb.unsafe_shutdowns < 0 ||
	    now <= arena->sb.unsafe_shutdowns)
		return;
	log_warning("arena %s: the device counted %lld unsafe shutdowns while it was open: what "
		    "clients stored without a flush may be lost",
		    arena->sb.name, (long long)(now - arena->sb.unsafe_shutdowns));
}

/* A device that has become smaller has lost the end of the data area. */
static int check_size(const struct arena *arena, struct why *why)
{
	const struct device_info *info = device_info(arena->device);
	char is[SIZE_TEXT_MAX], was[SIZE_TEXT_MAX];

	if (info->size < arena->sb.data_device_size)
		return why_set(why, -EINVAL,
			       "%s has %s, and had %s when it was formatted: it shrank; give it "
			       "its size back",
			       info->path, size_text(is, info->size),
			       size_text(was, arena->sb.data_device_size));
	if (arena->meta_device &&
	    device_info(arena->meta_device)->size < arena->sb.meta_device_size)
		return why_set(why, -EINVAL, "%s shrank: it has %s, %s are needed",
			       device_info(arena->meta_device)->path,
			       size_text(is, device_info(arena->meta_device)->size),
			       size_text(was, arena->sb.meta_device_size));
	return 0;
}

/*
 * Finds and opens the devices, compares their superblocks, and maps the metadata and the data area.
 */
static int open_media(struct arena *arena, const struct arena_params *params, struct why *why)
{
	struct device *meta;
	uint64_t meta_len;
	int r = pair_open(&arena->device, &arena->meta_device, params, why);

	if (r < 0)
		return r;
	meta = arena->meta_device ? arena->meta_device : arena->device;
	r = pair_read_superblock(&arena->label, NULL, arena->device, params->read_only, why);
	if (r == 0)
		r = pair_read_superblock(&arena->sb, NULL, meta, params->read_only, why);
	if (r < 0)
		return why_add(why, r, "%s: ", device_info(meta)->path);
	r = check_whole(arena, why);
	if (r < 0)
		return r;
	if (arena->meta_device && (arena->sb.role != SUPERBLOCK_METADATA ||
				   memcmp(arena->label.uuid, arena->sb.uuid, 16) != 0))
		return why_set(why, -EINVAL, "%s is not the metadata of %s: their UUIDs differ",
			       device_info(meta)->path, device_info(arena->device)->path);
	r = check_features(arena, why);
	if (r == 0)
		r = belong_devices(arena, params->force, why);
	if (r == 0)
		r = check_size(arena, why);
	if (r == 0)
		r = abroad_arrive(arena, params->force, why);
	if (r < 0)
		return r;
	meta_len = arena->meta_device ? arena->sb.meta_device_size : arena->sb.data_off;
	r = media_open(&arena->meta, meta, 0, meta_len, why);
	if (r == 0 && arena->meta_device)
		r = media_open(&arena->label_media, arena->device, 0,
			       pair_label_end(&arena->label, device_info(arena->device)), why);
	if (r == 0)
		r = media_open(&arena->data, arena->device, arena->sb.data_off,
			       arena->sb.nr_pages << (arena->sb.order + DESC_SHIFT), why);
	return r;
}

static void identify(struct arena *arena)
{
	struct arena_identity *id = &arena->identity;

	memcpy(id->name, arena->sb.name, sizeof(id->name));
	memcpy(id->uuid, arena->sb.uuid, sizeof(id->uuid));
	id->order = (uint8_t)arena->sb.order;
	id->page_size = UINT64_C(4096) << arena->sb.order;
	id->size = arena->sb.nr_pages * id->page_size;
	id->data_off = arena->sb.data_off;
	id->nr_slots = arena->sb.nr_slots;
	snprintf(id->metadata, sizeof(id->metadata), "%s",
		 arena->meta_device ? device_info(arena->meta_device)->path : "device");
}

static int open_memmap(struct arena *arena, const struct arena_params *params, struct why *why)
{
	const struct device *meta = arena->meta_device ? arena->meta_device : arena->device;
	const struct device_info *info = device_info(arena->device);
	struct memmap_params mp = {
		.nr_pfns = arena->sb.nr_pages << arena->sb.order,
		.order = (uint8_t)arena->sb.order,
		.numa_node = params->numa_node >= 0 ? params->numa_node : info->numa_node,
		.base_pfn = info->resource == UINT64_MAX
				    ? 0
				    : (info->resource + arena->sb.data_off) >> DESC_SHIFT,
		.home = MEMMAP_DRAM,
		.name = arena->identity.name,
		.budget = params->vma_budget,
	};

	if (params->memmap == MEMMAP_DEVICE && !arena->sb.memmap_len)
		return why_set(
			why, -EINVAL,
			"memmap = device needs room on the device: format it with that setting");
	if (params->memmap == MEMMAP_DEVICE) {
		arena->memmap_len = arena->sb.memmap_len;
		arena->memmap_base = mmap(NULL, arena->memmap_len, PROT_READ | PROT_WRITE,
					  MAP_SHARED, device_fd(meta), (off_t)arena->sb.memmap_off);
		if (arena->memmap_base == MAP_FAILED) {
			arena->memmap_base = NULL;
			return why_set(why, -errno,
				       "the descriptors on the device cannot be mapped: %s",
				       strerror(errno));
		}
		mp.home = MEMMAP_DEVICE;
		mp.device_base = arena->memmap_base;
		mp.device_len = arena->memmap_len;
	}
	return memmap_new(&arena->mm, &mp, why);
}

/*
 * How many free compound pages keep their blocks in the file system, so that the next allocation
 * need not ask for blocks again. 0 on a device, which has no blocks, and where a fence is an
 * msync(): there a kept page must be zeroed and written out, and a hole is cheaper.
 */
static uint64_t pages_to_keep(const struct arena *arena, const struct arena_params *params)
{
	if (device_info(arena->device)->kind != DEVICE_FILE ||
	    media_granularity(arena->data) == MEDIA_PAGE)
		return 0;
	return params->keep_blocks >> (arena->sb.order + DESC_SHIFT);
}

/*
 * How many free pages may stay as their last users left them. On device-dax that costs nobody
 * anything; in a file they take blocks, which are missing elsewhere.
 */
static uint64_t max_remains(const struct arena *arena, const struct arena_params *params)
{
	if (device_info(arena->device)->kind != DEVICE_FILE)
		return arena->sb.nr_pages;
	return params->keep_blocks >> (arena->sb.order + DESC_SHIFT);
}

static int open_space(struct arena *arena, const struct arena_params *params)
{
	struct space_params sp = { .order = (uint8_t)arena->sb.order,
				   .nr_pages = arena->sb.nr_pages,
				   .mm = arena->mm,
				   .zero = arena->zero,
				   .data = arena->data,
				   .scrubber = arena->scrubber,
				   .keep_pages = pages_to_keep(arena, params),
				   .max_remains = max_remains(arena, params),
				   .name = arena->identity.name,
				   .owner = arena };

	return space_new(&arena->space, &sp);
}

/*
 * The parts of the arena are of different age and were taken by force: a bit of the zero map may
 * say of a page that it reads as zeroes although it was written to since. All bits are cleared, so
 * that every free page is scrubbed before anybody gets it.
 */
static int distrust_zeroes(struct arena *arena)
{
	int r = zeromap_clear(arena->zero, 0, arena->sb.nr_pages);

	return r < 0 ? r : media_fence(arena->meta);
}

static int open_parts(struct arena *arena, const struct arena_params *params, struct why *why)
{
	int r;

	arena->objects = calloc(arena->sb.nr_slots, sizeof(*arena->objects));
	arena->owner_of_record = calloc(arena->sb.nr_slots, sizeof(*arena->owner_of_record));
	if (!arena->objects || !arena->owner_of_record)
		return -ENOMEM;
	r = table_new(&arena->table, arena->meta, &arena->sb);
	if (r == 0)
		r = zeromap_open(&arena->zero, arena->meta, &arena->sb);
	if (r == 0 && arena->is_distrusted && !params->read_only)
		r = distrust_zeroes(arena);
	if (r == 0)
		r = open_memmap(arena, params, why);
	if (r == 0)
		r = open_space(arena, params);
	/* A check leaves no trace in the runtime directory. */
	if (r < 0 || params->read_only)
		return r;
	r = ledger_open(&arena->ledger, params->runtime_dir, arena->sb.uuid, why);
	if (r == 0)
		r = plane_open(&arena->plane, params->runtime_dir, arena->sb.uuid,
			       arena->sb.nr_slots, why);
	if (r == 0)
		r = catalog_open(&arena->catalog, params->runtime_dir, arena->sb.uuid,
				 arena->sb.nr_slots, why);
	if (r == 0)
		r = belong_books(arena, params->runtime_dir, why);
	return r;
}

/*
 * Says on media that the arena is open and that this host has it, and sets ids aside. From here on
 * a crash is told from an orderly end.
 */
static int mark_open(struct arena *arena, const struct arena_params *params, struct why *why)
{
	int r = owner_arrive(arena, params, why);

	if (r < 0)
		return r;
	report_unsafe(arena);
	arena->sb.clean = false;
	arena->sb.unsafe_shutdowns = device_info(arena->device)->unsafe_shutdowns;
	memcpy(arena->sb.machine_id, arena->host.id, 16);
	arena->next_id = arena->sb.id_limit + (arena->is_distrusted ? IDS_LOST : 0);
	arena->sb.id_limit = arena->next_id + IDS_AHEAD;
	r = stamp_run(arena);
	return r < 0 ? why_set(why, r, "the superblocks cannot be written: %s", strerror(-r)) : 0;
}

/*
 * Asks now for what the next allocations need: blocks of the table's next chunk and of the plane.
 * Where the arena's own file system is full it still serves what it has; a runtime directory that
 * is too full for the plane's first block is said at once.
 */
static int reserve_ahead(struct arena *arena, const struct arena_params *params, struct why *why)
{
	uint32_t next = arena->nr_objects;
	int r = 0;

	(void)table_reserve(arena->table);
	if (next < arena->sb.nr_slots)
		r = plane_prepare(arena->plane, next);
	if (r < 0 && arena->nr_objects > 0)
		return 0;
	return r < 0 ? why_set(why, r, "the validity plane in %s: %s; make room there",
			       params->runtime_dir, strerror(-r))
		     : 0;
}

int arena_open_parts(struct arena *arena, const struct arena_params *params, struct why *why)
{
	int r = open_media(arena, params, why);

	if (r < 0)
		return r;
	identify(arena);
	r = open_parts(arena, params, why);
	if (r == 0 && !params->read_only)
		r = mark_open(arena, params, why);
	if (r == 0)
		abroad_withhold(arena);
	if (r == 0)
		r = recover_arena(arena, why);
	if (r == 0 && !params->read_only)
		r = stamp_end(arena);
	if (r == 0 && !params->read_only)
		r = reserve_ahead(arena, params, why);
	return r < 0 ? r : bad_read(arena);
}

struct arena *arena_zero(const struct arena_params *params)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	arena->scrubber = params->scrubber;
	if (quota_new_share(&arena->quota, params->quota, arena->identity.name) < 0) {
		free(arena);
		return NULL;
	}
	arena->nr_listeners = params->nr_listeners;
	arena->read_only = params->read_only;
	if (params->host)
		arena->host = *params->host;
	else
		host_read(&arena->host);
	arena->interval_ms = params->interval_ms ? params->interval_ms : 1000;
	arena->txn = 1;
	RB_INIT(&arena->names);
	TAILQ_INIT(&arena->holders);
	TAILQ_INIT(&arena->ending);
	TAILQ_INIT(&arena->over);
	RB_INIT(&arena->by_session);
	TAILQ_INIT(&arena->freeing);
	TAILQ_INIT(&arena->windows);
	TAILQ_INIT(&arena->retiring);
	TAILQ_INIT(&arena->carved);
	RB_INIT(&arena->clocks);
	TAILQ_INIT(&arena->bad_ranges);
	return arena;
}

void arena_drop(struct arena *arena)
{
	struct bad_range *bad;

	if (!arena)
		return;
	space_free(arena->space);
	evictable_free(arena);
	touches_free(arena->touches);
	holder_free_all(arena);
	for (uint32_t i = 0; arena->objects && i < arena->nr_objects; i++)
		alloc_free(arena->objects[i]);
	while ((bad = TAILQ_FIRST(&arena->bad_ranges))) {
		TAILQ_REMOVE(&arena->bad_ranges, bad, link);
		free(bad);
	}
	window_free_all(arena);
	catalog_close(arena->catalog);
	plane_close(arena->plane);
	ledger_close(arena->ledger);
	memmap_free(arena->mm);
	if (arena->memmap_base)
		munmap(arena->memmap_base, arena->memmap_len);
	zeromap_free(arena->zero);
	table_free(arena->table);
	media_close(arena->data);
	media_close(arena->meta);
	media_close(arena->label_media);
	device_close(arena->meta_device);
	device_close(arena->device);
	free(arena->objects);
	free(arena->owner_of_record);
	free(arena->free_objects);
	free(arena->unledger);
	free(arena->uncataloged);
	free(arena->events);
	quota_free(arena->quota);
	free(arena);
}

/* A device that is blank is formatted and opened once more, if the configuration says so. */
int arena_open(struct arena **out, const struct arena_params *params, struct why *why)
{
	struct arena *arena = arena_zero(params);
	int r;

	if (!arena)
		return -ENOMEM;
	r = arena_open_parts(arena, params, why);
	if (r == -ENODATA && params->format == ARENA_FORMAT_IF_BLANK && !params->read_only) {
		arena_drop(arena);
		r = arena_format(params, why);
		if (r == 0)
			log_notice("arena %s: %s was blank, and has been formatted", params->name,
				   params->device);
		arena = r < 0 ? NULL : arena_zero(params);
		if (r == 0)
			r = arena ? arena_open_parts(arena, params, why) : -ENOMEM;
	}
	if (r < 0) {
		arena_drop(arena);
		return r;
	}
	*out = arena;
	return 0;
}

void arena_close(struct arena *arena)
{
	if (!arena)
		return;
	if (arena->state != ARENA_OFFLINE && !arena->read_only && arena_settle(arena) == 0 &&
	    stamp_close(arena) == 0 && abroad_leave(arena) == 0) {
		arena->sb.clean = true;
		superblock_write(&arena->sb, arena->meta);
	}
	arena_drop(arena);
}

/* ---- what an arena is ---- */

const struct arena_identity *arena_identity(const struct arena *arena) { return &arena->identity; }
const struct device *arena_device(const struct arena *arena) { return arena->device; }
enum media_granularity arena_granularity(const struct arena *arena)
{
	return media_granularity(arena->data);
}
int arena_plane_fd(const struct arena *arena) { return plane_fd(arena->plane); }
int arena_touches_fd(int *fd, struct arena *arena)
{
	int r = arena->touches ? 0 : touches_new(&arena->touches, arena->sb.nr_slots);

	if (r == 0)
		*fd = touches_fd(arena->touches);
	return r;
}

int arena_catalog_fd(const struct arena *arena) { return catalog_fd(arena->catalog); }
