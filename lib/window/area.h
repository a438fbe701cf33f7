/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * area: the data of one arena as one mapping, at an address that lets the kernel use huge pages.
 */
#ifndef PMEMARENA_AREA_H
#define PMEMARENA_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/why.h"
#include "lib/wire/wire.h"

struct area {
	char    *held;                  /* owned, address space of `nr_held` bytes */
	size_t   nr_held;
	/* inside of `held`: where `size` bytes of the device are mapped */
	char    *base;
	size_t   size;
	char    *address;               /* inside of `base`: the first byte that clients can have */
	uint64_t off;                   /* where @address is on the device */
	uint64_t len;
	/* bytes that the device maps at a time: no page here is smaller */
	uint64_t page;
};

/*
 * Maps what @arena describes through @fd, which stays the caller's; *area is all zeroes before.
 * -EPROTO: it does not lie on the device; -ENOMEM: there is no address space; -EAGAIN: the process
 * locks all that it maps, and has reached its limit.
 */
int area_init(struct area *area, int fd, const struct wire_arena *arena, bool is_writable,
	      struct why *why);
void area_fini(struct area *area);
/* Makes all pages present now. 0 or a negative errno. */
int area_populate(struct area *area, bool is_writable);

/*
 * Returns the address of the device's bytes from @off on. NULL: some of the @len bytes are outside
 * of the area.
 */
static inline void *area_at(const struct area *area, uint64_t off, uint64_t len)
{
	uint64_t at = off - area->off;

	return off >= area->off && len > 0 && at < area->len && len <= area->len - at
		       ? area->address + at
		       : NULL;
}

#endif
