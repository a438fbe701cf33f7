/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node: takes memory from the NUMA node of the device where that is possible. Where it is not, it
 * logs one warning, and memory comes from any node.
 */
#include <config.h>

#include <errno.h>
#include <numaif.h>

#include "daemon/log.h"
#include "daemon/memmap/memmap_internal.h"

#define MASK_BITS (sizeof(((struct node_stay *)0)->mask) * 8)
#define LONG_BITS (sizeof(long) * 8)

static void warn(struct node *node)
{
	if (!node->warned)
		log_warning("memmap: descriptors cannot be placed on NUMA node %d of the device; "
			    "they are wherever there is room",
			    node->id);
	node->warned = true;
}

static void only(unsigned long *mask, int id)
{
	mask[(size_t)id / LONG_BITS] = 1ul << ((size_t)id % LONG_BITS);
}

void node_init(struct node *node, int id)
{
	unsigned long mask[MASK_BITS / LONG_BITS] = { 0 };
	int nr = 0;

	*node = (struct node){ .id = id };
	if (id < 0)
		return;
	if (get_mempolicy(NULL, mask, MASK_BITS, NULL, MPOL_F_MEMS_ALLOWED) < 0)
		/* A kernel without NUMA has one node only: there is no other place. */
		return;
	for (size_t i = 0; i < MASK_BITS / LONG_BITS; i++)
		nr += __builtin_popcountl(mask[i]);
	if (id >= (int)MASK_BITS || !(mask[(size_t)id / LONG_BITS] >> ((size_t)id % LONG_BITS) & 1))
		warn(node);
	else
		node->is_used = nr > 1;
}

void node_prefer(struct node *node, void *addr, size_t len)
{
	unsigned long mask[MASK_BITS / LONG_BITS] = { 0 };

	if (!node->is_used || len == 0)
		return;
	only(mask, node->id);
	if (mbind(addr, len, MPOL_PREFERRED, mask, MASK_BITS, 0) < 0)
		warn(node);
}

/*
 * Sets the policy of this thread, and keeps the old one for node_leave(): an operator may have
 * started the daemon with a policy.
 */
void node_enter(struct node_stay *stay, struct node *node)
{
	unsigned long mask[MASK_BITS / LONG_BITS] = { 0 };

	stay->is_changed = false;
	if (!node->is_used)
		return;
	only(mask, node->id);
	if (get_mempolicy(&stay->mode, stay->mask, MASK_BITS, NULL, 0) < 0 ||
	    set_mempolicy(MPOL_PREFERRED, mask, MASK_BITS) < 0)
		warn(node);
	else
		stay->is_changed = true;
}

void node_leave(const struct node_stay *stay)
{
	if (stay->is_changed)
		set_mempolicy(stay->mode, stay->mask, MASK_BITS);
}

bool node_is_off(int *found, const struct node *node, const void *addr)
{
	return node->is_used &&
	       get_mempolicy(found, NULL, 0, (void *)(uintptr_t)addr, MPOL_F_NODE | MPOL_F_ADDR) ==
		       0 &&
	       *found != node->id;
}
