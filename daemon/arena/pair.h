/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pair: finds and opens the data device of an arena and, where the metadata lies apart, the device
 * or file with the metadata.
 */
#ifndef PMEMARENA_PAIR_H
#define PMEMARENA_PAIR_H

#include "daemon/arena/arena_internal.h"

/*
 * Finds the path of the data device that params->device names: a path, "uuid:UUID" or "auto".
 * -errno with a sentence when there is none, or more than one.
 */
int pair_resolve(char path[PATH_MAX], const struct arena_params *params, struct why *why);
/* Writes the path of the metadata into @path; "": the metadata lies on the data device. */
void pair_metadata_path(char path[PATH_MAX], const struct arena_params *params,
			const char *device_path);
/*
 * Opens both devices; the caller owns them. *meta is NULL when the metadata lies on the device.
 * On failure the caller closes what *device and *meta, which it set to NULL before, hold by then.
 * Errors of pair_resolve(), device_open() and superblock_read(), with a sentence.
 */
int pair_open(struct device **device, struct device **meta, const struct arena_params *params,
	      struct why *why);
/* Maps as much of the start of @device as may have superblocks; the caller owns *media. */
int pair_open_start(struct media **media, struct device *device, struct why *why);
/*
 * Reads the superblocks of @device. *mended counts copies that were bad and have been written anew
 * from a good one; with @read_only none is written. Errors of superblock_read(), with a sentence.
 */
int pair_read_superblock(struct superblock *sb, int *mended, struct device *device, bool read_only,
			 struct why *why);
/*
 * Where metadata lies apart, the data device begins with superblocks of its own (its label).
 * Returns the byte offset at which they end and the data may begin.
 */
uint64_t pair_label_end(const struct superblock *label, const struct device_info *info);

#endif
