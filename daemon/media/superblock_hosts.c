/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_hosts: the owner, its heartbeat, claims, and the table of hosts. Without the feature
 * bits the bytes are neither written nor believed, so that an arena of one host is what it always
 * was. Heartbeat and claim are stored alone, by hosts that may not write anything else: a word has
 * 32 bits of number and 32 bits that take the number's influence on the page's checksum away.
 */
#include <config.h>

#include "daemon/media/superblock_hosts.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/media/crc.h"

#define HEARTBEAT_OFF (SUPERBLOCK_HOSTS_OFF + offsetof(struct superblock_hosts_page, heartbeat))
#define CLAIM_OFF     (SUPERBLOCK_HOSTS_OFF + offsetof(struct superblock_hosts_page, claim))

_Static_assert(sizeof(struct superblock_host_entry) == 96, "FORMAT.md says where each byte is");
_Static_assert(sizeof(struct superblock_owner_line) == 64, "one line");
_Static_assert(offsetof(struct superblock_hosts_page, entries) == 192, "as above");
_Static_assert(HEARTBEAT_OFF == 2880 && CLAIM_OFF == 2944, "as above");

/* ---- words ---- */

static uint64_t make_word(uint32_t number)
{
	uint32_t le = htole32(number), zero = 0;
	uint32_t undo = crc32c(0, &le, sizeof(le)) ^ crc32c(0, &zero, sizeof(zero));

	return htole64((uint64_t)undo << 32 | number);
}

/* 0: it is no word that is whole. */
static uint32_t read_word(uint64_t word)
{
	uint32_t number = (uint32_t)le64toh(word);

	return make_word(number) == word ? number : 0;
}

static int store_word(struct media *media, uint64_t off, uint32_t number)
{
	int r = media_store64(media, off, make_word(number));

	return r < 0 ? r : media_flush(media, off, sizeof(uint64_t));
}

/* Into both copies: one that cannot be written is no obstacle. */
static int store_both(const struct superblock *sb, struct media *media, uint64_t off,
		      uint32_t number)
{
	int first = store_word(media, off, number), second;

	if (first < 0 && first != -EIO)
		return first;
	second = store_word(media, sb->poison_unit + off, number);
	if (second < 0 && (first < 0 || second != -EIO))
		return second;
	return media_fence(media);
}

int superblock_beat(struct superblock *sb, struct media *media)
{
	int r = store_both(sb, media, HEARTBEAT_OFF, sb->heartbeat + 1);

	sb->heartbeat += r == 0;
	return r;
}

int superblock_claim(struct superblock *sb, struct media *media, uint32_t claim)
{
	int r = store_both(sb, media, CLAIM_OFF, claim);

	if (r == 0)
		sb->claim = claim;
	return r;
}

/* ---- the owner ---- */

static void encode_line(struct superblock_owner_line *line, const struct superblock_owner *owner)
{
	memset(line, 0, sizeof(*line));
	memcpy(line->id, owner->id, 16);
	memcpy(line->boot, owner->boot, 16);
	line->term = htole64(owner->term);
}

int superblock_check_owner(const struct superblock *sb, struct media *media)
{
	struct superblock_owner_line ours, found;
	uint64_t off = SUPERBLOCK_HOSTS_OFF;
	int r;

	encode_line(&ours, &sb->owner);
	media_invalidate(media, off, sizeof(found));
	r = media_read(media, &found, off, sizeof(found));
	if (r == -EIO) {
		off += sb->poison_unit;
		media_invalidate(media, off, sizeof(found));
		r = media_read(media, &found, off, sizeof(found));
	}
	if (r < 0)
		return r;
	return memcmp(&ours, &found, sizeof(ours)) == 0 ? 0 : -ESTALE;
}

/* A name may come from an attacker who wrote to the device: it ends here in any case. */
static void read_name(char name[SUPERBLOCK_HOST_NAME], const char *from)
{
	memcpy(name, from, SUPERBLOCK_HOST_NAME);
	name[SUPERBLOCK_HOST_NAME - 1] = '\0';
}

static void encode_owner(struct superblock_hosts_page *page, const struct superblock *sb)
{
	encode_line(&page->owner, &sb->owner);
	memcpy(page->owner_name, sb->owner.name, sizeof(page->owner_name));
	memcpy(page->successor, sb->owner.successor, sizeof(page->successor));
	page->heartbeat = make_word(sb->heartbeat);
	page->claim = make_word(sb->claim);
}

static void decode_owner(struct superblock *sb, const struct superblock_hosts_page *page)
{
	memcpy(sb->owner.id, page->owner.id, 16);
	memcpy(sb->owner.boot, page->owner.boot, 16);
	sb->owner.term = le64toh(page->owner.term);
	read_name(sb->owner.name, page->owner_name);
	read_name(sb->owner.successor, page->successor);
	sb->heartbeat = read_word(page->heartbeat);
	sb->claim = read_word(page->claim);
}

/* ---- the table ---- */

static void encode_host(struct superblock_host_entry *entry, const struct superblock_host *host)
{
	if (!host->id_limit)
		return;
	memcpy(entry->id, host->id, 16);
	memcpy(entry->boot, host->boot, 16);
	entry->id_limit = htole64(host->id_limit);
	entry->is_identity = htole32(host->is_identity);
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
	host->is_identity = le32toh(entry->is_identity) != 0;
	read_name(host->name, entry->name);
}

void superblock_encode_hosts(struct superblock_hosts_page *page, const struct superblock *sb)
{
	if (sb->incompat & SUPERBLOCK_INCOMPAT_HOSTS)
		encode_owner(page, sb);
	for (unsigned i = 0; sb->incompat & SUPERBLOCK_INCOMPAT_ABROAD && i < SUPERBLOCK_HOSTS; i++)
		encode_host(&page->entries[i], &sb->hosts[i]);
}

void superblock_decode_hosts(struct superblock *sb, const struct superblock_hosts_page *page)
{
	if (sb->incompat & SUPERBLOCK_INCOMPAT_HOSTS)
		decode_owner(sb, page);
	for (unsigned i = 0; sb->incompat & SUPERBLOCK_INCOMPAT_ABROAD && i < SUPERBLOCK_HOSTS; i++)
		decode_host(&sb->hosts[i], &page->entries[i]);
}
