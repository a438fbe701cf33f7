/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock: encode, decode, read and rewrite the two copies. It knows no table and no device; a media and the bytes of
 * one page are all it sees.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "daemon/media/crc.h"
#include "daemon/media/superblock.h"

#define MAGIC UINT64_C(0x31414e4552414d50)      /* "PMARENA1" as bytes in memory */

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
	uint8_t  zero[4096 - 288];
};
_Static_assert(sizeof(struct page) == SUPERBLOCK_SIZE, "FORMAT.md says where each byte is");

static uint32_t page_crc(const struct page *p)
{
	size_t from = offsetof(struct page, version);

	return crc32c(0, (const uint8_t *)p + from, sizeof(*p) - from);
}

void superblock_encode(uint8_t page[SUPERBLOCK_SIZE], const struct superblock *sb)
{
	struct page p = {
		.magic = htole64(MAGIC),
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
}

/* A whole page of ours can still hold nonsense if a program with a bug (or a patient enemy) wrote it: never compute with it. */
static bool is_sane(const struct superblock *sb)
{
	uint64_t page = UINT64_C(4096) << (sb->order & 31);

	if (sb->role < SUPERBLOCK_WHOLE || sb->role > SUPERBLOCK_METADATA)
		return false;
	if ((sb->order != 0 && sb->order != 9 && sb->order != 18) || sb->name[63] != '\0')
		return false;
	if (sb->nr_pages == 0 || sb->nr_pages > (UINT64_C(1) << 62) / page || sb->data_off % page)
		return false;
	if (sb->data_off > sb->data_device_size || sb->nr_pages * page > sb->data_device_size - sb->data_off)
		return false;
	if (sb->slots_per_chunk == 0 || sb->nr_slots == 0 || sb->nr_slots > UINT32_MAX - 1)
		return false;
	return (uint64_t)sb->nr_chunks * sb->slots_per_chunk <= sb->nr_slots + sb->slots_per_chunk;
}

static bool is_blank(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, SUPERBLOCK_SIZE - 1) == 0;
}

static bool is_known(const struct page *p, struct why *why)
{
	if (le32toh(p->version) != SUPERBLOCK_VERSION) {
		why_set(why, 0, "its format is version %u, this program knows version %u: use a newer pmemarena",
			le32toh(p->version), SUPERBLOCK_VERSION);
		return false;
	}
	if (le64toh(p->incompat) & ~SUPERBLOCK_INCOMPAT_KNOWN) {
		why_set(why, 0, "it uses features (incompatible bits %#llx) that this program does not know: use a newer pmemarena",
			(unsigned long long)(le64toh(p->incompat) & ~SUPERBLOCK_INCOMPAT_KNOWN));
		return false;
	}
	return true;
}

enum superblock_verdict superblock_decode(struct superblock *sb, const uint8_t page[SUPERBLOCK_SIZE], struct why *why)
{
	struct superblock found;
	struct page p;

	memcpy(&p, page, sizeof(p));
	if (le64toh(p.magic) != MAGIC)
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

struct copy {
	uint64_t off;
	enum superblock_verdict verdict;
	bool was_ours;                          /* has our magic */
	struct superblock sb;
};

static int read_copy(struct copy *copy, struct media *media, uint64_t off, struct why *why)
{
	uint8_t page[SUPERBLOCK_SIZE];
	uint64_t magic;
	int r;

	*copy = (struct copy){ .off = off, .verdict = SUPERBLOCK_BAD };
	r = media_read(media, page, off, sizeof(page));
	if (r == -EIO)                          /* a poisoned page is a bad copy, not the end */
		return 0;
	if (r < 0)
		return r;
	memcpy(&magic, page, sizeof(magic));
	copy->was_ours = le64toh(magic) == MAGIC;
	copy->verdict = superblock_decode(&copy->sb, page, why);
	return 0;
}

/* Where the second copy can be: the unit is in the first one, but that one may be the one that is lost. */
static int read_second(struct copy *second, struct media *media, uint64_t align, struct why *why)
{
	uint64_t units[] = { POISON_UNIT, UINT64_C(1) << 30, align };
	struct copy found;
	int r;

	*second = (struct copy){ .verdict = SUPERBLOCK_BLANK };
	for (unsigned i = 0; i < 3; i++) {
		if (units[i] < POISON_UNIT || media_len(media) < units[i] + SUPERBLOCK_SIZE)
			continue;
		r = read_copy(&found, media, units[i], why);
		if (r < 0)
			return r;
		if (found.verdict == SUPERBLOCK_GOOD && found.sb.poison_unit != units[i])
			continue;               /* what clients wrote there looks like one */
		if (found.verdict == SUPERBLOCK_GOOD || (found.was_ours && !second->was_ours))
			*second = found;
		if (found.verdict == SUPERBLOCK_GOOD)
			break;
	}
	return 0;
}

static int choose(const struct copy **best, const struct copy *a, const struct copy *b, struct why *why)
{
	bool a_good = a->verdict == SUPERBLOCK_GOOD, b_good = b->verdict == SUPERBLOCK_GOOD;

	if (a->verdict == SUPERBLOCK_NEWER || (!a_good && b->verdict == SUPERBLOCK_NEWER))
		return -EPROTONOSUPPORT;
	if (a_good && b_good && memcmp(a->sb.uuid, b->sb.uuid, 16) == 0)
		*best = b->sb.seq > a->sb.seq ? b : a;
	else if (a_good)
		*best = a;
	else if (b_good)
		*best = b;
	else if (a->was_ours || b->was_ours)
		return why_set(why, -EUCLEAN, "both superblocks are damaged: if there is a copy of the device, use it; "
			       "otherwise `pmemarenactl format --force` makes a new, empty arena");
	else
		return why_set(why, -ENODATA, "it is not formatted as an arena: `pmemarenactl format`, or `format = if-blank` "
			       "in the configuration, does that");
	return 0;
}

static int write_copy(const struct superblock *sb, struct media *media, uint64_t off)
{
	uint8_t page[SUPERBLOCK_SIZE];
	int r;

	superblock_encode(page, sb);
	r = media_store(media, off, page, sizeof(page));
	if (r < 0)
		return r;
	r = media_flush(media, off, sizeof(page));
	return r < 0 ? r : media_fence(media);
}

static bool is_same(const struct copy *copy, const struct superblock *sb)
{
	return copy->verdict == SUPERBLOCK_GOOD && copy->sb.seq == sb->seq && memcmp(copy->sb.uuid, sb->uuid, 16) == 0;
}

int superblock_read(struct superblock *sb, int *mended, struct media *media, uint64_t align, bool read_only, struct why *why)
{
	const struct copy *best = NULL;
	struct copy first, second;
	int r, nr_bad = 0;

	r = read_copy(&first, media, 0, why);
	if (r < 0)
		return why_set(why, r, "it cannot be read at offset 0");
	r = read_second(&second, media, align, why);
	if (r < 0)
		return why_set(why, r, "it cannot be read at its second superblock");
	r = choose(&best, &first, &second, why);
	if (r < 0)
		return r;

	nr_bad += !is_same(&first, &best->sb);
	nr_bad += !is_same(&second, &best->sb);
	if (!read_only && !is_same(&first, &best->sb))
		r = write_copy(&best->sb, media, 0);
	if (r == 0 && !read_only && !is_same(&second, &best->sb))
		r = write_copy(&best->sb, media, best->sb.poison_unit);
	if (r < 0)
		return why_set(why, r, "a bad superblock copy cannot be rewritten");
	*sb = best->sb;
	if (mended)
		*mended = nr_bad;
	return 0;
}

int superblock_write(struct superblock *sb, struct media *media)
{
	struct superblock next = *sb;
	int r;

	next.seq++;
	/* One after the other: whenever power is cut, one copy is whole. */
	r = write_copy(&next, media, 0);
	if (r == 0)
		r = write_copy(&next, media, next.poison_unit);
	if (r == 0)
		*sb = next;
	return r;
}

int superblock_erase(struct media *media, uint64_t poison_unit)
{
	uint64_t at[2] = { 0, poison_unit };
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = media_zero(media, at[i], SUPERBLOCK_SIZE);
	return r < 0 ? r : media_fence(media);
}
