/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abroad: an arena moves from host to host, and processes of the first one may still have it
 * mapped. A mark is a lock of one kernel, which the next host cannot see. So who closes the arena
 * while there are marks enters itself into the table of hosts in the superblock, and who opens it
 * elsewhere withholds what those processes may have mapped:
 *
 *	free space that is not zero in both copies of the zero map, which was given to somebody
 *	since it was zeroed (space.c, run.c)
 *	what is freed later and was given out before, which its id tells (abroad_release())
 *
 * Withheld space is not scrubbed either: that would be a store into somebody's mapping. An entry
 * goes when its host opens the arena, for then its own kernel answers, or when somebody vouches
 * that the host is fenced (takeover.c). Time does nothing.
 */
#include <config.h>

#include "daemon/arena/abroad.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"

_Static_assert(MOVES_HOSTS == SUPERBLOCK_HOSTS && MOVES_NAME == SUPERBLOCK_HOST_NAME &&
		       MOVES_NAME == HOST_NAME,
	       "names and numbers of hosts fit everywhere");

static bool is_zero(const uint8_t id[16])
{
	static const uint8_t none[16];

	return memcmp(id, none, 16) == 0;
}

/* ---- the table ---- */

/*
 * Is @entry of another host? One boot is one kernel, whatever its containers call themselves: it
 * knows all marks. One machine id, or identity, is one host, which may have been booted since; then
 * its processes are gone.
 */
bool abroad_is_other(const struct superblock_host *entry, const struct host *host)
{
	if (!entry->id_limit ||
	    memcmp(entry->id, entry->is_identity ? host->identity : host->id, 16) == 0)
		return false;
	return is_zero(entry->boot) || memcmp(entry->boot, host->boot, 16) != 0;
}

/*
 * Did another host leave the arena without closing it? A host without a machine id cannot be told
 * from others, so what it left open counts as this host's.
 */
bool abroad_is_left_open(const struct superblock *sb, const struct host *host)
{
	/* Of one that hosts share, owner.c knows more. */
	if (sb->incompat & SUPERBLOCK_INCOMPAT_HOSTS)
		return false;
	return !sb->clean && !is_zero(sb->machine_id) && memcmp(sb->machine_id, host->id, 16) != 0;
}

void abroad_set_feature(struct superblock *sb)
{
	sb->incompat &= ~SUPERBLOCK_INCOMPAT_ABROAD;
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		if (sb->hosts[i].id_limit)
			sb->incompat |= SUPERBLOCK_INCOMPAT_ABROAD;
}

static struct superblock_host *find_free(struct superblock *sb)
{
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		if (!sb->hosts[i].id_limit)
			return &sb->hosts[i];
	return NULL;
}

/*
 * Returns the entry that host @id has already, or else one that is not in use. NULL: the table is
 * full.
 */
static struct superblock_host *find_entry(struct superblock *sb, const uint8_t id[16])
{
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		if (sb->hosts[i].id_limit && memcmp(sb->hosts[i].id, id, 16) == 0)
			return &sb->hosts[i];
	return find_free(sb);
}

/* Where hosts share the arena, a host is known by its identity, which a clone does not have. */
static int enter(struct superblock *sb, const struct host *host)
{
	bool is_identity = sb->incompat & SUPERBLOCK_INCOMPAT_HOSTS && !is_zero(host->identity);
	const uint8_t *id = is_identity ? host->identity : host->id;
	struct superblock_host *entry = find_entry(sb, id);

	if (!entry)
		return -EUSERS;
	*entry = (struct superblock_host){ .id_limit = sb->id_limit, .is_identity = is_identity };
	memcpy(entry->id, id, 16);
	memcpy(entry->boot, host->boot, 16);
	memcpy(entry->name, host->name, sizeof(entry->name));
	abroad_set_feature(sb);
	return 0;
}

/* ---- a start ---- */

#define COMMAND_TEXT (2 * PATH_MAX + 64)

/*
 * Writes the command that the sentence tells the user to type. It names the metadata if they are
 * not where pmemarenactl looks by itself.
 */
static void command(char text[COMMAND_TEXT], const struct arena *arena)
{
	const char *path = device_info(arena->device)->path;
	const char *meta = arena->meta_device ? device_info(arena->meta_device)->path : "";
	size_t len = strlen(path);
	bool is_apart = meta[0] && (strncmp(meta, path, len) != 0 || strcmp(meta + len, ".meta"));

	snprintf(text, COMMAND_TEXT, "pmemarenactl take-over --fenced BY %s%s%s", path,
		 is_apart ? " --metadata " : "", is_apart ? meta : "");
}

static int refuse_left_open(const struct arena *arena, struct why *why)
{
	char text[COMMAND_TEXT];

	command(text, arena);
	return why_set(why, -EHOSTDOWN,
		       "it was not closed in order, and another host had it last: that host may "
		       "still be writing to it. When it is certainly down, `%s` takes the arena "
		       "over; BY says what made certain of it",
		       text);
}

static int refuse_full(const struct arena *arena, struct why *why)
{
	char text[COMMAND_TEXT];

	command(text, arena);
	return why_set(why, -EUSERS,
		       "%u other hosts may have it mapped, and more cannot be noted: open it once "
		       "on those that are there, or `%s` when they are certainly down",
		       SUPERBLOCK_HOSTS, text);
}

int abroad_arrive(struct arena *arena, bool force, struct why *why)
{
	struct superblock *sb = &arena->sb;
	struct host last = { .name = "" };

	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		if (!abroad_is_other(&sb->hosts[i], &arena->host))
			sb->hosts[i] = (struct superblock_host){ .id_limit = 0 };
	abroad_set_feature(sb);
	if (abroad_is_left_open(sb, &arena->host) && !force)
		return refuse_left_open(arena, why);
	memcpy(last.id, sb->machine_id, 16);
	if (abroad_is_left_open(sb, &arena->host) && enter(sb, &last) < 0)
		return refuse_full(arena, why);
	/*
	 * One entry must stay free for this host, which enters itself if processes have marks when
	 * it closes the arena.
	 */
	return find_free(sb) ? 0 : refuse_full(arena, why);
}

int abroad_enter_owner(struct arena *arena, struct why *why)
{
	const struct superblock_owner *owner = &arena->sb.owner;
	struct host last = { .name = "" };

	if (arena->sb.clean || is_zero(owner->id) ||
	    memcmp(owner->id, arena->host.identity, 16) == 0)
		return 0;
	memcpy(last.identity, owner->id, 16);
	memcpy(last.boot, owner->boot, 16);
	memcpy(last.name, owner->name, sizeof(last.name));
	return enter(&arena->sb, &last) < 0 ? refuse_full(arena, why) : 0;
}

void abroad_withhold(struct arena *arena)
{
	arena->abroad_limit = 0;
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		if (arena->sb.hosts[i].id_limit > arena->abroad_limit)
			arena->abroad_limit = arena->sb.hosts[i].id_limit;
	space_set_withholding(arena->space, arena->abroad_limit > 0);
}

/* ---- while it is open ---- */

int abroad_release(struct arena *arena, const struct alloc *alloc, struct extent extent)
{
	/*
	 * Space that a shrink cut off has a new id. The id of the allocation from which it was cut
	 * tells when it was handed out, and so whether the other host can have it mapped.
	 */
	uint64_t id = alloc->cut_from ? alloc->cut_from : alloc->id;

	if (id >= arena->abroad_limit)
		return space_release(arena->space, extent, alloc->is_run, alloc->uid);
	space_withhold(arena->space, extent, alloc->is_run);
	return 0;
}

void abroad_list(struct moves_hosts *out, const struct superblock_host *host)
{
	struct moves_host *to = &out->list[out->nr];

	if (!host->id_limit || out->nr == MOVES_HOSTS)
		return;
	memcpy(to->id, host->id, 16);
	memcpy(to->name, host->name, sizeof(to->name));
	to->is_identity = host->is_identity;
	out->nr++;
}

void arena_abroad(struct moves_hosts *out, const struct arena *arena)
{
	out->nr = 0;
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		abroad_list(out, &arena->sb.hosts[i]);
}

uint64_t arena_withheld(const struct arena *arena)
{
	struct space_stats stats;

	space_stats(arena->space, &stats);
	return stats.withheld;
}

/* ---- the end ---- */

int abroad_leave(struct arena *arena)
{
	/*
	 * An error does not prove that nobody has a mark, so it counts as one: too much is withheld
	 * rather than too little.
	 */
	int marks = device_has_marks(arena->device);

	if (marks == 0)
		return 0;
	log_info("arena %s: processes still have it mapped%s: until they end, another host that "
		 "opens it hands out only what was in nobody's hands",
		 arena->sb.name, marks < 0 ? ", for all that can be told" : "");
	return enter(&arena->sb, &arena->host);
}
