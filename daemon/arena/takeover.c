/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * takeover: somebody vouches that the hosts which had the arena are fenced (cut off from it). Only
 * the superblock of the metadata is rewritten, once, and the next start does the rest. So a power
 * cut leaves the arena either as it was or taken over.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "daemon/arena/abroad.h"
#include "daemon/arena/owner.h"
#include "daemon/arena/pair.h"

struct takeover {
	/* owned; meta is NULL if the metadata is on the device */
	struct device *device, *meta;
	/* owned; the superblocks of the device that has the metadata */
	struct media *media;
	struct superblock sb;
	struct host host;                       /* the host that this program runs on */
};

static void close_all(struct takeover *t)
{
	media_close(t->media);
	device_close(t->meta);
	device_close(t->device);
}

static int open_all(struct takeover *t, const struct arena_params *params, struct why *why)
{
	struct device *meta;
	int r = pair_open(&t->device, &t->meta, params, why);

	if (r < 0)
		return r;
	meta = t->meta ? t->meta : t->device;
	r = pair_read_superblock(&t->sb, NULL, meta, false, why);
	if (r < 0)
		return why_add(why, r, "%s: ", device_info(meta)->path);
	if (t->sb.ro_compat & ~SUPERBLOCK_RO_COMPAT_KNOWN)
		return why_set(why, -EROFS,
			       "it uses features that this program does not know: use a newer "
			       "pmemarena");
	return pair_open_start(&t->media, meta, why);
}

/*
 * Do processes of this very host still have the arena mapped? They are not fenced, whatever
 * somebody says, since this kernel can be asked; so the entry stays.
 */
static bool is_here(const struct takeover *t, const struct superblock_host *entry)
{
	return !abroad_is_other(entry, &t->host) && device_has_marks(t->device) != 0;
}

/*
 * Of an arena that hosts share, nobody is the owner from here on, in a term of its own: one that
 * was owner, and is not as dead as somebody thought, sees that.
 */
static void forget_owner(struct moves_hosts *out, struct takeover *t)
{
	struct superblock_owner *owner = &t->sb.owner;
	struct superblock_host last = { .id_limit = 1, .is_identity = true };

	if (t->sb.clean && !owner->successor[0])
		return;
	memcpy(last.id, owner->id, 16);
	memcpy(last.name, t->sb.clean ? owner->successor : owner->name, sizeof(last.name));
	abroad_list(out, &last);
	*owner = (struct superblock_owner){ .term = owner->term + 1 };
}

static void forget_hosts(struct moves_hosts *out, struct takeover *t)
{
	struct superblock_host last = { .id_limit = 1 };

	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++) {
		struct superblock_host *entry = &t->sb.hosts[i];

		if (!entry->id_limit || is_here(t, entry))
			continue;
		abroad_list(out, entry);
		*entry = (struct superblock_host){ .id_limit = 0 };
	}
	abroad_set_feature(&t->sb);
	if (t->sb.incompat & SUPERBLOCK_INCOMPAT_HOSTS)
		forget_owner(out, t);
	if (!abroad_is_left_open(&t->sb, &t->host))
		return;
	memcpy(last.id, t->sb.machine_id, 16);
	abroad_list(out, &last);
	/*
	 * Names this host as the one that did not close the arena: then it may open it, as after a
	 * crash of its own.
	 */
	memcpy(t->sb.machine_id, t->host.id, 16);
}

int arena_take_over(struct moves_hosts *out, const struct arena_params *params, struct why *why)
{
	struct arena_params mine = *params;
	struct takeover t = { .device = NULL };
	int r;

	mine.format = ARENA_FORMAT_NEVER;
	mine.read_only = false;
	out->nr = 0;
	if (params->host)
		t.host = *params->host;
	else
		host_read(&t.host);
	r = open_all(&t, &mine, why);
	if (r == 0 && !params->read_only && t.sb.incompat & SUPERBLOCK_INCOMPAT_HOSTS)
		r = owner_watch(&t.sb, t.media, params->interval_ms ? params->interval_ms : 1000,
				why);
	if (r == 0) {
		forget_hosts(out, &t);
		r = out->nr && !params->read_only ? superblock_write(&t.sb, t.media) : 0;
		if (r < 0)
			why_set(why, r, "its superblocks cannot be written: %s; do it again",
				strerror(-r));
	}
	close_all(&t);
	return r;
}
