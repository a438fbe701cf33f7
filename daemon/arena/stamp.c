/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp: a number that grows with each change. It is written wherever a part of the arena lies that
 * somebody could put back by itself: superblocks of the metadata and of the data device, ledger,
 * plane. belong.c compares them at the next start. Around a change with the number n + 1:
 *
 *	ledger: to = n + 1 | metadata | the change | data device | plane | ledger: from = n + 1
 *
 * A daemon that is killed at any point leaves in each part a number that the ledger names, from or
 * to; at rest all parts have the same. No fence is made for this: those of the settle cover the
 * metadata, and on the data device the number is needed after a power cut only as a lower bound.
 */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <uuid/uuid.h>

#include "daemon/arena/stamp.h"

/*
 * A run begins at a random distance above the last number. It is large enough that two runs which
 * began at the same number (of two copies) do not meet, and small enough for 2^31 starts.
 */
void stamp_random(struct stamp *stamp, uint64_t from)
{
	uint8_t uuid[16];
	uint32_t leap;

	uuid_generate(uuid);
	memcpy(&leap, uuid, sizeof(leap));
	stamp->from = from;
	stamp->run = stamp->changes = from + 1 + leap;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * A killed daemon may have stamped one of the two superblocks only. The data device is about to be
 * told of that number, so it must not be lost with that one superblock.
 */
static int even_out(struct arena *arena)
{
	int r = arena->sb.stamp.run ? superblock_stamp(&arena->sb, arena->meta) : 0;

	return r < 0 ? r : media_fence(arena->meta);
}

/*
 * The data device is written first. If power is cut after that, the metadata is of the run before,
 * which lacks nothing: is_begun() in belong.c recognises that and lets it pass.
 */
int stamp_run(struct arena *arena)
{
	struct stamp *stamp = &arena->sb.stamp, *other = &arena->label.stamp;
	uint64_t from, to;
	int r = arena->label_media ? even_out(arena) : 0;

	if (r < 0)
		return r;
	ledger_stamp(&from, &to, arena->ledger);
	stamp->settles = larger(stamp->settles, other->settles) + 1;
	from = stamp->changes;
	to = larger(larger(to, plane_stamp(arena->plane)), larger(from, other->changes));
	stamp_random(stamp, to);
	stamp->from = from;
	/*
	 * A start that was cut has left the number of a run that never began in the ledger. The
	 * metadata may know nothing of it, so the ledger first says where the metadata stands.
	 */
	ledger_begin(arena->ledger, from);
	ledger_end(arena->ledger);
	ledger_begin(arena->ledger, stamp->changes);
	arena->is_stamping = true;
	arena->sb.seen = stamp->settles;
	if (arena->label_media) {
		*other = *stamp;
		arena->label.peer_seq = arena->sb.seq;
		r = superblock_write(&arena->label, arena->label_media);
	}
	return r < 0 ? r : superblock_write(&arena->sb, arena->meta);
}

bool stamp_is_due(const struct arena *arena)
{
	return arena->ledger && arena->stamped != ledger_changes(arena->ledger);
}

int stamp_begin(struct arena *arena, bool settles)
{
	if (!arena->is_stamping) {
		arena->is_stamping = true;
		arena->sb.stamp.changes++;
		ledger_begin(arena->ledger, arena->sb.stamp.changes);
	}
	arena->sb.stamp.settles += settles;
	return superblock_stamp(&arena->sb, arena->meta);
}

/* Writes the numbers of the stamp to the data device too, if the metadata lies apart from it. */
static int stamp_label(struct arena *arena)
{
	if (!arena->label_media)
		return 0;
	arena->label.stamp.changes = arena->sb.stamp.changes;
	arena->label.stamp.settles = arena->sb.stamp.settles;
	return superblock_stamp(&arena->label, arena->label_media);
}

/*
 * A scrubbed page is about to be noted as zero. If the data device is put back later, from before
 * the scrub, the page is not zero on it. To find that out after a power cut, the metadata must know
 * that the data device has this stamp, before the bit is set. Where a fence is an msync() that
 * would cost too much for each page, and stamp_upkeep() does it from time to time.
 */
int stamp_scrub(struct arena *arena)
{
	bool is_cheap = arena->label_media && media_granularity(arena->meta) != MEDIA_PAGE &&
			media_granularity(arena->label_media) != MEDIA_PAGE;
	int r = stamp_begin(arena, is_cheap);

	if (r < 0 || !is_cheap)
		return r;
	/* the data device must not have a settle that the metadata lacks */
	r = media_fence(arena->meta);
	if (r == 0)
		r = stamp_label(arena);
	if (r == 0)
		r = media_fence(arena->label_media);
	if (r < 0)
		return r;
	arena->sb.seen = arena->label.stamp.settles;
	r = superblock_stamp(&arena->sb, arena->meta);
	return r < 0 ? r : media_fence(arena->meta);
}

int stamp_end(struct arena *arena)
{
	int r = stamp_label(arena);

	if (r < 0)
		return r;
	plane_set_stamp(arena->plane, arena->sb.stamp.changes);
	ledger_end(arena->ledger);
	arena->stamped = ledger_changes(arena->ledger);
	arena->is_stamping = false;
	return 0;
}

int stamp_close(struct arena *arena)
{
	int r = arena->label_media ? superblock_stamp(&arena->label, arena->label_media) : 0;

	return r == 0 && arena->label_media ? media_fence(arena->label_media) : r;
}

/*
 * The metadata knows up to which settle the stamps on the data device are durable (seen). A data
 * device that is put back after a power cut, from before that settle, is found out by this. Here
 * the stamps are made durable; the next settle writes the new value of `seen`.
 */
void stamp_upkeep(struct arena *arena)
{
	if (arena->label_media && arena->sb.seen < arena->label.stamp.settles &&
	    media_fence(arena->label_media) == 0)
		arena->sb.seen = arena->label.stamp.settles;
}
