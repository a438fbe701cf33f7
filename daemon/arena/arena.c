/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena: open, close, settle, upkeep. Puts the parts together (media, table, zero map, memmap, space, ledger, plane) and
 * takes them apart; what requests do is in reserve.c, change.c and release.c.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/log.h"
#include "lib/size.h"


/* ---- open ---- */

static void read_machine_id(uint8_t id[16])
{
	char text[33] = "";
	FILE *f = fopen("/etc/machine-id", "re");

	memset(id, 0, 16);
	if (!f)
		return;
	if (fread(text, 1, 32, f) == 32)
		for (int i = 0; i < 16; i++)
			sscanf(text + i * 2, "%2hhx", &id[i]);
	fclose(f);
}

static int check_host(const struct arena *arena, const struct arena_params *params, struct why *why)
{
	uint8_t id[16], none[16] = { 0 };

	read_machine_id(id);
	if (arena->sb.clean || params->force || memcmp(arena->sb.machine_id, id, 16) == 0 || memcmp(arena->sb.machine_id, none, 16) == 0)
		return 0;
	return why_set(why, -EHOSTDOWN, "it was not closed in order, and another host had it last: that host may still be writing to it. "
		       "When it is certainly down, open it with --force");
}

static int check_features(const struct arena *arena, struct why *why)
{
	uint64_t unknown = arena->sb.ro_compat & ~SUPERBLOCK_RO_COMPAT_KNOWN;

	if (!unknown || arena->read_only)
		return 0;
	return why_set(why, -EROFS, "it uses features (read-only compatible bits %#llx) that this program does not know: it may look (`pmemarenactl "
		       "check`), but changing it takes a newer pmemarena", (unsigned long long)unknown);
}

/* The platform may say that power was lost with stores still on their way. */
static void report_unsafe(const struct arena *arena)
{
	int64_t now = device_info(arena->device)->unsafe_shutdowns;

	if (arena->sb.clean || now < 0 || arena->sb.unsafe_shutdowns < 0 || now <= arena->sb.unsafe_shutdowns)
		return;
	log_warning("arena %s: the device counted %lld unsafe shutdowns while it was open: what clients stored without a flush may be lost",
		    arena->sb.name, (long long)(now - arena->sb.unsafe_shutdowns));
}

static int check_size(const struct arena *arena, struct why *why)
{
	const struct device_info *info = device_info(arena->device);
	char is[SIZE_TEXT_MAX], was[SIZE_TEXT_MAX];

	if (info->size < arena->sb.data_device_size)
		return why_set(why, -EINVAL, "%s has %s, and had %s when it was formatted: it shrank; give it its size back", info->path,
			       size_text(is, info->size), size_text(was, arena->sb.data_device_size));
	if (arena->meta_device && device_info(arena->meta_device)->size < arena->sb.meta_device_size)
		return why_set(why, -EINVAL, "%s shrank: it has %s, %s are needed", device_info(arena->meta_device)->path,
			       size_text(is, device_info(arena->meta_device)->size), size_text(was, arena->sb.meta_device_size));
	return 0;
}

/* The pair by its superblocks, then the two mappings. */
static int open_media(struct arena *arena, const struct arena_params *params, struct why *why)
{
	struct device *meta;
	struct superblock label;
	uint64_t meta_len;
	int r = open_pair(&arena->device, &arena->meta_device, params, why);

	if (r < 0)
		return r;
	meta = arena->meta_device ? arena->meta_device : arena->device;
	r = read_superblock(&label, NULL, arena->device, params->read_only, why);
	if (r == 0)
		r = read_superblock(&arena->sb, NULL, meta, params->read_only, why);
	if (r < 0)
		return why_add(why, r, "%s: ", device_info(meta)->path);
	if (arena->meta_device && (arena->sb.role != SUPERBLOCK_METADATA || memcmp(label.uuid, arena->sb.uuid, 16) != 0))
		return why_set(why, -EINVAL, "%s is not the metadata of %s: their UUIDs differ", device_info(meta)->path,
			       device_info(arena->device)->path);
	r = check_features(arena, why);
	if (r == 0)
		r = check_size(arena, why);
	if (r == 0)
		r = check_host(arena, params, why);
	if (r < 0)
		return r;
	meta_len = arena->meta_device ? arena->sb.meta_device_size : arena->sb.data_off;
	r = media_open(&arena->meta, meta, 0, meta_len, why);
	if (r == 0)
		r = media_open(&arena->data, arena->device, arena->sb.data_off, arena->sb.nr_pages << (arena->sb.order + DESC_SHIFT), why);
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
	snprintf(id->metadata, sizeof(id->metadata), "%s", arena->meta_device ? device_info(arena->meta_device)->path : "device");
}

static int open_memmap(struct arena *arena, const struct arena_params *params, struct why *why)
{
	const struct device *meta = arena->meta_device ? arena->meta_device : arena->device;
	const struct device_info *info = device_info(arena->device);
	struct memmap_params mp = {
		.nr_pfns = arena->sb.nr_pages << arena->sb.order,
		.order = (uint8_t)arena->sb.order,
		.numa_node = params->numa_node >= 0 ? params->numa_node : info->numa_node,
		.base_pfn = info->resource == UINT64_MAX ? 0 : (info->resource + arena->sb.data_off) >> DESC_SHIFT,
		.home = MEMMAP_DRAM,
		.budget = params->vma_budget,
	};

	if (params->memmap == MEMMAP_DEVICE && !arena->sb.memmap_len)
		return why_set(why, -EINVAL, "memmap = device needs room on the device: format it with that setting");
	if (params->memmap == MEMMAP_DEVICE) {
		arena->memmap_len = arena->sb.memmap_len;
		arena->memmap_base = mmap(NULL, arena->memmap_len, PROT_READ | PROT_WRITE, MAP_SHARED, device_fd(meta),
					  (off_t)arena->sb.memmap_off);
		if (arena->memmap_base == MAP_FAILED) {
			arena->memmap_base = NULL;
			return why_set(why, -errno, "the descriptors on the device cannot be mapped");
		}
		mp.home = MEMMAP_DEVICE;
		mp.device_base = arena->memmap_base;
		mp.device_len = arena->memmap_len;
	}
	return memmap_new(&arena->mm, &mp, why);
}

/* Blocks are a file's; and where zeroes must be written out at once, a hole is cheaper than they are. */
static uint64_t pages_to_keep(const struct arena *arena, const struct arena_params *params)
{
	if (device_info(arena->device)->kind != DEVICE_FILE || media_granularity(arena->data) == MEDIA_PAGE)
		return 0;
	return params->keep_blocks >> (arena->sb.order + DESC_SHIFT);
}

static int open_space(struct arena *arena, const struct arena_params *params)
{
	struct space_params sp = { .order = (uint8_t)arena->sb.order, .nr_pages = arena->sb.nr_pages, .mm = arena->mm,
				   .zero = arena->zero, .data = arena->data, .scrubber = arena->scrubber,
				   .keep_pages = pages_to_keep(arena, params) };

	return space_new(&arena->space, &sp);
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
	if (r == 0)
		r = open_memmap(arena, params, why);
	if (r == 0)
		r = open_space(arena, params);
	if (r < 0 || params->read_only)         /* a look at a device leaves no trace, also not of who uses it */
		return r;
	r = ledger_open(&arena->ledger, params->runtime_dir, arena->sb.uuid, why);
	if (r == 0)
		r = plane_open(&arena->plane, params->runtime_dir, arena->sb.uuid, arena->sb.nr_slots, why);
	return r;
}

/* From here on it is not clean, and it is this host's. */
static int mark_open(struct arena *arena, struct why *why)
{
	int r;

	report_unsafe(arena);
	arena->sb.clean = false;
	arena->sb.unsafe_shutdowns = device_info(arena->device)->unsafe_shutdowns;
	read_machine_id(arena->sb.machine_id);
	arena->next_id = arena->sb.id_limit;
	arena->sb.id_limit += IDS_AHEAD;
	r = superblock_write(&arena->sb, arena->meta);
	return r < 0 ? why_set(why, r, "the superblocks cannot be written") : 0;
}

int arena_open_parts(struct arena *arena, const struct arena_params *params, struct why *why)
{
	int r = open_media(arena, params, why);

	if (r < 0)
		return r;
	identify(arena);
	r = open_parts(arena, params, why);
	if (r == 0 && !params->read_only)
		r = mark_open(arena, why);
	if (r == 0)
		r = recover(arena, why);
	return r < 0 ? r : bad_read(arena);
}

struct arena *arena_zero(const struct arena_params *params)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	arena->scrubber = params->scrubber;
	arena->quota = params->quota;
	arena->nr_listeners = params->nr_listeners;
	arena->read_only = params->read_only;
	arena->txn = 1;
	RB_INIT(&arena->names);
	TAILQ_INIT(&arena->holders);
	TAILQ_INIT(&arena->freeing);
	TAILQ_INIT(&arena->retiring);
	TAILQ_INIT(&arena->carved);
	TAILQ_INIT(&arena->bad_ranges);
	return arena;
}

void arena_drop(struct arena *arena)
{
	struct bad_range *bad;

	if (!arena)
		return;
	space_free(arena->space);
	holders_free(arena);
	for (uint32_t i = 0; arena->objects && i < arena->nr_objects; i++)
		alloc_free(arena->objects[i]);
	while ((bad = TAILQ_FIRST(&arena->bad_ranges))) {
		TAILQ_REMOVE(&arena->bad_ranges, bad, link);
		free(bad);
	}
	plane_close(arena->plane);
	ledger_close(arena->ledger);
	memmap_free(arena->mm);
	if (arena->memmap_base)
		munmap(arena->memmap_base, arena->memmap_len);
	zeromap_free(arena->zero);
	table_free(arena->table);
	media_close(arena->data);
	media_close(arena->meta);
	device_close(arena->meta_device);
	device_close(arena->device);
	free(arena->objects);
	free(arena->owner_of_record);
	free(arena->free_objects);
	free(arena->unledger);
	free(arena->events);
	free(arena);
}

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
	if (arena->state != ARENA_OFFLINE && !arena->read_only && arena_settle(arena) == 0) {
		arena->sb.clean = true;
		superblock_write(&arena->sb, arena->meta);
	}
	arena_drop(arena);
}

/* ---- what it is ---- */

const struct arena_identity *arena_identity(const struct arena *arena) { return &arena->identity; }
const struct device *arena_device(const struct arena *arena) { return arena->device; }
enum media_granularity arena_granularity(const struct arena *arena) { return media_granularity(arena->data); }
int arena_plane_fd(const struct arena *arena) { return plane_fd(arena->plane); }
uint64_t arena_page_pfns(const struct arena *arena) { return UINT64_C(1) << arena->sb.order; }
uint64_t arena_alloc_bytes(const struct alloc *alloc) { return alloc->nr_pfns << DESC_SHIFT; }

enum arena_state arena_state(const struct arena *arena, const char **reason)
{
	*reason = arena->reason;
	return arena->state;
}

struct extent arena_extent(const struct arena *arena, const struct alloc *alloc, uint32_t i)
{
	return (struct extent){ arena->sb.data_off + (alloc->extents[i].off << DESC_SHIFT), alloc->extents[i].len << DESC_SHIFT };
}

void arena_go_offline(struct arena *arena, int err, const char *what)
{
	if (arena->state == ARENA_OFFLINE)
		return;
	arena->state = ARENA_OFFLINE;
	snprintf(arena->reason, sizeof(arena->reason), "%s: %s", what, strerror(-err));
	events_add(arena, ARENA_WENT_OFFLINE, NULL);
	events_settle(arena);
}

/* ---- upkeep ---- */

bool arena_collect(struct scrubber *scrubber)
{
	struct scrub_job *job;
	bool cleaner = false;

	while ((job = scrubber_collect(scrubber)))
		cleaner |= space_collect(job->owner, job);
	return cleaner;
}

void arena_tick(struct arena *arena)
{
	if (arena->state == ARENA_OFFLINE)
		return;
	if (!device_is_present(arena->device) || (arena->meta_device && !device_is_present(arena->meta_device))) {
		arena_go_offline(arena, -ENODEV, "its device was disabled, removed or truncated");
		return;
	}
	bad_take(arena);
	quarantine_look(arena);
	space_upkeep(arena->space);
}

bool arena_is_busy(const struct arena *arena)
{
	return !TAILQ_EMPTY(&arena->freeing) || space_is_busy(arena->space) || bad_is_busy(arena);
}

uint64_t arena_verify_step(struct arena *arena, uint32_t nr_slots)
{
	uint32_t end = table_nr_slots(arena->table);
	uint64_t nr_mended = 0;

	if (arena->state != ARENA_ONLINE || table_is_staged(arena->table))
		return 0;
	for (; nr_slots > 0 && arena->verify_at < end; nr_slots--, arena->verify_at++) {
		const struct alloc *alloc = arena->owner_of_record[arena->verify_at];
		struct record record;
		int r;

		if (!alloc || alloc->records[0] != arena->verify_at)
			continue;
		record_of(&record, alloc);
		r = table_verify(arena->table, &record, alloc->records, alloc->nr_records, true);
		nr_mended += r > 0 ? (uint64_t)r : 0;
	}
	if (arena->verify_at >= end)
		arena->verify_at = 0;
	arena->counts.records_mended += nr_mended;
	return nr_mended;
}
