/* SPDX-License-Identifier: BSD-3-Clause */
/* usage: asks how full an arena is, and how much of it this user has. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "lib/error.h"
#include "lib/session/batch.h"
#include "lib/session/client.h"

struct asked {
	struct call call;
	struct wire_usage usage;
};

static int absorb_used(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct asked *asked = (struct asked *)call;

	(void)fds;
	if (nr_fds > 0 || wire_next_raw(reader, &asked->usage, sizeof(asked->usage)) != 1 ||
	    asked->usage.result > 0)
		return -EPROTO;
	return 0;
}

static struct pma_charge charge_of(const struct wire_usage *usage, enum wire_charge which)
{
	return (struct pma_charge){ .used = usage->used[which], .limit = usage->limit[which] };
}

int pma_usage_get(struct pma_usage *out, struct pma *pma, uint32_t arena)
{
	struct asked asked = { .call = { .opcode = WIRE_USAGE,
					 .absorb = absorb_used,
					 .is_idempotent = true } };
	const struct wire_usage *usage = &asked.usage;
	struct wire_request request = { .arena = arena };
	uint8_t buf[BATCH_ONE] __attribute__((aligned(8)));
	struct wire_writer writer;
	char name[SITE_NAME_MAX];
	int r = client_check(pma);
	bool knows;

	if (r < 0)
		return r;
	client_lock(pma);
	knows = pma->link.usages;
	client_unlock(pma);
	if (!knows)
		return error_set(-EOPNOTSUPP, "the daemon is too old: it cannot tell the usage of "
					      "an arena; upgrade and restart it");
	if (arena >= pma->sites.nr)
		return site_refuse(arena);
	wire_begin(&writer, buf, WIRE_USAGE, 0);
	wire_add_request(&writer, &request, NULL, 0);
	asked.call.message = buf;
	asked.call.length = (uint32_t)wire_end(&writer);
	r = client_call(pma, &asked.call);
	if (r < 0)
		return r;
	if (usage->result == -ENOENT)
		return site_refuse(arena);
	if (usage->result < 0)
		return error_set(usage->result, "arena %s: its usage cannot be told: %s",
				 site_name(name, pma, arena), strerror(-usage->result));
	*out = (struct pma_usage){
		.size = usage->size,
		.free = usage->free,
		.largest_free = usage->largest_free,
		.leased = usage->leased,
		.reserved = usage->reserved,
		.quarantined = usage->quarantined,
		.bytes = charge_of(usage, WIRE_CHARGE_BYTES),
		.allocations = charge_of(usage, WIRE_CHARGE_ALLOCATIONS),
		.leased_bytes = charge_of(usage, WIRE_CHARGE_LEASED),
	};
	return 0;
}
