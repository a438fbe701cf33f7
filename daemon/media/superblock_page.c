/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock_page: the bytes of one copy: encodes a superblock, decodes a page, and refuses one
 * whose numbers make no sense. It works in memory only; superblock.c knows where the pages are.
 */
#include <config.h>

#include "daemon/media/superblock_page.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "daemon/media/crc.h"
#include "daemon/media/superblock_hosts.h"

struct page {
	uint64_t magic;
	uint32_t crc;                           /* of everything behind it */
	uint32_t version;
	uint64_t incompat, ro_compat, compat;
	uint8_t  uuid[16];
	char     name[64];
	uint64_t seq;
	uint32_t role, order;
	uint64_t data_device_size, meta_device_size;
	uint64_t data_off, nr_pages;
	uint64_t nr_slots;
	uint32_t slots_per_chunk, nr_chunks;
	uint64_t table_off[2], zero_off[2];
	uint64_t memmap_off, memmap_len;
	uint64_t poison_unit;
	uint64_t formatted_ns;
	uint64_t id_limit;
	uint8_t  machine_id[16];
	uint32_t clean, unused;
	int64_t  unsafe_shutdowns;
	struct stamp stamp;                     /* as of this rewrite */
	/*
	 * Three words: settles, changes and `seen`, each counted since this rewrite; see
	 * make_word().
	 */
	uint64_t words[SUPERBLOCK_NR_WORDS];
	uint64_t seen;
	uint64_t stamp_seq;                     /* the seq with which the stamp was written */
	uint64_t peer_seq;
	uint8_t  next_uuid[16];
	struct superblock_hosts_page hosts;
	uint8_t  zero[4096 - 384 - sizeof(struct superblock_hosts_page)];
};
_Static_assert(sizeof(struct page) == SUPERBLOCK_SIZE, "FORMAT.md says where each byte is");
_Static_assert(offsetof(struct page, hosts) == 384, "FORMAT.md says where each byte is");
_Static_assert(offsetof(struct page, words) % 64 == 0, "one cache line");
_Static_assert(offsetof(struct page, words) == SUPERBLOCK_WORDS_OFF,
	       "they are stored apart from the page");

enum { WORD_SETTLES, WORD_CHANGES, WORD_SEEN };
_Static_assert(WORD_SEEN + 1 == SUPERBLOCK_NR_WORDS, "a word for each");

static uint32_t page_crc(const struct page *p)
{
	size_t from = offsetof(struct page, version);

	return crc32c(0, (const uint8_t *)p + from, sizeof(*p) - from);
}

/*
 * Makes a word of 8 bytes: 4 bytes with a number, and 4 bytes that take away the number's influence
 * on the checksum of the page (together they are a multiple of the CRC's polynomial). So one store,
 * which is never torn, changes the number while the page stays whole, and a version that does not
 * know the word finds nothing wrong. As the checksum does not cover the word, a torn rewrite could
 * leave one of before: 8 bits of the seq say to which rewrite it belongs.
 */
static uint64_t make_word(uint64_t since, uint64_t seq)
{
	uint32_t number = (uint32_t)since << 8 | (uint8_t)seq;
	uint32_t le = htole32(number), zero = 0;
	uint32_t undo = crc32c(0, &le, sizeof(le)) ^ crc32c(0, &zero, sizeof(zero));

	return htole64((uint64_t)undo << 32 | number);
}

/* Returns the number in a word; 0: the word is not one of this rewrite. */
static uint32_t read_word(uint64_t word, uint64_t seq)
{
	uint32_t since = (uint32_t)le64toh(word) >> 8;

	return make_word(since, seq) == word ? since : 0;
}

void superblock_make_words(uint64_t words[SUPERBLOCK_NR_WORDS], const struct superblock *sb)
{
	words[WORD_SETTLES] = make_word(sb->stamp.settles - sb->base.settles, sb->seq);
	words[WORD_CHANGES] = make_word(sb->stamp.changes - sb->base.changes, sb->seq);
	words[WORD_SEEN] = make_word(sb->seen - sb->seen_base, sb->seq);
}

/* A version without stamps writes zeroes in their place, and another seq. */
static void decode_stamp(struct superblock *sb, const struct page *p)
{
	if (!(sb->compat & SUPERBLOCK_COMPAT_STAMPS) || le64toh(p->stamp_seq) != sb->seq)
		return;
	sb->base = (struct stamp){
		.run = le64toh(p->stamp.run),
		.from = le64toh(p->stamp.from),
		.changes = le64toh(p->stamp.changes),
		.settles = le64toh(p->stamp.settles),
	};
	sb->seen_base = le64toh(p->seen);
	sb->peer_seq = le64toh(p->peer_seq);
	sb->stamp = sb->base;
	sb->stamp.changes += read_word(p->words[WORD_CHANGES], sb->seq);
	sb->stamp.settles += read_word(p->words[WORD_SETTLES], sb->seq);
	sb->seen = sb->seen_base + read_word(p->words[WORD_SEEN], sb->seq);
}

static void encode_stamp(struct page *p, const struct superblock *sb)
{
	if (!sb->base.run)
		return;
	p->stamp = (struct stamp){
		.run = htole64(sb->base.run),
		.from = htole64(sb->base.from),
		.changes = htole64(sb->base.changes),
		.settles = htole64(sb->base.settles),
	};
	superblock_make_words(p->words, sb);
	p->seen = htole64(sb->seen_base);
	p->peer_seq = htole64(sb->peer_seq);
	p->stamp_seq = p->seq;
}

void superblock_encode(uint8_t page[SUPERBLOCK_SIZE], const struct superblock *sb)
{
	struct page p = {
		.magic = htole64(SUPERBLOCK_MAGIC),
		.version = htole32(SUPERBLOCK_VERSION),
		.incompat = htole64(sb->incompat),
		.ro_compat = htole64(sb->ro_compat),
		.compat = htole64(sb->compat),
		.seq = htole64(sb->seq),
		.role = htole32(sb->role),
		.order = htole32(sb->order),
		.data_device_size = htole64(sb->data_device_size),
		.meta_device_size = htole64(sb->meta_device_size),
		.data_off = htole64(sb->data_off),
		.nr_pages = htole64(sb->nr_pages),
		.nr_slots = htole64(sb->nr_slots),
		.slots_per_chunk = htole32(sb->slots_per_chunk),
		.nr_chunks = htole32(sb->nr_chunks),
		.table_off = { htole64(sb->table_off[0]), htole64(sb->table_off[1]) },
		.zero_off = { htole64(sb->zero_off[0]), htole64(sb->zero_off[1]) },
		.memmap_off = htole64(sb->memmap_off),
		.memmap_len = htole64(sb->memmap_len),
		.poison_unit = htole64(sb->poison_unit),
		.formatted_ns = htole64(sb->formatted_ns),
		.id_limit = htole64(sb->id_limit),
		.clean = htole32(sb->clean),
		.unsafe_shutdowns = (int64_t)htole64((uint64_t)sb->unsafe_shutdowns),
	};

	memcpy(p.uuid, sb->uuid, sizeof(p.uuid));
	memcpy(p.name, sb->name, sizeof(p.name));
	memcpy(p.machine_id, sb->machine_id, sizeof(p.machine_id));
	memcpy(p.next_uuid, sb->next_uuid, sizeof(p.next_uuid));
	encode_stamp(&p, sb);
	superblock_encode_hosts(&p.hosts, sb);
	p.crc = htole32(page_crc(&p));
	memcpy(page, &p, sizeof(p));
}

static void decode_fields(struct superblock *sb, const struct page *p)
{
	*sb = (struct superblock){
		.role = le32toh(p->role),
		.incompat = le64toh(p->incompat),
		.ro_compat = le64toh(p->ro_compat),
		.compat = le64toh(p->compat),
		.seq = le64toh(p->seq),
		.data_device_size = le64toh(p->data_device_size),
		.meta_device_size = le64toh(p->meta_device_size),
		.data_off = le64toh(p->data_off),
		.nr_pages = le64toh(p->nr_pages),
		.order = le32toh(p->order),
		.nr_slots = le64toh(p->nr_slots),
		.slots_per_chunk = le32toh(p->slots_per_chunk),
		.nr_chunks = le32toh(p->nr_chunks),
		.table_off = { le64toh(p->table_off[0]), le64toh(p->table_off[1]) },
		.zero_off = { le64toh(p->zero_off[0]), le64toh(p->zero_off[1]) },
		.memmap_off = le64toh(p->memmap_off),
		.memmap_len = le64toh(p->memmap_len),
		.poison_unit = le64toh(p->poison_unit),
		.formatted_ns = le64toh(p->formatted_ns),
		.id_limit = le64toh(p->id_limit),
		.clean = le32toh(p->clean) != 0,
		.unsafe_shutdowns = (int64_t)le64toh((uint64_t)p->unsafe_shutdowns),
	};
	memcpy(sb->uuid, p->uuid, sizeof(sb->uuid));
	memcpy(sb->name, p->name, sizeof(sb->name));
	memcpy(sb->machine_id, p->machine_id, sizeof(sb->machine_id));
	memcpy(sb->next_uuid, p->next_uuid, sizeof(sb->next_uuid));
	decode_stamp(sb, p);
	superblock_decode_hosts(sb, &p->hosts);
}

/*
 * ---- does the page make sense? A whole page can hold nonsense that a faulty program or an
 * attacker wrote ----
 */

struct part {
	uint64_t off, len;
};

/* Do the two parts share a byte? */
static bool touch(const struct part *a, const struct part *b)
{
	return a->len && b->len && a->off < b->off + b->len && b->off < a->off + a->len;
}

/* Is all metadata below @limit, and does no part of it share a byte with another one? */
static bool parts_fit(const struct superblock *sb, uint64_t limit)
{
	uint64_t zero_len = (sb->nr_pages + 63) / 64 * 8,
		 table_len = sb->nr_slots * SUPERBLOCK_SLOT_SIZE;
	const struct part parts[] = {
		{ 0, SUPERBLOCK_SIZE },
		{ sb->poison_unit, SUPERBLOCK_SIZE },
		{ sb->zero_off[0], zero_len },
		{ sb->zero_off[1], zero_len },
		{ sb->table_off[0], table_len },
		{ sb->table_off[1], table_len },
		{ sb->memmap_off, sb->memmap_len },
	};
	unsigned nr = sizeof(parts) / sizeof(parts[0]);

	for (unsigned i = 0; i < nr; i++) {
		if (parts[i].off % 4096 || parts[i].off > limit ||
		    parts[i].len > limit - parts[i].off)
			return false;
		for (unsigned k = 0; k < i; k++)
			if (touch(&parts[i], &parts[k]))
				return false;
	}
	return true;
}

static bool are_apart(const uint64_t off[2], uint64_t unit)
{
	return off[0] > off[1] ? off[0] - off[1] >= unit : off[1] - off[0] >= unit;
}

static bool is_data_sane(const struct superblock *sb)
{
	uint64_t page = UINT64_C(4096) << (sb->order & 31);

	if (sb->order != 0 && sb->order != 9 && sb->order != 18)
		return false;
	if (sb->nr_pages == 0 || sb->nr_pages > (UINT64_C(1) << 62) / page || sb->data_off % page)
		return false;
	return sb->data_off <= sb->data_device_size &&
	       sb->nr_pages * page <= sb->data_device_size - sb->data_off;
}

/*
 * Are all numbers such that the program may compute with them? Without each of these tests some
 * number could overflow, or one part of the arena overwrite another.
 */
static bool is_sane(const struct superblock *sb)
{
	if (sb->role < SUPERBLOCK_WHOLE || sb->role > SUPERBLOCK_METADATA || sb->name[63] != '\0' ||
	    !is_data_sane(sb))
		return false;
	if (sb->poison_unit < POISON_UNIT || sb->poison_unit & (sb->poison_unit - 1) ||
	    sb->data_off < sb->poison_unit + SUPERBLOCK_SIZE)
		return false;
	if (sb->slots_per_chunk != SUPERBLOCK_SLOTS_PER_CHUNK || sb->nr_slots == 0 ||
	    sb->nr_slots > UINT32_MAX - 1 ||
	    sb->nr_chunks >
		    (sb->nr_slots + SUPERBLOCK_SLOTS_PER_CHUNK - 1) / SUPERBLOCK_SLOTS_PER_CHUNK)
		return false;
	if (sb->id_limit == 0 || sb->id_limit >= SUPERBLOCK_MAX_ID)
		return false;
	return are_apart(sb->zero_off, sb->poison_unit) &&
	       are_apart(sb->table_off, sb->poison_unit) &&
	       parts_fit(sb, sb->role == SUPERBLOCK_WHOLE ? sb->data_off : sb->meta_device_size);
}

/* ---- decoding ---- */

static bool is_blank(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, SUPERBLOCK_SIZE - 1) == 0;
}

static bool is_known(const struct page *p, struct why *why)
{
	if (le32toh(p->version) != SUPERBLOCK_VERSION) {
		why_set(why, 0,
			"its format is version %u, this program knows version %u: use a newer "
			"pmemarena",
			le32toh(p->version), SUPERBLOCK_VERSION);
		return false;
	}
	if (le64toh(p->incompat) & ~SUPERBLOCK_INCOMPAT_KNOWN) {
		why_set(why, 0,
			"it uses features (incompatible bits %#llx) that this program does not "
			"know: use a newer pmemarena",
			(unsigned long long)(le64toh(p->incompat) & ~SUPERBLOCK_INCOMPAT_KNOWN));
		return false;
	}
	return true;
}

enum superblock_verdict superblock_decode(struct superblock *sb,
					  const uint8_t page[SUPERBLOCK_SIZE], struct why *why)
{
	struct superblock found;
	struct page p;

	memcpy(&p, page, sizeof(p));
	if (le64toh(p.magic) != SUPERBLOCK_MAGIC)
		return is_blank(page) ? SUPERBLOCK_BLANK : SUPERBLOCK_BAD;
	if (le32toh(p.crc) != page_crc(&p))
		return SUPERBLOCK_BAD;
	if (!is_known(&p, why))
		return SUPERBLOCK_NEWER;
	decode_fields(&found, &p);
	if (!is_sane(&found))
		return SUPERBLOCK_BAD;
	*sb = found;
	return SUPERBLOCK_GOOD;
}

bool superblock_has_checksum(const uint8_t page[SUPERBLOCK_SIZE])
{
	struct page p;

	memcpy(&p, page, sizeof(p));
	return le32toh(p.crc) == page_crc(&p) && le32toh(p.version) != 0;
}
