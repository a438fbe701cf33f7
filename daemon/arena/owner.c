/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * owner: hosts that share a device have no atomic operations between them. So the owner is in the
 * superblock, with a term that grows with each change of owner and a heartbeat that moves while it
 * lives, and who wants to be the owner does this:
 *
 *	look        nobody is the owner, or it closed the arena, or it is this host
 *	watch       only after an end without order: the heartbeat stands for three intervals
 *	claim       store a random word | wait an interval | look again: nothing has moved and the
 *	            word is still there, else another start was faster
 *	become      write owner and term + 1 | wait an interval | look again: it is still there
 *
 * Of hosts that claim at once the last one to store keeps its word; all others see another one. A
 * host that was stopped in between for longer than the interval sees another term when it goes on.
 * Should it have been stopped just between its last look and its store, the other owner sees that
 * store before its next settle, or within a second.
 */
#include <config.h>

#include "daemon/arena/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#include "daemon/arena/abroad.h"
#include "daemon/arena/state.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#define WATCH_INTERVALS 3
/* An interval has several heartbeats, so that one that comes late is no sign of death. */
#define BEATS 4

static const uint8_t nobody[16];

static bool is_same(const uint8_t a[16], const uint8_t b[16])
{
	return memcmp(a, b, 16) == 0;
}

static void wait_interval(uint32_t interval_ms)
{
	struct timespec left = { .tv_sec = interval_ms / 1000,
				 .tv_nsec = (long)(interval_ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static uint32_t interval_of(const struct arena *arena)
{
	return arena->interval_ms;
}

/* ---- looking ---- */

/* Reads what is on the device now, past the cache. */
static int look(struct superblock *now, const struct superblock *sb, struct media *media,
		struct why *why)
{
	int r;

	media_invalidate(media, 0, SUPERBLOCK_SIZE);
	media_invalidate(media, sb->poison_unit, SUPERBLOCK_SIZE);
	r = superblock_read(now, NULL, media, sb->poison_unit, true, why);
	/* The page is being written just now: that is somebody who lives. */
	return r == -EUCLEAN || r == -ENODATA ? -EAGAIN : r;
}

/* Has anybody stored anything since @before, but for claims? */
static bool has_moved(const struct superblock *before, const struct superblock *now)
{
	return before->seq != now->seq || before->stamp.changes != now->stamp.changes ||
	       before->heartbeat != now->heartbeat || before->owner.term != now->owner.term ||
	       !is_same(before->owner.id, now->owner.id);
}

static const char *name_of(const struct superblock *sb)
{
	return sb->owner.name[0] ? sb->owner.name : "unknown";
}

static int refuse_alive(const struct superblock *sb, struct why *why)
{
	return why_set(why, -EHOSTDOWN,
		       "host %s has it and is alive (term %llu): its heartbeat moves. To move it "
		       "in order, `pmemarenactl hand-over ARENA HOST` there",
		       name_of(sb), (unsigned long long)sb->owner.term);
}

int owner_watch(struct superblock *sb, struct media *media, uint32_t interval_ms, struct why *why)
{
	struct superblock now;
	int r = 0;

	for (int i = 0; i < WATCH_INTERVALS * BEATS && r == 0; i++) {
		wait_interval(interval_ms / BEATS);
		r = look(&now, sb, media, why);
		if (r == -EAGAIN || (r == 0 && has_moved(sb, &now)))
			r = refuse_alive(r == 0 ? &now : sb, why);
	}
	return r;
}

/* ---- may this host be the owner? ---- */

/* Is @name one of the words of @list? */
static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; len && (at = strstr(at, name)); at += len) {
		bool begins = at == list || strchr(" ,", at[-1]);

		if (begins && (at[len] == '\0' || strchr(" ,", at[len])))
			return true;
	}
	return false;
}

/* A tool has no configuration (NULL): root ran it here. */
static int check_list(const struct arena *arena, const char *hosts, struct why *why)
{
	if (!hosts || is_listed(hosts, arena->host.name))
		return 0;
	if (!hosts[0])
		return why_set(why, -EPERM,
			       "hosts share it, and the configuration does not say which: add "
			       "hosts = %s and the others to its section",
			       arena->host.name);
	return why_set(why, -EPERM,
		       "this host is %s, and hosts = %s does not name it: add it, or serve the "
		       "arena elsewhere",
		       arena->host.name, hosts);
}

static int refuse_successor(const struct arena *arena, struct why *why)
{
	return why_set(why, -EHOSTDOWN,
		       "host %s handed it over to host %s: start it there. If that host is "
		       "certainly down, `pmemarenactl take-over --fenced BY %s`",
		       name_of(&arena->sb), arena->sb.owner.successor,
		       device_info(arena->device)->path);
}

static int refuse_open(const struct arena *arena, struct why *why)
{
	return why_set(why, -EHOSTDOWN,
		       "host %s has it (term %llu) and did not close it: that host may still be "
		       "writing to it. When it is certainly down, `pmemarenactl take-over --fenced "
		       "BY %s` takes it over; BY says what made certain of it",
		       name_of(&arena->sb), (unsigned long long)arena->sb.owner.term,
		       device_info(arena->device)->path);
}

/* 0: it may be claimed; 1: it may be when its heartbeat stands. */
static int may_claim(const struct arena *arena, bool force, struct why *why)
{
	const struct superblock_owner *owner = &arena->sb.owner;

	if (owner->successor[0] && strcmp(owner->successor, arena->host.name) != 0 && !force)
		return refuse_successor(arena, why);
	if (is_same(owner->id, nobody) || arena->sb.clean)
		return 0;
	if (is_same(owner->id, arena->host.identity) || force)
		return 1;
	return refuse_open(arena, why);
}

/* ---- claim and proof ---- */

static int refuse_late(const struct superblock *now, struct why *why)
{
	return why_set(why, -EBUSY,
		       "another host (%s) took it at the same moment; it is served there, or start "
		       "again",
		       name_of(now));
}

static uint32_t random_word(void)
{
	uint32_t word;
	uint8_t uuid[16];

	uuid_generate(uuid);
	memcpy(&word, uuid, sizeof(word));
	return word | 1;
}

/*
 * From here on hosts share the arena, which nobody owns yet: without the bit a claim is not seen.
 */
static int share(struct arena *arena, struct why *why)
{
	struct superblock now;
	int r = look(&now, &arena->sb, arena->meta, why);

	if (r == 0 && has_moved(&arena->sb, &now))
		return refuse_late(&now, why);
	arena->sb.incompat |= SUPERBLOCK_INCOMPAT_HOSTS;
	return r < 0 ? r : superblock_write(&arena->sb, arena->meta);
}

/* Stores a claim, waits, and looks whether it is still there and nothing else moved. */
static int claim(struct arena *arena, uint32_t word, struct why *why)
{
	struct superblock now;
	int r = look(&now, &arena->sb, arena->meta, why);

	if (r == 0 && has_moved(&arena->sb, &now))
		return refuse_late(&now, why);
	if (r == 0)
		r = superblock_claim(&arena->sb, arena->meta, word);
	if (r < 0)
		return r;
	wait_interval(interval_of(arena));
	r = look(&now, &arena->sb, arena->meta, why);
	if (r == -EAGAIN || (r == 0 && (has_moved(&arena->sb, &now) || now.claim != word)))
		return refuse_late(r == 0 ? &now : &arena->sb, why);
	return r;
}

static void set_owner(struct arena *arena)
{
	struct superblock_owner *owner = &arena->sb.owner;

	memcpy(owner->id, arena->host.identity, 16);
	memcpy(owner->boot, arena->host.boot, 16);
	memcpy(owner->name, arena->host.name, sizeof(owner->name));
	memset(owner->successor, 0, sizeof(owner->successor));
	owner->term++;
}

static int become(struct arena *arena, struct why *why)
{
	struct superblock now;
	int r;

	set_owner(arena);
	r = superblock_write(&arena->sb, arena->meta);
	if (r < 0)
		return r;
	wait_interval(interval_of(arena));
	r = look(&now, &arena->sb, arena->meta, why);
	if (r == -EAGAIN || (r == 0 && (has_moved(&arena->sb, &now))))
		return refuse_late(r == 0 ? &now : &arena->sb, why);
	arena->sb.claim = 0;
	return r;
}

/* The daemon of before died on this very kernel, whose lock keeps a second one out. */
static int resume(struct arena *arena, struct why *why)
{
	struct superblock now;
	int r = look(&now, &arena->sb, arena->meta, why);

	if (r == 0 && has_moved(&arena->sb, &now))
		return refuse_late(&now, why);
	return r < 0 ? r : superblock_beat(&arena->sb, arena->meta);
}

static bool is_our_boot(const struct arena *arena)
{
	const struct superblock_owner *owner = &arena->sb.owner;

	return is_same(owner->id, arena->host.identity) && !is_same(owner->boot, nobody) &&
	       is_same(owner->boot, arena->host.boot) && !owner->successor[0];
}

int owner_arrive(struct arena *arena, const struct arena_params *params, struct why *why)
{
	bool is_new = !owner_is_shared(arena);
	int r;

	if (is_new && (!params->hosts || !params->hosts[0]))
		return 0;
	r = check_list(arena, params->hosts, why);
	if (r < 0)
		return r;
	if (!is_new && is_our_boot(arena))
		return resume(arena, why);
	r = may_claim(arena, params->force || is_new, why);
	if (r == 1)
		r = owner_watch(&arena->sb, arena->meta, interval_of(arena), why);
	if (r == 0)
		r = abroad_enter_owner(arena, why);
	if (r < 0)
		return r;
	if (is_new)
		r = share(arena, why);
	if (r == 0)
		r = claim(arena, random_word(), why);
	return r < 0 ? r : become(arena, why);
}

/* ---- while it is open ---- */

bool owner_is_here(struct arena *arena)
{
	struct superblock now;
	char what[128];

	if (!owner_is_shared(arena) || arena->state == ARENA_OFFLINE ||
	    superblock_check_owner(&arena->sb, arena->meta) == 0)
		return true;
	snprintf(what, sizeof(what), "another host owns it now");
	if (look(&now, &arena->sb, arena->meta, NULL) == 0)
		snprintf(what, sizeof(what), "host %s took it over (term %llu)", name_of(&now),
			 (unsigned long long)now.owner.term);
	state_go_offline(arena, -EREMOTE, what);
	scrubber_cancel(arena->scrubber, arena->space);
	return false;
}

void owner_tick(struct arena *arena)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	int r;

	if (!owner_is_shared(arena) ||
	    now - arena->beaten_ns < UINT64_C(1000000) * interval_of(arena) / BEATS)
		return;
	arena->beaten_ns = now;
	r = superblock_beat(&arena->sb, arena->meta);
	if (r < 0)
		state_go_offline(arena, r, "its superblocks cannot be written");
}
