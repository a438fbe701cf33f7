/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * superblock: finds the two copies of the superblock, chooses the better one, mends and rewrites
 * them. It knows neither a table nor a device, only a media; superblock_page.c knows the bytes.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "daemon/media/superblock.h"
#include "daemon/media/superblock_page.h"

struct copy {
	uint64_t off;
	enum superblock_verdict verdict;
	bool was_ours;                          /* it has our magic */
	bool is_unreadable;
	struct superblock sb;
};

/*
 * Reads one copy. A page that cannot be read is a bad copy and no error: the other one may be good.
 */
static int read_copy(struct copy *copy, struct media *media, uint64_t off, struct why *why)
{
	uint8_t page[SUPERBLOCK_SIZE];
	uint64_t magic;
	int r;

	*copy = (struct copy){ .off = off, .verdict = SUPERBLOCK_BAD };
	r = media_peek(media, page, off, sizeof(page));
	copy->is_unreadable = r == -EIO;
	if (r == -EIO)
		return 0;
	if (r < 0)
		return r;
	memcpy(&magic, page, sizeof(magic));
	copy->was_ours = le64toh(magic) == SUPERBLOCK_MAGIC;
	copy->verdict = superblock_decode(&copy->sb, page, why);
	return 0;
}

/*
 * Finds the second copy. The first one says where it is, but the first may be the one that is lost;
 * so it is looked for at the places where it can be.
 */
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
			/* clients wrote something there that looks like a superblock */
			continue;
		if (found.verdict == SUPERBLOCK_GOOD ||
		    ((found.was_ours || found.is_unreadable) && !second->was_ours))
			*second = found;
		if (found.verdict == SUPERBLOCK_GOOD)
			break;
	}
	return 0;
}

/*
 * The two copies have different UUIDs because a reidentify was cut: @a has the new one already, and
 * @b says that this is the one it will get.
 */
static bool is_renewed(const struct superblock *a, const struct superblock *b)
{
	return b->incompat & SUPERBLOCK_INCOMPAT_RENEWING && memcmp(b->next_uuid, a->uuid, 16) == 0;
}

/* Chooses the copy that counts. What is neither good nor blank is refused, with a sentence. */
static int choose(const struct copy **best, const struct copy *a, const struct copy *b,
		  struct why *why)
{
	bool a_good = a->verdict == SUPERBLOCK_GOOD, b_good = b->verdict == SUPERBLOCK_GOOD;

	if (a->verdict == SUPERBLOCK_NEWER || (!a_good && b->verdict == SUPERBLOCK_NEWER))
		return -EPROTONOSUPPORT;
	/* Each copy would mend the other one, and one of two arenas would be lost. */
	if (a_good && b_good && memcmp(a->sb.uuid, b->sb.uuid, 16) != 0 &&
	    !is_renewed(&a->sb, &b->sb))
		return why_set(
			why, -EUCLEAN,
			"its two superblocks are of two arenas, \"%s\" and \"%s\": it was written "
			"over from elsewhere; restore the right one from a copy of the device",
			a->sb.name, b->sb.name);
	if (a_good && b_good)
		*best = b->sb.seq > a->sb.seq ? b : a;
	else if (a_good)
		*best = a;
	else if (b_good)
		*best = b;
	else if (a->was_ours || b->was_ours)
		return why_set(
			why, -EUCLEAN,
			"both superblocks are damaged: if there is a copy of the device, use it; "
			"otherwise `pmemarenactl format --force` makes a new, empty arena");
	/*
	 * A page that cannot be read is not known to be blank: a format could overwrite an arena.
	 */
	else if (a->is_unreadable || b->is_unreadable)
		return why_set(why, -EUCLEAN,
			       "a superblock cannot be read, and the other one is none: restore it "
			       "from a copy of the device; `pmemarenactl format --force` makes a "
			       "new, empty arena");
	else
		return why_set(why, -ENODATA,
			       "it is not formatted as an arena: `pmemarenactl format`, or `format "
			       "= if-blank` in the configuration, does that");
	return 0;
}

static int store_words(struct media *media, uint64_t page,
		       const uint64_t words[SUPERBLOCK_NR_WORDS])
{
	uint64_t off = page + SUPERBLOCK_WORDS_OFF;
	int r = media_store(media, off, words, SUPERBLOCK_NR_WORDS * sizeof(*words));

	return r < 0 ? r : media_flush(media, off, SUPERBLOCK_NR_WORDS * sizeof(*words));
}

/* Takes the words of the copy that is there into @page. Those of a bad copy are worth nothing. */
static void keep_words(uint8_t page[SUPERBLOCK_SIZE], struct media *media, uint64_t off)
{
	uint8_t old[SUPERBLOCK_SIZE];
	struct superblock sb;

	if (media_peek(media, old, off, sizeof(old)) == 0 &&
	    superblock_decode(&sb, old, NULL) == SUPERBLOCK_GOOD)
		memcpy(page + SUPERBLOCK_WORDS_OFF, old + SUPERBLOCK_WORDS_OFF,
		       SUPERBLOCK_NR_WORDS * sizeof(uint64_t));
}

/*
 * The magic comes late. If the very first superblock of a device is cut, the device is blank then,
 * and not a damaged arena that only force could overwrite. Where there was a superblock before, the
 * magic is there all the time.
 *
 * The words of the stamp come last: those of before say nothing beside the new seq. If they came
 * with the rest and only they arrived, the copy would be the old one without its stamp; and if the
 * other copy is lost too, the device would look older than it is.
 */
static int write_copy(const struct superblock *sb, struct media *media, uint64_t off)
{
	uint64_t magic, words[SUPERBLOCK_NR_WORDS];
	uint8_t page[SUPERBLOCK_SIZE];
	int r;

	superblock_encode(page, sb);
	memcpy(&magic, page, sizeof(magic));
	memcpy(words, page + SUPERBLOCK_WORDS_OFF, sizeof(words));
	keep_words(page, media, off);
	r = media_store(media, off + sizeof(magic), page + sizeof(magic),
			sizeof(page) - sizeof(magic));
	if (r == 0)
		r = media_persist(media, off, sizeof(page));
	if (r == 0)
		r = media_store64(media, off, magic);
	if (r == 0)
		r = media_persist(media, off, sizeof(magic));
	if (r == 0)
		r = store_words(media, off, words);
	return r < 0 ? r : media_fence(media);
}

static bool is_same(const struct copy *copy, const struct superblock *sb)
{
	return copy->verdict == SUPERBLOCK_GOOD && copy->sb.seq == sb->seq &&
	       memcmp(copy->sb.uuid, sb->uuid, 16) == 0;
}

/*
 * Writes a bad copy again. A good one is made durable: it may be in a cache only, if the daemon was
 * killed while it wrote it, and what is believed now must be there after a power cut too. If the
 * memory cannot be written there is one copy less, which is no reason not to start.
 */
static int mend(const struct copy *copy, const struct superblock *sb, struct media *media,
		uint64_t off)
{
	int r;

	/* Another host may be writing it: its owner rewrites both copies at its start. */
	if (sb->incompat & SUPERBLOCK_INCOMPAT_HOSTS)
		return 0;
	r = is_same(copy, sb) ? media_persist(media, off, SUPERBLOCK_SIZE)
			      : write_copy(sb, media, off);
	return r == -EIO ? 0 : r;
}

static void raise(uint64_t *number, uint64_t to)
{
	if (*number < to)
		*number = to;
}

/*
 * Both copies are of the same rewrite, and superblock_stamp() stores into one after the other: the
 * higher number counts.
 */
static void join_stamps(struct superblock *sb, const struct copy *copy)
{
	if (!is_same(copy, sb))
		return;
	raise(&sb->stamp.changes, copy->sb.stamp.changes);
	raise(&sb->stamp.settles, copy->sb.stamp.settles);
	raise(&sb->seen, copy->sb.seen);
}

int superblock_read(struct superblock *sb, int *mended, struct media *media, uint64_t align,
		    bool read_only, struct why *why)
{
	const struct copy *best = NULL;
	struct copy first, second;
	int r;

	r = read_copy(&first, media, 0, why);
	if (r < 0)
		return why_set(why, r, "it cannot be read at offset 0: %s", strerror(-r));
	r = read_second(&second, media, align, why);
	if (r < 0)
		return why_set(why, r, "it cannot be read at its second superblock: %s",
			       strerror(-r));
	r = choose(&best, &first, &second, why);
	if (r == 0 && !read_only)
		r = mend(&first, &best->sb, media, 0);
	if (r == 0 && !read_only)
		r = mend(&second, &best->sb, media, best->sb.poison_unit);
	if (r < 0)
		return best ? why_set(why, r, "a bad superblock copy cannot be rewritten: %s",
				      strerror(-r))
			    : r;
	*sb = best->sb;
	join_stamps(sb, &first);
	join_stamps(sb, &second);
	if (mended)
		*mended = !is_same(&first, &best->sb) + !is_same(&second, &best->sb);
	return 0;
}

int superblock_write(struct superblock *sb, struct media *media)
{
	struct superblock next = *sb;
	int first, second;

	next.seq++;
	if (next.stamp.run)
		next.compat |= SUPERBLOCK_COMPAT_STAMPS;
	next.base = next.stamp;
	next.seen_base = next.seen;
	/*
	 * The copies are written one after the other: whenever power is cut, one copy is whole. One
	 * that cannot be written has a lower seq from now on, and does not count.
	 */
	first = write_copy(&next, media, 0);
	if (first < 0 && first != -EIO)
		return first;
	second = write_copy(&next, media, next.poison_unit);
	if (second < 0 && (first < 0 || second != -EIO))
		return second;
	*sb = next;
	return 0;
}

int superblock_stamp(struct superblock *sb, struct media *media)
{
	uint64_t changes = sb->stamp.changes - sb->base.changes,
		 settles = sb->stamp.settles - sb->base.settles;
	uint64_t seen = sb->seen - sb->seen_base, words[SUPERBLOCK_NR_WORDS];
	int first, second;

	if (!sb->base.run || changes > SUPERBLOCK_WORD_MAX || settles > SUPERBLOCK_WORD_MAX ||
	    seen > SUPERBLOCK_WORD_MAX)
		return superblock_write(sb, media);
	superblock_make_words(words, sb);
	first = store_words(media, 0, words);
	if (first < 0 && first != -EIO)
		return first;
	second = store_words(media, sb->poison_unit, words);
	return second < 0 && (first < 0 || second != -EIO) ? second : 0;
}

/*
 * Takes the magic away wherever an older arena, perhaps of another alignment, has a superblock.
 * Without its magic a page belongs to nobody. It goes with one store that is never torn: a cut
 * leaves no damaged superblock where a whole one was.
 */
int superblock_erase(struct media *media, uint64_t align)
{
	uint64_t at[] = { 0, POISON_UNIT, UINT64_C(1) << 30, align }, magic;
	int r = 0;

	for (unsigned i = 0; i < 4 && r == 0; i++) {
		if ((i > 0 && at[i] < POISON_UNIT) || media_len(media) < at[i] + SUPERBLOCK_SIZE)
			continue;
		r = media_peek(media, &magic, at[i], sizeof(magic));
		if (r < 0 || le64toh(magic) != SUPERBLOCK_MAGIC)
			continue;
		r = media_store64(media, at[i], 0);
		if (r == 0)
			r = media_flush(media, at[i], sizeof(magic));
	}
	return r < 0 ? r : media_fence(media);
}

bool superblock_was_erased(struct media *media, uint64_t align)
{
	uint64_t at[] = { 0, POISON_UNIT, UINT64_C(1) << 30, align }, magic;
	uint8_t page[SUPERBLOCK_SIZE];

	for (unsigned i = 0; i < 4; i++) {
		if ((i > 0 && at[i] < POISON_UNIT) || media_len(media) < at[i] + SUPERBLOCK_SIZE)
			continue;
		if (media_peek(media, page, at[i], sizeof(page)) < 0)
			continue;
		memcpy(&magic, page, sizeof(magic));
		if (magic == 0 && superblock_has_checksum(page))
			return true;
	}
	return false;
}
