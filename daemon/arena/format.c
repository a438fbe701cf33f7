/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format: makes a new arena. doc/FORMAT.md draws the result; geometry.c decides where things lie:
 *
 *	metadata on the device:
 *	[ superblock | body 1 or nothing ][ superblock | body 0 | body 1 | descriptors ][ data ... ]
 *	0                                 poison unit                                   data_off
 *
 *	metadata apart: the same, up to data_off, on a device of its own; the data device begins
 *	with two superblocks as labels
 *
 * A body is one copy of the zero map and one of the table. The two copies of anything are at least
 * one poison unit (what one memory failure takes) apart.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/geometry.h"
#include "daemon/arena/pair.h"
#include "daemon/arena/stamp.h"
#include "daemon/clock.h"
#include "daemon/memmap/altmap.h"
#include "lib/wire/size.h"


/*
 * Makes the superblocks of @device unreadable, and notes that a format did so: what is cut short
 * from here on leaves a blank device, and not a damaged arena.
 */
static int erase_superblock(struct device *device, struct why *why)
{
	struct media *media;
	int r = pair_open_start(&media, device, why);

	if (r < 0)
		return r;
	r = superblock_erase(media, device_info(device)->align);
	media_close(media);
	return r < 0 ? why_set(why, r, "%s cannot be written: %s", device_info(device)->path,
			       strerror(-r))
		     : 0;
}

/* ---- what must not be overwritten ---- */

static int refuse_arena(const struct superblock *sb, const char *path, struct why *why)
{
	char uuid[37];

	uuid_unparse(sb->uuid, uuid);
	return why_set(
		why, -EEXIST,
		"%s holds %s of arena \"%s\" (uuid %s): --force makes a new one and loses it", path,
		sb->role == SUPERBLOCK_METADATA ? "the metadata" : "the data", sb->name, uuid);
}

/* a chunk of a table is four times as long, so no table is missed */
#define TRACE_STEP (UINT64_C(32) << 10)

/*
 * Returns the offset, from @off on, of the next byte that is not in a hole of the file; UINT64_MAX:
 * there is none. Where holes are not known, as on device-dax, every byte counts.
 */
static uint64_t next_data(struct device *device, uint64_t off)
{
	off_t data = device_info(device)->kind == DEVICE_FILE
			     ? lseek(device_fd(device), (off_t)off, SEEK_DATA)
			     : -1;

	if (data >= 0)
		return (uint64_t)data;
	return device_info(device)->kind == DEVICE_FILE && errno == ENXIO ? UINT64_MAX : off;
}

/*
 * Looks for the table of an arena whose superblocks are both lost; a repair could still save it.
 * Returns its offset, UINT64_MAX: there is none. A device whose superblocks a format has erased is
 * not looked through: somebody wanted them gone.
 */
static uint64_t find_table(struct device *device, struct media *media)
{
	uint64_t end = media_len(media) & ~(TRACE_STEP - 1), off = 0;

	if (superblock_was_erased(media, device_info(device)->align))
		return UINT64_MAX;
	while (off < end) {
		uint64_t data = next_data(device, off);

		if (data >= end)
			break;
		off = geometry_round_up(data > off ? data : off, TRACE_STEP);
		if (off < end && table_has_trace(media, off))
			return off;
		off += TRACE_STEP;
	}
	return UINT64_MAX;
}

/* Refuses a device on which find_table() finds records. */
static int check_traces(struct device *device, const char *path, struct why *why)
{
	struct media *media;
	uint64_t found;
	int r = pair_open_start(&media, device, why);

	if (r < 0)
		return r;
	found = find_table(device, media);
	media_close(media);
	if (found == UINT64_MAX)
		return 0;
	return why_set(
		why, -EEXIST,
		"%s has no superblock, but records of an arena, at offset %llu: its superblocks "
		"were lost. Restore the 4096 bytes at 0 or at 2M (or the device's alignment) from "
		"a copy, and `pmemarenactl repair` does the rest; or, if what is there is not "
		"wanted (a namespace that was made anew has what was there before), `pmemarenactl "
		"format --force %s` makes a new, empty arena",
		path, (unsigned long long)found, path);
}

/*
 * Refuses a device that holds anything, unless params->force is set. Metadata with no chunk is what
 * a format left that was cut before the data device was labelled: nothing is lost with it.
 */
static int check_blank(struct device *device, const struct arena_params *params, struct why *why)
{
	const char *path = device_info(device)->path;
	struct superblock sb;
	char foreign[128];
	int r;

	if (params->force)
		return 0;
	r = pair_read_superblock(&sb, NULL, device, true, why);
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
	return r < 0 ? r : check_traces(device, path, why);
}

/* The offset behind the metadata. */
static uint64_t meta_end(const struct superblock *sb, const struct device_info *info)
{
	return geometry_round_up(sb->role == SUPERBLOCK_WHOLE ? sb->data_off : sb->meta_device_size,
				 geometry_larger(info->align, 4096));
}

/*
 * Asks the file system for the blocks of what is stored at once: superblocks and both zero maps.
 * The table gets its blocks chunk by chunk. Without blocks a later store would be a SIGBUS.
 */
static int take_blocks(struct media *media, const struct superblock *sb)
{
	uint64_t zero_len = geometry_round_up(zeromap_bytes(sb->nr_pages), 4096);
	int r = media_allocate(media, 0, SUPERBLOCK_SIZE);

	if (r == 0)
		r = media_allocate(media, sb->poison_unit, SUPERBLOCK_SIZE);
	for (int copy = 0; copy < 2 && r == 0 && sb->role != SUPERBLOCK_DATA; copy++)
		r = media_allocate(media, sb->zero_off[copy], zero_len);
	return r;
}

/*
 * Writes the superblocks of the data device, where the metadata lies apart. They name the arena to
 * a start that looks at this device alone.
 */
static int write_label(struct device *device, const struct superblock *sb, struct why *why)
{
	struct superblock label = *sb;
	struct media *media;
	int r = media_open(&media, device, 0, pair_label_end(sb, device_info(device)), why);

	if (r < 0)
		return r;
	label.role = SUPERBLOCK_DATA;
	label.seq = 0;
	r = take_blocks(media, &label);
	if (r == 0)
		r = superblock_write(&label, media);
	media_close(media);
	return r < 0 ? why_set(why, r, "%s cannot be written: %s", device_info(device)->path,
			       strerror(-r))
		     : 0;
}

/* Writes both zero maps, with all bits set if @zero, and then the superblocks. */
static int write_metadata(struct device *device, struct superblock *sb, bool zero, struct why *why)
{
	struct media *media;
	int r = media_open(&media, device, 0, meta_end(sb, device_info(device)), why);

	if (r < 0)
		return r;
	r = take_blocks(media, sb);
	if (r == 0)
		r = zeromap_init(media, sb, zero);
	if (r == 0)
		r = superblock_write(sb, media);
	media_close(media);
	return r < 0 ? why_set(why, r, "%s cannot be written: %s", device_info(device)->path,
			       strerror(-r))
		     : 0;
}

/*
 * Makes the data area of a file one hole. Returns true if it reads as zeroes now, so that no page
 * needs scrubbing. Of a device-dax nothing is known: returns false.
 */
static bool make_zero(struct device *device, const struct superblock *sb)
{
	uint64_t len = sb->nr_pages << (sb->order + DESC_SHIFT);
	struct media *media;
	bool zero;

	if (device_info(device)->kind != DEVICE_FILE ||
	    media_open(&media, device, sb->data_off, len, NULL) < 0)
		return false;
	zero = media_punch(media, 0, len) == 0;
	media_close(media);
	return zero;
}

/*
 * The order is such that a format that is cut leaves either what was there before, whole, or
 * devices that hold no arena. The label of the data device comes last: from then on it is an arena.
 */
static int format_pair(struct device *device, struct device *meta, struct superblock *sb,
		       struct why *why)
{
	int r = erase_superblock(device, why);

	if (r == 0 && meta)
		r = erase_superblock(meta, why);
	if (r == 0)
		r = write_metadata(meta ? meta : device, sb, make_zero(device, sb), why);
	return r < 0 || !meta ? r : write_label(device, sb, why);
}

/*
 * Opens the devices that @params names, refuses those that hold anything, and plans the layout. A
 * file for the metadata is created with the size that the plan needs.
 */
static int open_for_format(struct device **device, struct device **meta, struct superblock *sb,
			   const struct arena_params *params, struct why *why)
{
	char path[PATH_MAX], meta_path[PATH_MAX];
	int r = pair_resolve(path, params, why);

	if (r < 0)
		return r;
	pair_metadata_path(meta_path, params, path);
	r = device_open(device, &(struct device_request){ .spec = path, .size = params->size },
			why);
	if (r < 0)
		return r;
	r = check_blank(*device, params, why);
	if (r == 0)
		r = geometry_plan(sb, params, device_info(*device), meta_path[0] != '\0', why);
	sb->role = meta_path[0] ? SUPERBLOCK_METADATA : SUPERBLOCK_WHOLE;
	if (r == 0 && !meta_path[0])
		r = device_claim_whole(*device, why);
	if (r == 0 && meta_path[0]) {
		r = device_open(meta,
				&(struct device_request){ .spec = meta_path,
							  .size = sb->meta_device_size,
							  .is_private = true },
				why);
		if (r == 0)
			r = check_blank(*meta, params, why);
		if (r == 0 && device_info(*meta)->size < sb->meta_device_size)
			r = why_set(why, -ENOSPC,
				    "%s is too small for the metadata: %llu bytes, %llu are needed",
				    meta_path, (unsigned long long)device_info(*meta)->size,
				    (unsigned long long)sb->meta_device_size);
	}
	return r;
}

int arena_format(const struct arena_params *params, struct why *why)
{
	struct device *device = NULL, *meta = NULL;
	struct superblock sb = { .unsafe_shutdowns = -1, .clean = true, .id_limit = 1 };
	int r;

	if (!params->name || !params->name[0] || strlen(params->name) > 63)
		return why_set(why, -EINVAL, "an arena needs a name of 1 to 63 bytes");
	snprintf(sb.name, sizeof(sb.name), "%s", params->name);
	uuid_generate(sb.uuid);
	stamp_random(&sb.stamp, 0);
	sb.formatted_ns = clock_ns(CLOCK_REALTIME);
	r = open_for_format(&device, &meta, &sb, params, why);
	if (r == 0)
		r = format_pair(device, meta, &sb, why);
	if (r == 0) {
		device_keep(device);
		device_keep(meta);
	}
	device_close(meta);
	device_close(device);
	return r;
}
