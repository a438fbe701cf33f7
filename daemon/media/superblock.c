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

/* ---- sanity: a whole page of ours can still hold nonsense if a program with a bug (or a patient enemy) wrote it ---- */

struct part {
	uint64_t off, len;
};

static bool touch(const struct part *a, const struct part *b)
{
	return a->len && b->len && a->off < b->off + b->len && b->off < a->off + a->len;
}

/* Everything that is metadata lies below @limit, and no two parts of it share a byte. */
static bool parts_fit(const struct superblock *sb, uint64_t limit)
{
	uint64_t zero_len = (sb->nr_pages + 63) / 64 * 8, table_len = sb->nr_slots * SUPERBLOCK_SLOT_SIZE;
	const struct part parts[] = {
		{ 0, SUPERBLOCK_SIZE }, { sb->poison_unit, SUPERBLOCK_SIZE },
		{ sb->zero_off[0], zero_len }, { sb->zero_off[1], zero_len }, { sb->table_off[0], table_len }, { sb->table_off[1], table_len },
		{ sb->memmap_off, sb->memmap_len },
	};
	unsigned nr = sizeof(parts) / sizeof(parts[0]);

	for (unsigned i = 0; i < nr; i++) {
		if (parts[i].off % 4096 || parts[i].off > limit || parts[i].len > limit - parts[i].off)
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
	return sb->data_off <= sb->data_device_size && sb->nr_pages * page <= sb->data_device_size - sb->data_off;
}

/* Never compute with what is not: each of these has made a number overflow, or one part of the arena overwrite another. */
static bool is_sane(const struct superblock *sb)
{
	if (sb->role < SUPERBLOCK_WHOLE || sb->role > SUPERBLOCK_METADATA || sb->name[63] != '\0' || !is_data_sane(sb))
		return false;
	if (sb->poison_unit < POISON_UNIT || sb->poison_unit & (sb->poison_unit - 1) || sb->data_off < sb->poison_unit + SUPERBLOCK_SIZE)
		return false;
	if (sb->slots_per_chunk != SUPERBLOCK_SLOTS_PER_CHUNK || sb->nr_slots == 0 || sb->nr_slots > UINT32_MAX - 1 ||
	    sb->nr_chunks > (sb->nr_slots + SUPERBLOCK_SLOTS_PER_CHUNK - 1) / SUPERBLOCK_SLOTS_PER_CHUNK)
		return false;
	if (sb->id_limit == 0 || sb->id_limit >= SUPERBLOCK_MAX_ID)
		return false;
	return are_apart(sb->zero_off, sb->poison_unit) && are_apart(sb->table_off, sb->poison_unit) &&
	       parts_fit(sb, sb->role == SUPERBLOCK_WHOLE ? sb->data_off : sb->meta_device_size);
}

/* ---- decode ---- */

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
	if (a_good && b_good && memcmp(a->sb.uuid, b->sb.uuid, 16) != 0)        /* mending would lose one of them */
		return why_set(why, -EUCLEAN, "its two superblocks are of two arenas, \"%s\" and \"%s\": it was written over from elsewhere; "
			       "restore the right one from a copy of the device", a->sb.name, b->sb.name);
	if (a_good && b_good)
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

/*
 * The magic last: what a cut leaves of a device's very first superblock is not taken for a damaged one, which only force
 * would overwrite. Where there was one before, the magic is there all the time.
 */
static int write_copy(const struct superblock *sb, struct media *media, uint64_t off)
{
	uint8_t page[SUPERBLOCK_SIZE];
	uint64_t magic;
	int r;

	superblock_encode(page, sb);
	memcpy(&magic, page, sizeof(magic));
	r = media_store(media, off + sizeof(magic), page + sizeof(magic), sizeof(page) - sizeof(magic));
	if (r == 0)
		r = media_persist(media, off, sizeof(page));
	if (r == 0)
		r = media_store64(media, off, magic);
	return r < 0 ? r : media_persist(media, off, sizeof(magic));
}

static bool is_same(const struct copy *copy, const struct superblock *sb)
{
	return copy->verdict == SUPERBLOCK_GOOD && copy->sb.seq == sb->seq && memcmp(copy->sb.uuid, sb->uuid, 16) == 0;
}

/*
 * A bad copy is written again. A good one may be in a cache only, if a daemon was killed while it wrote it: what is believed now must be
 * there after a power cut. Memory that cannot be written is one copy less, no reason not to start.
 */
static int mend(const struct copy *copy, const struct superblock *sb, struct media *media, uint64_t off)
{
	int r = is_same(copy, sb) ? media_persist(media, off, SUPERBLOCK_SIZE) : write_copy(sb, media, off);

	return r == -EIO ? 0 : r;
}

int superblock_read(struct superblock *sb, int *mended, struct media *media, uint64_t align, bool read_only, struct why *why)
{
	const struct copy *best = NULL;
	struct copy first, second;
	int r;

	r = read_copy(&first, media, 0, why);
	if (r < 0)
		return why_set(why, r, "it cannot be read at offset 0");
	r = read_second(&second, media, align, why);
	if (r < 0)
		return why_set(why, r, "it cannot be read at its second superblock");
	r = choose(&best, &first, &second, why);
	if (r == 0 && !read_only)
		r = mend(&first, &best->sb, media, 0);
	if (r == 0 && !read_only)
		r = mend(&second, &best->sb, media, best->sb.poison_unit);
	if (r < 0)
		return best ? why_set(why, r, "a bad superblock copy cannot be rewritten") : r;
	*sb = best->sb;
	if (mended)
		*mended = !is_same(&first, &best->sb) + !is_same(&second, &best->sb);
	return 0;
}

int superblock_write(struct superblock *sb, struct media *media)
{
	struct superblock next = *sb;
	int first, second;

	next.seq++;
	/* One after the other: whenever power is cut, one copy is whole. One that cannot be written is outvoted by its seq. */
	first = write_copy(&next, media, 0);
	if (first < 0 && first != -EIO)
		return first;
	second = write_copy(&next, media, next.poison_unit);
	if (second < 0 && (first < 0 || second != -EIO))
		return second;
	*sb = next;
	return 0;
}

/*
 * Wherever an older arena, of another alignment perhaps, has its copies. Without its magic a page is nobody's, and one store that is
 * never torn takes it: no cut leaves a damaged superblock where there was a whole one.
 */
int superblock_erase(struct media *media, uint64_t align)
{
	uint64_t at[] = { 0, POISON_UNIT, UINT64_C(1) << 30, align }, magic;
	int r = 0;

	for (unsigned i = 0; i < 4 && r == 0; i++) {
		if ((i > 0 && at[i] < POISON_UNIT) || media_len(media) < at[i] + SUPERBLOCK_SIZE)
			continue;
		r = media_read(media, &magic, at[i], sizeof(magic));
		if (r < 0 || le64toh(magic) != MAGIC)
			continue;
		r = media_store64(media, at[i], 0);
		if (r == 0)
			r = media_flush(media, at[i], sizeof(magic));
	}
	return r < 0 ? r : media_fence(media);
}
