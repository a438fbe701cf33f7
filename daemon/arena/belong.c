/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belong: do the parts of an arena belong together? Each part can be put back by itself: a backup
 * of one device, a snapshot of a file system, last week's metadata file, an old runtime directory.
 * What the other parts know would then be lost without a word: allocations, ids that were given
 * out, space that somebody has mapped, pages that are not zero any more. So each start compares the
 * stamps (stamp.h: a number that grows with each change) and refuses a part that is older than the
 * others:
 *
 *	after a kill, in one boot    every part has a number that the ledger names
 *	after an orderly end         both devices have the same number
 *	after a power cut            the data device has no settle that the metadata lacks,
 *	                             and each settle that the metadata knows it to have
 *
 * An older plane does no harm: it is written anew from the table. An older ledger does none when
 * nobody has anything mapped.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "daemon/arena/belong.h"
#include "daemon/log.h"

/* The device whose first bytes are the metadata: the data device, or one of its own. */
static const char *meta_path(const struct arena *arena)
{
	return device_info(arena->meta_device ? arena->meta_device : arena->device)->path;
}

static const char *data_path(const struct arena *arena)
{
	return device_info(arena->device)->path;
}

/*
 * Refuses the arena because one device is older than the other. By force it is opened, and marked
 * as distrusted: its zero map is not believed, and ids are passed over.
 */
static int refuse_devices(struct arena *arena, bool is_data_older, bool force, struct why *why)
{
	const char *older = is_data_older ? data_path(arena) : meta_path(arena),
		   *newer = is_data_older ? meta_path(arena) : data_path(arena);

	if (force) {
		arena->is_distrusted = true;
		log_warning("arena %s: %s is older than %s; they are taken as they are, by force",
			    arena->sb.name, older, newer);
		return 0;
	}
	return why_set(why, -ESTALE,
		       "%s is older than %s: one of them was put back without the other (%s stands "
		       "at change %llu, %s at %llu). Put back the one that is missing, both of the "
		       "same moment; `pmemarenactl repair --force %s` takes them as they are, and "
		       "what only the newer one knew is lost",
		       older, newer, data_path(arena),
		       (unsigned long long)arena->label.stamp.changes, meta_path(arena),
		       (unsigned long long)arena->sb.stamp.changes, data_path(arena));
}

/*
 * A start was cut between its writes to the two devices: the data device has the number of the new
 * run, made from the number that the metadata still has, and no change came after.
 */
static bool is_begun(const struct superblock *data, const struct superblock *meta)
{
	return data->stamp.changes == data->stamp.run && data->stamp.from == meta->stamp.changes;
}

/*
 * At least one of the two devices has no stamp: a version of pmemarena that made none used it last.
 * Only the metadata has one: the data device is older. Only the data device has one: it is newer,
 * unless nothing happened since.
 */
static int compare_uncounted(struct arena *arena, bool force, struct why *why)
{
	const struct superblock *data = &arena->label, *meta = &arena->sb;

	if (meta->stamp.run)
		return refuse_devices(arena, true, force, why);
	if (!data->stamp.run || meta->seq > data->peer_seq ||
	    data->stamp.changes == data->stamp.run)
		return 0;
	return refuse_devices(arena, false, force, why);
}

/*
 * Devices of different runs do not belong together, whatever else they say. In the same run, an
 * orderly end leaves the same number of changes on both; otherwise only the settles can be
 * compared.
 */
int belong_devices(struct arena *arena, bool force, struct why *why)
{
	const struct superblock *data = &arena->label, *meta = &arena->sb;

	if (!arena->meta_device)
		return 0;
	if (!data->stamp.run || !meta->stamp.run)
		return compare_uncounted(arena, force, why);
	if (is_begun(data, meta))
		return 0;
	if (data->stamp.run != meta->stamp.run)
		return refuse_devices(arena, data->stamp.changes < meta->stamp.changes, force, why);
	if (meta->clean && data->stamp.changes != meta->stamp.changes)
		return refuse_devices(arena, data->stamp.changes < meta->stamp.changes, force, why);
	if (data->stamp.settles > meta->stamp.settles)
		return refuse_devices(arena, false, force, why);
	if (data->stamp.settles < meta->seen)
		return refuse_devices(arena, true, force, why);
	return 0;
}

/* ---- ledger and plane ---- */

/* The ledger or the plane knows of changes that a device does not have: the device is older. */
static int refuse_older(struct arena *arena, const char *path, const char *dir, struct why *why)
{
	return why_set(
		why, -ESTALE,
		"%s is older than the arena's ledger and plane in %s: it was put back while they "
		"stayed. Put the newest state back; or, if the older one is meant, end all that "
		"uses the arena and remove its .ledger and .plane there (or reboot)",
		path, dir);
}

/*
 * The ledger is missing or too old, so it does not know all sessions. Their processes may have
 * space mapped that the table calls free. When the kernel says that nobody has any part of the
 * arena mapped, an empty ledger is right, and is made.
 */
static int refuse_ledger(struct arena *arena, const char *what, const char *dir, bool is_mapped,
			 struct why *why)
{
	if (!is_mapped) {
		log_warning("arena %s: its ledger in %s is %s; nobody has the arena mapped, so "
			    "that it is made anew",
			    arena->sb.name, dir, what);
		ledger_clear(arena->ledger);
		return 0;
	}
	return why_set(why, -ESTALE,
		       "the ledger of the arena in %s is %s: it does not know who has which space "
		       "of %s, and somebody has it mapped. Put the newest ledger back, or end all "
		       "that has it mapped (fuser -v %s shows it) and start again",
		       dir, what, data_path(arena), data_path(arena));
}

static bool is_within(uint64_t changes, uint64_t from, uint64_t to)
{
	return changes == from || changes == to;
}

/*
 * Both the ledger and the devices have stamps. While the daemon makes a change the ledger names two
 * numbers, before (@from) and after (@to); at rest they are the same.
 */
static int compare_ledger(struct arena *arena, uint64_t from, uint64_t to, const char *dir,
			  struct why *why)
{
	uint64_t meta = arena->sb.stamp.changes,
		 data = arena->label_media ? arena->label.stamp.changes : meta;

	if (meta > to)
		return refuse_ledger(arena, "older than its metadata", dir,
				     device_has_marks(arena->device) != 0, why);
	if (!is_within(meta, from, to))
		return refuse_older(arena, meta_path(arena), dir, why);
	if (is_within(data, from, to) || is_begun(&arena->label, &arena->sb) ||
	    arena->is_distrusted)
		return 0;
	return data > to ? refuse_devices(arena, false, false, why)
			 : refuse_older(arena, data_path(arena), dir, why);
}

int belong_books(struct arena *arena, const char *dir, struct why *why)
{
	uint64_t from, to, plane = plane_stamp(arena->plane);

	ledger_stamp(&from, &to, arena->ledger);
	/* a version that made no stamps had the arena last */
	if (!arena->sb.stamp.run)
		return 0;
	if (plane > arena->sb.stamp.changes)
		return refuse_older(arena, meta_path(arena), dir, why);
	if (to)
		return compare_ledger(arena, from, to, dir, why);
	if (ledger_used(arena->ledger) == 0 && device_has_marks(arena->device) != 0)
		return refuse_ledger(arena, "missing", dir, true, why);
	return 0;
}
