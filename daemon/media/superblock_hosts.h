/* SPDX-License-Identifier: BSD-3-Clause */
/* superblock_hosts: the part of a superblock's page that says which hosts have to do with it. */
#ifndef PMEMARENA_SUPERBLOCK_HOSTS_H
#define PMEMARENA_SUPERBLOCK_HOSTS_H

#include "daemon/media/superblock.h"

#define SUPERBLOCK_HOSTS_OFF 384u

/* Bytes on media, little-endian. */
struct superblock_host_entry {
	uint8_t  id[16], boot[16];
	uint64_t id_limit;
	uint32_t is_identity;
	uint8_t  unused[8];
	char     name[SUPERBLOCK_HOST_NAME];
};

struct superblock_owner_line {
	uint8_t  id[16], boot[16];
	uint64_t term;
	uint8_t  unused[24];
};

struct superblock_hosts_page {
	struct superblock_owner_line owner;
	char     owner_name[SUPERBLOCK_HOST_NAME], successor[SUPERBLOCK_HOST_NAME];
	uint8_t  unused[40];
	struct superblock_host_entry entries[SUPERBLOCK_HOSTS];
	/* words whose influence on the checksum is taken away, each in a line of its own */
	uint64_t heartbeat, unused2[7];
	uint64_t claim, unused3[7];
};

/* Writes the table of hosts into @page; all of it is zero if the superblock names no host. */
void superblock_encode_hosts(struct superblock_hosts_page *page, const struct superblock *sb);
void superblock_decode_hosts(struct superblock *sb, const struct superblock_hosts_page *page);

#endif
