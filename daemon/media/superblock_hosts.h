/* SPDX-License-Identifier: BSD-3-Clause */
/* superblock_hosts: the part of a superblock's page that says which hosts have to do with it. */
#ifndef PMEMARENA_SUPERBLOCK_HOSTS_H
#define PMEMARENA_SUPERBLOCK_HOSTS_H

#include "daemon/media/superblock.h"

/* Bytes on media, little-endian. */
struct superblock_host_entry {
	uint8_t  id[16], boot[16];
	uint64_t id_limit;
	uint8_t  unused[12];
	char     name[SUPERBLOCK_HOST_NAME];
};

struct superblock_hosts_page {
	uint8_t unused[192];
	struct superblock_host_entry entries[SUPERBLOCK_HOSTS];
};

/* Writes the table of hosts into @page; all of it is zero if the superblock names no host. */
void superblock_encode_hosts(struct superblock_hosts_page *page, const struct superblock *sb);
void superblock_decode_hosts(struct superblock *sb, const struct superblock_hosts_page *page);

#endif
