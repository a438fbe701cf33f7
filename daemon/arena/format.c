/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format: the geometry of a new arena, and the steps that make one. doc/FORMAT.md draws the result.
 *
 *	metadata on the device:   [ sb | body 1 or nothing ][ sb | body 0 | body 1 | descriptors ][ data ... ]
 *	                          0                         unit                                 data_off
 *	metadata apart:           the same up to data_off on its own device; the data device has the two superblocks as labels
 *
 * A body is one copy of the zero map and the table. Both copies of anything are at least one poison unit apart.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <uuid/uuid.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/memmap/altmap.h"
#include "lib/size.h"

#define MIN_SLOTS      UINT64_C(1024)
#define DEFAULT_SLOTS  UINT64_C(65536)          /* at least, where the device is large enough */
#define MAX_AUTO_SLOTS (UINT64_C(4) << 20)
#define SUBSECTION_PFNS UINT64_C(512)
#define TABLE_SHARE    64u                      /* by itself the table takes at most this part of the device */

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t default_slots(uint64_t device_size, uint64_t nr_pages)
{
	uint64_t slots = larger(nr_pages + nr_pages / 4, DEFAULT_SLOTS);
	uint64_t most = larger(device_size / TABLE_SHARE / (2 * TABLE_SLOT_SIZE), MIN_SLOTS);

	if (slots > MAX_AUTO_SLOTS)
		slots = MAX_AUTO_SLOTS;
	return round_up(slots < most ? slots : most, TABLE_SLOTS_PER_CHUNK);
}

#define MEMMAP_BLOCK (UINT64_C(2) << 20)        /* the descriptors of a section of 128 MiB */

/* As the kernel carves them: a block a section, so that natural alignment loses at most one block. */
static int place_memmap(struct superblock *sb, struct altmap *map, uint64_t len)
{
	uint64_t left = len, at;
	int r = altmap_skip(map, sb->poison_unit);

	sb->memmap_off = altmap_next(map) << DESC_SHIFT;
	sb->memmap_len = len;
	for (; r == 0 && left > 0; left -= left < MEMMAP_BLOCK ? left : MEMMAP_BLOCK)
		r = altmap_claim(&at, map, left < MEMMAP_BLOCK ? left : MEMMAP_BLOCK);
	return r;
}

/*
 * Where everything that is metadata goes; *end is where it ends. The map is as large as an address can be: whether the device is, is said by
 * check_sizes(), which knows how much it would take.
 */
static int place(uint64_t *end, struct superblock *sb, uint64_t max_pages, uint64_t memmap_len)
{
	uint64_t sb_pages = SUPERBLOCK_SIZE >> DESC_SHIFT, unit = sb->poison_unit >> DESC_SHIFT;
	struct altmap gap = { .base = 0, .reserve = sb_pages, .free = unit - sb_pages };
	struct altmap map = { .base = unit, .reserve = sb_pages, .free = UINT64_C(1) << 50 };
	uint64_t zero_len = round_up(zeromap_bytes(max_pages), 4096);
	uint64_t body = zero_len + round_up(sb->nr_slots * TABLE_SLOT_SIZE, 4096);
	/* The second copy goes into the gap behind the first superblock when it fits: a poison unit may be 1 GiB. */
	bool in_gap = altmap_fits(&gap, body);
	uint64_t at[2];
	int r = altmap_claim(&at[0], &map, body);

	if (r == 0 && !in_gap)
		r = altmap_skip(&map, sb->poison_unit);
	if (r == 0)
		r = altmap_claim(&at[1], in_gap ? &gap : &map, body);
	for (int copy = 0; copy < 2 && r == 0; copy++) {
		sb->zero_off[copy] = at[copy];
		sb->table_off[copy] = at[copy] + zero_len;
	}
	if (r == 0 && memmap_len)
		r = place_memmap(sb, &map, memmap_len);
	if (r == 0)
		*end = altmap_next(&map) << DESC_SHIFT;
	return r;
}

static int order_of(uint32_t *order, uint64_t page_size, struct why *why)
{
	char text[SIZE_TEXT_MAX];

	if (page_size == 0 || page_size == UINT64_C(2) << 20)
		*order = 9;
	else if (page_size == 4096)
		*order = 0;
	else if (page_size == UINT64_C(1) << 30)
		*order = 18;
	else
		return why_set(why, -EINVAL, "page size %s is not one that there is: 4K, 2M or 1G; did you mean %s?", size_text(text, page_size),
			       page_size < (UINT64_C(1) << 20) ? "4K" : page_size < (UINT64_C(256) << 20) ? "2M" : "1G");
	return 0;
}

static int check_sizes(const struct superblock *sb, const struct device_info *info, struct why *why)
{
	char page[SIZE_TEXT_MAX], align[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX], least[SIZE_TEXT_MAX];
	uint64_t page_size = UINT64_C(4096) << sb->order, smallest = larger(page_size, SUBSECTION_PFNS * 4096);

	if (page_size % info->align && info->align % page_size)
		return why_set(why, -EINVAL, "pages of %s and an alignment of %s do not fit together", size_text(page, page_size),
			       size_text(align, info->align));
	if (page_size < info->align)
		return why_set(why, -EINVAL, "pages of %s are smaller than the device's alignment of %s: use a page size of %s, or create the device "
			       "with a smaller alignment", size_text(page, page_size), size_text(align, info->align), size_text(align, info->align));
	if (sb->data_off + smallest > info->size)
		return why_set(why, -ENOSPC, "%s has %s; an arena with %s pages needs at least %s there", info->path, size_text(size, info->size),
			       size_text(page, page_size), size_text(least, sb->data_off + smallest));
	return 0;
}

static int geometry(struct superblock *sb, const struct arena_params *params, const struct device_info *info, bool apart, struct why *why)
{
	uint64_t page_size, align, max_pages, memmap_len, end = 0;
	int r = order_of(&sb->order, params->page_size, why);

	if (r < 0)
		return r;
	page_size = UINT64_C(4096) << sb->order;
	align = larger(page_size, info->align);
	max_pages = info->size / page_size;
	sb->poison_unit = larger(POISON_UNIT, info->align);
	sb->slots_per_chunk = TABLE_SLOTS_PER_CHUNK;
	sb->nr_slots = params->nr_slots ? round_up(params->nr_slots, TABLE_SLOTS_PER_CHUNK) : default_slots(info->size, max_pages);
	memmap_len = params->memmap == MEMMAP_DEVICE ? round_up(memmap_device_bytes(max_pages << sb->order, (uint8_t)sb->order), 4096) : 0;
	r = place(&end, sb, max_pages, memmap_len);
	if (r < 0)
		return why_set(why, r, "%llu table slots are more than any device has room for", (unsigned long long)sb->nr_slots);
	sb->data_device_size = info->size;
	sb->meta_device_size = apart ? round_up(end, POISON_UNIT) : info->size;
	sb->data_off = apart ? round_up(sb->poison_unit + SUPERBLOCK_SIZE, align) : round_up(end, align);
	r = check_sizes(sb, info, why);
	if (r < 0)
		return r;
	sb->nr_pages = (info->size - sb->data_off) / page_size;
	if (sb->order == 0)                     /* descriptors come in subsections of 2 MiB */
		sb->nr_pages &= ~(SUBSECTION_PFNS - 1);
	return 0;
}

/* ---- devices ---- */

/* As much of it as may have superblocks. */
static int open_start(struct media **media, struct device *device, struct why *why)
{
	const struct device_info *info = device_info(device);
	uint64_t len = round_up((UINT64_C(1) << 30) + POISON_UNIT, info->align);

	return media_open(media, device, 0, info->size < len ? info->size : len, why);
}

int read_superblock(struct superblock *sb, int *mended, struct device *device, bool read_only, struct why *why)
{
	struct media *media;
	int r = open_start(&media, device, why);

	if (r < 0)
		return r;
	r = superblock_read(sb, mended, media, device_info(device)->align, read_only, why);
	media_close(media);
	return r;
}

static int erase_superblock(struct device *device, struct why *why)
{
	struct media *media;
	int r = open_start(&media, device, why);

	if (r < 0)
		return r;
	r = superblock_erase(media, device_info(device)->align);
	media_close(media);
	return r < 0 ? why_set(why, r, "%s cannot be written: %s", device_info(device)->path, strerror(-r)) : 0;
}

static bool has_arena(struct superblock *sb, const char *path)
{
	struct device *device;
	bool found = false;

	if (device_open(&device, &(struct device_request){ .spec = path, .read_only = true }, NULL) == 0) {
		found = read_superblock(sb, NULL, device, true, NULL) == 0 && sb->role != SUPERBLOCK_METADATA;
		device_close(device);
	}
	return found;
}

/* auto: the device that holds the arena of this name, else the only usable one that holds nothing. */
static int find_device(char path[PATH_MAX], const struct arena_params *params, const uint8_t *uuid, struct why *why)
{
	const char *blank = NULL;
	struct device_info *list;
	unsigned nr_blank = 0;
	struct superblock sb;
	bool found = false;
	size_t nr;
	int r = device_list(&list, &nr, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr && !found; i++) {
		if (list[i].unusable[0])
			continue;
		if (has_arena(&sb, list[i].path)) {
			found = uuid ? memcmp(sb.uuid, uuid, 16) == 0 : strcmp(sb.name, params->name) == 0;
			if (found)
				snprintf(path, PATH_MAX, "%s", list[i].path);
		} else {
			nr_blank++;
			blank = list[i].path;
		}
	}
	if (!found && !uuid && nr_blank == 1 && params->format == ARENA_FORMAT_IF_BLANK) {
		snprintf(path, PATH_MAX, "%s", blank);
		found = true;
	}
	if (!found)
		r = why_set(why, -ENODEV, "none of the %zu device-dax of this host holds %s%s: `daxctl list` shows them; name one by its path, "
			    "e.g. device = /dev/dax0.0", nr, uuid ? "the arena of that UUID" : "arena ", uuid ? "" : params->name);
	free(list);
	return r;
}

int resolve_device(char path[PATH_MAX], const struct arena_params *params, struct why *why)
{
	uint8_t uuid[16];

	if (strcmp(params->device, "auto") == 0)
		return find_device(path, params, NULL, why);
	if (strncmp(params->device, "uuid:", 5) == 0) {
		if (uuid_parse(params->device + 5, uuid) < 0)
			return why_set(why, -EINVAL, "%s is no UUID: it is written as uuid:01234567-89ab-cdef-0123-456789abcdef", params->device);
		return find_device(path, params, uuid, why);
	}
	if (snprintf(path, PATH_MAX, "%s", params->device) >= PATH_MAX)
		return why_set(why, -ENAMETOOLONG, "the device's path is too long");
	return 0;
}

void metadata_path(char path[PATH_MAX], const struct arena_params *params, const char *device_path)
{
	struct stat st;
	bool is_node = stat(device_path, &st) == 0 && S_ISCHR(st.st_mode);

	path[0] = '\0';
	if (!params->metadata && !is_node)
		snprintf(path, PATH_MAX, "%.*s.meta", PATH_MAX - 6, device_path);
	else if (params->metadata && strcmp(params->metadata, "device") != 0)
		snprintf(path, PATH_MAX, "%s", params->metadata);
}

/* ---- format ---- */

static int refuse_arena(const struct superblock *sb, const char *path, struct why *why)
{
	char uuid[37];

	uuid_unparse(sb->uuid, uuid);
	return why_set(why, -EEXIST, "%s holds %s of arena \"%s\" (uuid %s): --force makes a new one and loses it", path,
		       sb->role == SUPERBLOCK_METADATA ? "the metadata" : "the data", sb->name, uuid);
}

/* Somebody's data is only overwritten by force. Metadata that a cut format left before its data device was labelled is nobody's. */
static int check_blank(struct device *device, const struct arena_params *params, struct why *why)
{
	const char *path = device_info(device)->path;
	struct superblock sb;
	char foreign[128];
	int r;

	if (params->force)
		return 0;
	r = read_superblock(&sb, NULL, device, true, why);
	if (r == 0 && sb.role == SUPERBLOCK_METADATA && sb.seq == 1 && sb.nr_chunks == 0)
		return 0;
	if (r == 0)
		return refuse_arena(&sb, path, why);
	if (r == -EUCLEAN || r == -EPROTONOSUPPORT)
		return why_add(why, -EEXIST, "%s: an arena lives there, but ", path);
	if (r != -ENODATA)
		return r;
	r = device_find_foreign(device, foreign, sizeof(foreign));
	if (r > 0)
		return why_set(why, -EEXIST, "%s holds a %s: --force overwrites it", path, foreign);
	return r;
}

static uint64_t meta_end(const struct superblock *sb, const struct device_info *info)
{
	return round_up(sb->role == SUPERBLOCK_WHOLE ? sb->data_off : sb->meta_device_size, larger(info->align, 4096));
}

static int write_label(struct device *device, const struct superblock *sb, struct why *why)
{
	uint64_t align = device_info(device)->align;
	struct superblock label = *sb;
	struct media *media;
	int r = media_open(&media, device, 0, round_up(sb->poison_unit + SUPERBLOCK_SIZE, larger(align, 4096)), why);

	if (r < 0)
		return r;
	label.role = SUPERBLOCK_DATA;
	label.seq = 0;
	r = superblock_write(&label, media);
	media_close(media);
	return r;
}

static int write_metadata(struct device *device, struct superblock *sb, bool zero, struct why *why)
{
	struct media *media;
	int r = media_open(&media, device, 0, meta_end(sb, device_info(device)), why);

	if (r < 0)
		return r;
	r = zeromap_init(media, sb, zero);
	if (r == 0)
		r = superblock_write(sb, media);
	media_close(media);
	return r < 0 ? why_set(why, r, "%s cannot be written: %s", device_info(device)->path, strerror(-r)) : 0;
}

/* Everything in a file is a hole again: no page needs scrubbing. On device-dax nothing is known. */
static bool make_zero(struct device *device, const struct superblock *sb)
{
	uint64_t len = sb->nr_pages << (sb->order + DESC_SHIFT);
	struct media *media;
	bool zero;

	if (device_info(device)->kind != DEVICE_FILE || media_open(&media, device, sb->data_off, len, NULL) < 0)
		return false;
	zero = media_punch(media, 0, len) == 0;
	media_close(media);
	return zero;
}

/* Whatever cuts this short leaves what was there before, whole, or devices that are not an arena. */
static int format_pair(struct device *device, struct device *meta, struct superblock *sb, struct why *why)
{
	int r = erase_superblock(device, why);

	if (r == 0 && meta)
		r = erase_superblock(meta, why);
	if (r == 0)
		r = write_metadata(meta ? meta : device, sb, make_zero(device, sb), why);
	return r < 0 || !meta ? r : write_label(device, sb, why);
}

static int open_for_format(struct device **device, struct device **meta, struct superblock *sb, const struct arena_params *params,
			   struct why *why)
{
	char path[PATH_MAX], meta_path[PATH_MAX];
	int r = resolve_device(path, params, why);

	if (r < 0)
		return r;
	metadata_path(meta_path, params, path);
	r = device_open(device, &(struct device_request){ .spec = path, .size = params->size }, why);
	if (r < 0)
		return r;
	r = check_blank(*device, params, why);
	if (r == 0)
		r = geometry(sb, params, device_info(*device), meta_path[0] != '\0', why);
	sb->role = meta_path[0] ? SUPERBLOCK_METADATA : SUPERBLOCK_WHOLE;
	if (r == 0 && meta_path[0]) {
		r = device_open(meta, &(struct device_request){ .spec = meta_path, .size = sb->meta_device_size }, why);
		if (r == 0)
			r = check_blank(*meta, params, why);
		if (r == 0 && device_info(*meta)->size < sb->meta_device_size)
			r = why_set(why, -ENOSPC, "%s is too small for the metadata: %llu bytes, %llu are needed", meta_path,
				    (unsigned long long)device_info(*meta)->size, (unsigned long long)sb->meta_device_size);
	}
	return r;
}

int arena_format(const struct arena_params *params, struct why *why)
{
	struct device *device = NULL, *meta = NULL;
	struct superblock sb = { .unsafe_shutdowns = -1, .clean = true, .id_limit = 1 };
	struct timespec now;
	int r;

	if (!params->name || !params->name[0] || strlen(params->name) > 63)
		return why_set(why, -EINVAL, "an arena needs a name of 1 to 63 bytes");
	snprintf(sb.name, sizeof(sb.name), "%s", params->name);
	uuid_generate(sb.uuid);
	clock_gettime(CLOCK_REALTIME, &now);
	sb.formatted_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	r = open_for_format(&device, &meta, &sb, params, why);
	if (r == 0)
		r = format_pair(device, meta, &sb, why);
	device_close(meta);
	device_close(device);
	return r;
}

/* The data device, and the one with its metadata when that is apart. */
int open_pair(struct device **device, struct device **meta, const struct arena_params *params, struct why *why)
{
	char path[PATH_MAX], meta_path[PATH_MAX];
	struct superblock label;
	int r = resolve_device(path, params, why);

	if (r < 0)
		return r;
	r = device_open(device, &(struct device_request){ .spec = path, .size = params->format == ARENA_FORMAT_IF_BLANK ? params->size : 0,
							  .read_only = params->read_only }, why);
	if (r < 0)
		return r;
	r = read_superblock(&label, NULL, *device, params->read_only, why);
	if (r < 0)
		return why_add(why, r, "%s: ", path);
	if (label.role == SUPERBLOCK_METADATA)
		return why_set(why, -EINVAL, "%s holds the metadata of arena \"%s\"; name the device with its data", path, label.name);
	if (label.role == SUPERBLOCK_WHOLE)
		return 0;
	metadata_path(meta_path, params, path);
	if (!meta_path[0])
		return why_set(why, -EINVAL, "the metadata of %s is apart: say where with metadata = PATH", path);
	return device_open(meta, &(struct device_request){ .spec = meta_path, .read_only = params->read_only }, why);
}
