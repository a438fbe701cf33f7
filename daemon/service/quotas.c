/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quotas: writes the limits of the configuration into the daemon's quota, and each user's share
 * into the arenas. A limit is a number, for all arenas together. A share is a part of one arena,
 * and each arena computes the number from its size.
 */
#include <config.h>

#include "daemon/service/quotas.h"

#include <stdbool.h>
#include <unistd.h>

#include "daemon/service/service.h"

/* root and the daemon's own user have no share: what they ask for is the operator's business. */
static bool has_no_share(uint32_t uid)
{
	return uid == 0 || uid == geteuid();
}

/*
 * Turns a configured value into a limit (0: none). A share of sessions is half of max-sessions;
 * shares of everything else are set in each arena, and are no limit here.
 */
static uint64_t limit_of(const struct service *service, uint32_t uid, enum quota_kind kind,
			 uint64_t value)
{
	uint32_t max = service->config.daemon.max_sessions;

	if (value != CONFIG_SHARE)
		return value;
	return kind != QUOTA_SESSIONS || has_no_share(uid) ? 0 : max > 1 ? max / 2 : 1;
}

static int set_limits(struct service *service, uint32_t uid, const struct config_quota *from)
{
	const uint64_t values[QUOTA_KINDS] = {
		[QUOTA_BYTES] = from->bytes,
		[QUOTA_ALLOCATIONS] = from->allocations,
		[QUOTA_SESSIONS] = from->sessions,
		[QUOTA_LEASED_BYTES] = from->leased_bytes,
	};
	int r = 0;

	for (int kind = 0; r == 0 && kind < QUOTA_KINDS; kind++)
		r = quota_set_limit(service->quota, uid, kind,
				    limit_of(service, uid, kind, values[kind]));
	return r;
}

static int set_shares(struct arena *arena, uint32_t uid, const struct config_quota *from)
{
	bool is_limited = !has_no_share(uid);
	int r = arena_set_share(arena, uid, QUOTA_ALLOCATIONS,
				is_limited && from->allocations == CONFIG_SHARE);

	return r < 0 ? r
		     : arena_set_share(arena, uid, QUOTA_LEASED_BYTES,
				       is_limited && from->leased_bytes == CONFIG_SHARE);
}

static uint32_t uid_of(const struct config_quota *from)
{
	return from->is_default ? UINT32_MAX : from->uid;
}

/*
 * Sets the shares of all users in @arena. The daemon's own user has no shares, even where the
 * default says so and it has no section of its own.
 */
int quotas_apply_to_arena(const struct service *service, struct arena *arena)
{
	int r = set_shares(arena, geteuid(), config_quota(&service->config, geteuid()));

	for (size_t i = 0; r == 0 && i < service->config.nr_quotas; i++)
		r = set_shares(arena, uid_of(&service->config.quotas[i]),
			       &service->config.quotas[i]);
	return r;
}

void quotas_set_eviction(struct arena *arena, const struct config_arena *from)
{
	arena_set_eviction(arena, from->evict == CONFIG_EVICT_ANY, from->evict_above);
}

int quotas_apply(struct service *service)
{
	int r;

	quota_clear_limits(service->quota);
	/* root has no limit unless a section of the configuration names it. */
	r = geteuid() == 0
		    ? 0
		    : set_limits(service, geteuid(), config_quota(&service->config, geteuid()));
	for (size_t i = 0; r == 0 && i < service->config.nr_quotas; i++)
		r = set_limits(service, uid_of(&service->config.quotas[i]),
			       &service->config.quotas[i]);
	for (uint32_t i = 0; r == 0 && i < service->nr_arenas; i++) {
		if (!service->arenas[i].arena)
			continue;
		quotas_set_eviction(service->arenas[i].arena, &service->config.arenas[i]);
		arena_set_device_grace(service->arenas[i].arena,
				       service->config.arenas[i].device_grace_s);
		arena_clear_shares(service->arenas[i].arena);
		r = quotas_apply_to_arena(service, service->arenas[i].arena);
	}
	return r;
}
