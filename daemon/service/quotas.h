/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quotas: hands what the configuration lets each user have to the quota and to the arenas. It is
 * called at a start and at each reload.
 */
#ifndef PMEMARENA_QUOTAS_H
#define PMEMARENA_QUOTAS_H

struct arena;
struct config_arena;
struct service;

/*
 * Replaces all limits, and the shares in all open arenas, by those of service.config. -ENOMEM: some
 * of the new ones are set, and what is not set has no limit.
 */
int quotas_apply(struct service *service);
/* Sets the shares in an arena that was just opened and has none yet. */
int quotas_apply_to_arena(const struct service *service, struct arena *arena);
/* Sets whose allocations are freed for whom in @arena, when space is short. */
void quotas_set_eviction(struct arena *arena, const struct config_arena *from);

#endif
