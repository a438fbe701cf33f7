/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_hosts: encodes and decodes the table of hosts. Without its feature bit the bytes are
 * neither written nor believed, so that the superblock of an arena that one host alone has used has
 * the bytes that older versions write.
 */
#include <config.h>

#include "daemon/media/superblock_hosts.h"

#include <endian.h>
#include <string.h>

_Static_assert(sizeof(struct superblock_host_entry) == 96, "FORMAT.md says where each byte is");
_Static_assert(sizeof(struct superblock_hosts_page) == 192 + 24 * 96, "as above");

static void encode_host(struct superblock_host_entry *entry, const struct superblock_host *host)
{
	if (!host->id_limit)
		return;
	memcpy(entry->id, host->id, 16);
	memcpy(entry->boot, host->boot, 16);
	entry->id_limit = htole64(host->id_limit);
	memcpy(entry->name, host->name, sizeof(entry->name));
}

/*
 * Decodes one entry. An attacker who wrote to the device may have left out the NUL at the end of
 * the name, so one is put there.
 */
static void decode_host(struct superblock_host *host, const struct superblock_host_entry *entry)
{
	memcpy(host->id, entry->id, 16);
	memcpy(host->boot, entry->boot, 16);
	host->id_limit = le64toh(entry->id_limit);
	memcpy(host->name, entry->name, sizeof(host->name));
	host->name[sizeof(host->name) - 1] = '\0';
}

void superblock_encode_hosts(struct superblock_hosts_page *page, const struct superblock *sb)
{
	if (!(sb->incompat & SUPERBLOCK_INCOMPAT_ABROAD))
		return;
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		encode_host(&page->entries[i], &sb->hosts[i]);
}

void superblock_decode_hosts(struct superblock *sb, const struct superblock_hosts_page *page)
{
	if (!(sb->incompat & SUPERBLOCK_INCOMPAT_ABROAD))
		return;
	for (unsigned i = 0; i < SUPERBLOCK_HOSTS; i++)
		decode_host(&sb->hosts[i], &page->entries[i]);
}
