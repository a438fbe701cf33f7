/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pair: finds the device that an arena is on, and the one with its metadata where that is apart,
 * opens both and reads their superblocks.
 */
#include <config.h>

#include "daemon/arena/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uuid/uuid.h>

#include "daemon/arena/geometry.h"
#include "lib/wire/size.h"

/*
 * The second superblock lies one poison unit into the device, at most 1 GiB: that much is mapped.
 */
int pair_open_start(struct media **media, struct device *device, struct why *why)
{
	const struct device_info *info = device_info(device);
	uint64_t len = geometry_round_up((UINT64_C(1) << 30) + POISON_UNIT, info->align);

	return media_open(media, device, 0, info->size < len ? info->size : len, why);
}

int pair_read_superblock(struct superblock *sb, int *mended, struct device *device, bool read_only,
			 struct why *why)
{
	struct media *media;
	int r = pair_open_start(&media, device, why);

	if (r < 0)
		return r;
	r = superblock_read(sb, mended, media, device_info(device)->align, read_only, why);
	media_close(media);
	return r;
}

/* Does the device at @path hold an arena? One that cannot be opened counts as one that does not. */
static bool has_arena(struct superblock *sb, const char *path)
{
	struct device *device;
	bool found = false;

	if (device_open(&device, &(struct device_request){ .spec = path, .read_only = true },
			NULL) == 0) {
		found = pair_read_superblock(sb, NULL, device, true, NULL) == 0 &&
			sb->role != SUPERBLOCK_METADATA;
		device_close(device);
	}
	return found;
}

/* Is it the arena that is looked for, by its UUID, or by name if @uuid is NULL? */
static bool is_wanted(const struct superblock *sb, const char *name, const uint8_t *uuid)
{
	return uuid ? memcmp(sb->uuid, uuid, 16) == 0 : strcmp(sb->name, name) == 0;
}

/*
 * Two devices hold the same arena, as after a copy. To choose one of them would be a choice that
 * another start could make differently.
 */
static int refuse_twins(const char *first, const char *second, struct why *why)
{
	return why_set(why, -EEXIST,
		       "%s and %s both hold it: one may be a copy of the other; name one by its "
		       "path, or give the copy a UUID of its own: `pmemarenactl reidentify`",
		       first, second);
}

/*
 * Finds the device with the arena that has the UUID @uuid or, if that is NULL, the name of @params.
 * If none has, and the configuration allows a format, the only blank device there is.
 */
static int find_device(char path[PATH_MAX], const struct arena_params *params, const uint8_t *uuid,
		       struct why *why)
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
	for (size_t i = 0; i < nr && r == 0; i++) {
		if (list[i].unusable[0])
			continue;
		if (!has_arena(&sb, list[i].path)) {
			nr_blank++;
			blank = list[i].path;
		} else if (is_wanted(&sb, params->name, uuid)) {
			r = found ? refuse_twins(path, list[i].path, why) : 0;
			if (!found)
				snprintf(path, PATH_MAX, "%s", list[i].path);
			found = true;
		}
	}
	if (!found && !uuid && nr_blank == 1 && params->format == ARENA_FORMAT_IF_BLANK) {
		snprintf(path, PATH_MAX, "%s", blank);
		found = true;
	}
	if (!found)
		r = why_set(why, -ENODEV,
			    "none of the %zu device-dax of this host holds %s%s: `daxctl list` "
			    "shows them; name one by its path, e.g. device = /dev/dax0.0",
			    nr, uuid ? "the arena of that UUID" : "arena ",
			    uuid ? "" : params->name);
	free(list);
	return r;
}

int pair_resolve(char path[PATH_MAX], const struct arena_params *params, struct why *why)
{
	uint8_t uuid[16];

	if (strcmp(params->device, "auto") == 0)
		return find_device(path, params, NULL, why);
	if (strncmp(params->device, "uuid:", 5) == 0) {
		if (uuid_parse(params->device + 5, uuid) < 0)
			return why_set(why, -EINVAL,
				       "%s is no UUID: it is written as "
				       "uuid:01234567-89ab-cdef-0123-456789abcdef",
				       params->device);
		return find_device(path, params, uuid, why);
	}
	if (snprintf(path, PATH_MAX, "%s", params->device) >= PATH_MAX)
		return why_set(why, -ENAMETOOLONG, "the device's path is too long");
	return 0;
}

/*
 * Writes where the metadata is. Without a setting, a file has it in a second file beside it, named
 * .meta; a device-dax has it on itself.
 */
void pair_metadata_path(char path[PATH_MAX], const struct arena_params *params,
			const char *device_path)
{
	struct stat st;
	bool is_node = stat(device_path, &st) == 0 && S_ISCHR(st.st_mode);

	path[0] = '\0';
	if (!params->metadata && !is_node)
		snprintf(path, PATH_MAX, "%.*s.meta", PATH_MAX - 6, device_path);
	else if (params->metadata && strcmp(params->metadata, "device") != 0)
		snprintf(path, PATH_MAX, "%s", params->metadata);
}

int pair_open(struct device **device, struct device **meta, const struct arena_params *params,
	      struct why *why)
{
	char path[PATH_MAX], meta_path[PATH_MAX];
	struct superblock label;
	int r = pair_resolve(path, params, why);

	if (r < 0)
		return r;
	r = device_open(
		device,
		&(struct device_request){
			.spec = path,
			.size = params->format == ARENA_FORMAT_IF_BLANK ? params->size : 0,
			.never_creates = params->format == ARENA_FORMAT_NEVER && params->size > 0,
			.read_only = params->read_only },
		why);
	if (r < 0)
		return r;
	r = pair_read_superblock(&label, NULL, *device, params->read_only, why);
	if (r < 0)
		return why_add(why, r, "%s: ", path);
	if (label.role == SUPERBLOCK_METADATA)
		return why_set(
			why, -EINVAL,
			"%s holds the metadata of arena \"%s\"; name the device with its data",
			path, label.name);
	if (label.role == SUPERBLOCK_WHOLE)
		return device_claim_whole(*device, why);
	pair_metadata_path(meta_path, params, path);
	if (!meta_path[0])
		return why_set(why, -EINVAL,
			       "the metadata of %s is apart: say where with metadata = PATH", path);
	return device_open(meta,
			   &(struct device_request){ .spec = meta_path,
						     .read_only = params->read_only,
						     .is_private = true },
			   why);
}

uint64_t pair_label_end(const struct superblock *label, const struct device_info *info)
{
	return geometry_round_up(label->poison_unit + SUPERBLOCK_SIZE,
				 geometry_larger(info->align, 4096));
}
