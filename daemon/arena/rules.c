/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rules: the checks with which every change begins. Each answers from what is in memory and changes
 * nothing. Each refusal says what was found and what would be possible.
 */
#include <config.h>

#include "daemon/arena/rules.h"

#include <errno.h>
#include <string.h>

#include "lib/wire/escape.h"
#include "lib/wire/size.h"

int rules_serving(const struct arena *arena, bool new_space, struct why *why)
{
	if (arena->state == ARENA_OFFLINE)
		return why_set(why, -EIO, "arena %s is offline: %s", arena->identity.name,
			       arena->reason);
	if (arena->state == ARENA_DAMAGED && new_space)
		return why_set(why, -EUCLEAN,
			       "arena %s takes no new allocations until `pmemarenactl repair`: %s",
			       arena->identity.name, arena->reason);
	return 0;
}

bool rules_is_owner(const struct caller *caller, const struct alloc *alloc)
{
	if (alloc->state == ALLOC_RESERVED)
		return caller->holder && caller->holder->session == alloc->session;
	return caller->uid == 0 || caller->uid == alloc->uid;
}

int rules_still(const struct alloc *alloc, struct why *why)
{
	if (!alloc->is_moving)
		return 0;
	return why_set(why, -EBUSY, "it is being moved to another arena: ask for it there, by its "
				    "name, or ask again");
}

int rules_owner(const struct caller *caller, const struct alloc *alloc, const char *what,
		struct why *why)
{
	if (rules_is_owner(caller, alloc))
		return 0;
	return why_set(why, -EACCES, "only its owner (uid %u) or root can %s it; you are uid %u%s",
		       alloc->uid, what, caller->uid,
		       alloc->state == ALLOC_RESERVED
			       ? ", in another session than the one that reserved it"
			       : "");
}

int rules_not_above(const struct arena *arena, uint32_t uid, struct why *why)
{
	static const enum quota_kind kinds[] = { QUOTA_BYTES, QUOTA_ALLOCATIONS,
						 QUOTA_LEASED_BYTES };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(kinds) / sizeof(*kinds); i++)
		r = quota_check(arena->quota, uid, kinds[i], 0, why);
	return r;
}

int rules_name(const struct arena *arena, const char *name, uint8_t name_len, struct why *why)
{
	char text[ESCAPE_SIZE(ALLOC_MAX_NAME)];
	const struct alloc *other;

	if (!name_len)
		return 0;
	if (memchr(name, '\0', name_len))
		return why_set(why, -EINVAL, "a name may hold any bytes but 0");
	other = arena_find_name(arena, name, name_len);
	if (!other)
		return 0;
	escape_name(text, sizeof(text), name, name_len, escape_shows_text);
	if (other->state == ALLOC_RESERVED)
		return why_set(why, -EBUSY,
			       "an allocation of uid %u (reserved) has taken the name \"%s\": "
			       "somebody is writing it and has not published it yet",
			       other->uid, text);
	return why_set(why, -EEXIST,
		       "an allocation of uid %u (published) has taken the name \"%s\"", other->uid,
		       text);
}

int rules_attributes(uint16_t len, struct why *why)
{
	if (len <= ALLOC_MAX_ATTRIBUTES)
		return 0;
	return why_set(why, -EINVAL, "%u bytes of attributes are too many: at most %u are possible",
		       len, ALLOC_MAX_ATTRIBUTES);
}

/* Below a compound page the length is rounded up to base pages, from there on to compound pages. */
int rules_round_len(uint64_t *nr_pfns, const struct arena *arena, uint64_t len, struct why *why)
{
	uint64_t per_page = arena_page_pfns(arena), nr;
	char asked[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];

	if (len == 0)
		return why_set(why, -EINVAL, "the length is 0; the least is 4K");
	if (len > arena->identity.size)
		return why_set(why, -EINVAL, "%s is more than arena %s has in all (%s)",
			       size_text(asked, len), arena->identity.name,
			       size_text(size, arena->identity.size));
	nr = (len + (UINT64_C(1) << DESC_SHIFT) - 1) >> DESC_SHIFT;
	*nr_pfns = nr < per_page ? nr : (nr + per_page - 1) / per_page * per_page;
	return 0;
}

int rules_uncarved(const struct alloc *alloc, const char *what, struct why *why)
{
	if (alloc->nr_extents > 0 && (!alloc->is_run || alloc->nr_extents == 1))
		return 0;
	return why_set(
		why, -EINVAL,
		"parts of it were carved off and what is left is not in one piece: it cannot be %s",
		what);
}

/* Does the mode of @alloc allow @want to the caller? */
static bool mode_allows(const struct caller *caller, const struct alloc *alloc, uint32_t want)
{
	/* The caller for an administrator has one group and no list. */
	if (caller->nr_groups == 0)
		return alloc_allows(alloc, caller->uid, &caller->gid, 1, want);
	return alloc_allows(alloc, caller->uid, caller->groups, caller->nr_groups, want);
}

int rules_may_open(const struct caller *caller, const struct alloc *alloc, bool read_only,
		   struct why *why)
{
	if (alloc->state == ALLOC_RESERVED)
		return rules_is_owner(caller, alloc)
			       ? 0
			       : why_set(why, -ENOENT, "it is reserved and not published yet");
	if (mode_allows(caller, alloc, read_only ? 4 : 6))
		return 0;
	return why_set(why, -EACCES,
		       "it belongs to uid %u, gid %u with mode %04o; uid %u may not open it for %s",
		       alloc->uid, alloc->gid, alloc->mode, caller->uid,
		       read_only ? "reading" : "writing");
}
