/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reidentify: gives a copy of an arena a UUID of its own. The words and checksums of the table are
 * made of the UUID, so each record is written anew; zero map and data stay as they are. The steps:
 *
 *	1 the superblocks announce the new UUID (with an incompatible feature bit)
 *	2 copy 0 of the table is rewritten
 *	3 copy 1 of the table is rewritten
 *	4 the superblocks have the new UUID
 *
 * With the metadata apart, the superblocks of the data device are the first to announce the new
 * UUID and the last to have it. Each step is fenced before the next begins, and is left out if it
 * was done already. So a cut leaves the old arena, or one that nobody can open before the steps
 * were repeated.
 */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <uuid/uuid.h>

#include "daemon/arena/arena_internal.h"
#include "daemon/arena/pair.h"

struct renewal {
	/* owned; meta is NULL if the metadata is on the device */
	struct device *device, *meta;
	/* owned; label_media is NULL if the metadata is on the device */
	struct media *media, *label_media;
	struct superblock sb, label;
	uint8_t next[16];
};

static bool is_renewing(const struct superblock *sb)
{
	return sb->incompat & SUPERBLOCK_INCOMPAT_RENEWING;
}

static bool has_uuid(const struct superblock *sb, const uint8_t uuid[16])
{
	return memcmp(sb->uuid, uuid, 16) == 0;
}

/* An interrupted renewal goes on with the UUID that it chose: a part of the records may have it. */
static void choose_uuid(struct renewal *r)
{
	if (is_renewing(&r->sb))
		memcpy(r->next, r->sb.next_uuid, 16);
	else if (r->meta && is_renewing(&r->label))
		memcpy(r->next, r->label.next_uuid, 16);
	else
		uuid_generate(r->next);
}

static int open_devices(struct renewal *r, const struct arena_params *params, struct why *why)
{
	int err = pair_open(&r->device, &r->meta, params, why);

	if (err == 0)
		err = pair_read_superblock(&r->label, NULL, r->device, false, why);
	if (err < 0)
		return err;
	r->sb = r->label;
	if (r->meta)
		err = pair_read_superblock(&r->sb, NULL, r->meta, false, why);
	if (err < 0)
		return why_add(why, err, "%s: ", device_info(r->meta ? r->meta : r->device)->path);
	choose_uuid(r);
	if (r->meta && !has_uuid(&r->sb, r->label.uuid) && !has_uuid(&r->sb, r->next))
		return why_set(why, -EINVAL, "%s is not the metadata of %s: their UUIDs differ",
			       device_info(r->meta)->path, device_info(r->device)->path);
	err = media_open(&r->media, r->meta ? r->meta : r->device, 0,
			 r->meta ? r->sb.meta_device_size : r->sb.data_off, why);
	if (err == 0 && r->meta)
		err = media_open(&r->label_media, r->device, 0,
				 pair_label_end(&r->label, device_info(r->device)), why);
	return err;
}

static void close_devices(struct renewal *r)
{
	media_close(r->media);
	media_close(r->label_media);
	device_close(r->meta);
	device_close(r->device);
}

/*
 * Step 1: the superblock announces the new UUID. Does nothing if an earlier call that was cut has
 * done it.
 */
static int announce(struct superblock *sb, struct media *media, const uint8_t next[16])
{
	if (has_uuid(sb, next) || is_renewing(sb))
		return 0;
	sb->incompat |= SUPERBLOCK_INCOMPAT_RENEWING;
	memcpy(sb->next_uuid, next, 16);
	return superblock_write(sb, media);
}

/*
 * Step 4: the superblock gets the new UUID. Does nothing if an earlier call that was cut has done
 * it.
 */
static int conclude(struct superblock *sb, struct media *media, const uint8_t next[16])
{
	if (has_uuid(sb, next))
		return 0;
	sb->incompat &= ~SUPERBLOCK_INCOMPAT_RENEWING;
	memcpy(sb->uuid, next, 16);
	memset(sb->next_uuid, 0, sizeof(sb->next_uuid));
	return superblock_write(sb, media);
}

/* Steps 2 and 3 (see above): writes both copies of the table anew, with the new UUID. */
static int renew_table(struct renewal *r)
{
	struct superblock later = r->sb;
	struct table *from = NULL, *to = NULL;
	int err;

	if (has_uuid(&r->sb, r->next))
		return 0;
	memcpy(later.uuid, r->next, 16);
	err = table_new(&from, r->media, &r->sb);
	if (err == 0)
		err = table_new(&to, r->media, &later);
	if (err == 0)
		err = table_renew(to, from);
	table_free(from);
	table_free(to);
	return err;
}

static int renew(struct renewal *r)
{
	int err = r->meta ? announce(&r->label, r->label_media, r->next) : 0;

	if (err == 0)
		err = announce(&r->sb, r->media, r->next);
	if (err == 0)
		err = renew_table(r);
	if (err == 0)
		err = conclude(&r->sb, r->media, r->next);
	return err < 0 || !r->meta ? err : conclude(&r->label, r->label_media, r->next);
}

/*
 * Was the renewal begun before? Then nobody has opened the arena since, and settle_first() cannot.
 */
static int find_begun(bool *begun, const struct arena_params *params, struct why *why)
{
	struct renewal r = { .device = NULL };
	int err = open_devices(&r, params, why);

	*begun = err == 0 && (is_renewing(&r.sb) || is_renewing(&r.label));
	close_devices(&r);
	return err;
}

/*
 * Opens the arena and closes it in order. Recovery has then mended the table, and both copies say
 * the same, so that step 2 can read what step 3 will overwrite.
 */
static int settle_first(const struct arena_params *params, struct why *why)
{
	struct arena *arena;
	const char *reason;
	int r = arena_open(&arena, params, why);

	if (r < 0)
		return r;
	if (arena_state(arena, &reason) != ARENA_ONLINE)
		r = why_set(why, -EUCLEAN, "it is damaged (%s): `pmemarenactl repair` first",
			    reason);
	arena_close(arena);
	return r;
}

int arena_reidentify(uint8_t was[16], uint8_t is[16], const struct arena_params *params,
		     struct why *why)
{
	struct arena_params mine = *params;
	struct renewal r = { .device = NULL };
	bool begun;
	int err;

	mine.format = ARENA_FORMAT_NEVER;
	mine.read_only = false;
	err = find_begun(&begun, &mine, why);
	if (err == 0 && !begun)
		err = settle_first(&mine, why);
	if (err == 0)
		err = open_devices(&r, &mine, why);
	if (err == 0) {
		memcpy(was, r.label.uuid, 16);
		memcpy(is, r.next, 16);
		err = renew(&r);
		if (err < 0)
			why_set(why, err, "%s cannot be written: %s; do it again", mine.device,
				strerror(-err));
	}
	close_devices(&r);
	return err;
}
