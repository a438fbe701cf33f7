/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replay of a recorder's log under the persistence model of cut.h. Open lines are in an array,
 * found by a hash; versions carry the number of the log entry that made them, so that a thread's
 * pending flush names what it covered even when the line was closed and opened again since.
 */
#include <config.h>

#include "tests/standin/cut.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define WORD     8
#define BUCKETS  4096
#define THREADS  64

struct version {
	size_t entry;                   /* that made it; of version 0: meaningless */
	unsigned char bytes[CUT_LINE];
};

struct line {
	struct line *next;              /* in its bucket */
	size_t   index;                 /* in cut.lines */
	unsigned device;
	uint64_t off;
	uint32_t nr, room;
	struct version *versions;       /* owned */
};

/* What one thread flushed and has not fenced. */
struct pending {
	unsigned device;
	uint64_t off;
	size_t   entry;                 /* of the newest version that the flush covered */
};

struct pendings {
	struct pending *items;          /* owned */
	size_t nr, room;
};

struct cut {
	const struct recorder *rec;     /* borrowed */
	size_t point;
	struct image *certain;          /* owned */
	struct line **lines;            /* owned, and what they point to */
	size_t nr, room;
	struct line *buckets[BUCKETS];
	struct pendings flushed[THREADS], punched[THREADS];
};

static void *must(void *p)
{
	if (!p)
		errx(2, "out of memory");
	return p;
}

struct cut *cut_new(const struct recorder *rec)
{
	struct cut *cut = must(calloc(1, sizeof(*cut)));

	cut->rec = rec;
	cut->certain = image_copy(recorder_base(rec));
	return cut;
}

void cut_free(struct cut *cut)
{
	if (!cut)
		return;
	for (size_t i = 0; i < cut->nr; i++) {
		free(cut->lines[i]->versions);
		free(cut->lines[i]);
	}
	for (unsigned t = 0; t < THREADS; t++) {
		free(cut->flushed[t].items);
		free(cut->punched[t].items);
	}
	free(cut->lines);
	image_free(cut->certain);
	free(cut);
}

size_t cut_point(const struct cut *cut)
{
	return cut->point;
}

const struct recorder_entry *cut_next(const struct cut *cut)
{
	return cut->point < recorder_nr(cut->rec) ? recorder_at(cut->rec, cut->point) : NULL;
}

static struct line **bucket(struct cut *cut, unsigned device, uint64_t off)
{
	uint64_t hash =
		(off / CUT_LINE + device * UINT64_C(0x9e3779b9)) * UINT64_C(0x9e3779b97f4a7c15);

	return &cut->buckets[hash >> 52];
}

static struct line *find(struct cut *cut, unsigned device, uint64_t off)
{
	struct line *line = *bucket(cut, device, off);

	while (line && (line->device != device || line->off != off))
		line = line->next;
	return line;
}

static struct line *open_line(struct cut *cut, unsigned device, uint64_t off)
{
	struct line *line = must(calloc(1, sizeof(*line))), **head = bucket(cut, device, off);

	*line = (struct line){
		.next = *head, .index = cut->nr, .device = device, .off = off, .nr = 1, .room = 4
	};
	*head = line;
	line->versions = must(calloc(line->room, sizeof(*line->versions)));
	image_read(cut->certain, device, off, line->versions[0].bytes, CUT_LINE);
	if (cut->nr == cut->room) {
		cut->room = cut->room ? cut->room * 2 : 256;
		cut->lines = must(reallocarray(cut->lines, cut->room, sizeof(*cut->lines)));
	}
	return cut->lines[cut->nr++] = line;
}

static void close_line(struct cut *cut, struct line *line)
{
	struct line **at = bucket(cut, line->device, line->off);

	while (*at != line)
		at = &(*at)->next;
	*at = line->next;
	cut->lines[line->index] = cut->lines[--cut->nr];
	cut->lines[line->index]->index = line->index;
	free(line->versions);
	free(line);
}

static void add_version(struct cut *cut, struct line *line, const unsigned char *bytes)
{
	if (line->nr == line->room) {
		line->room *= 2;
		line->versions =
			must(reallocarray(line->versions, line->room, sizeof(*line->versions)));
	}
	line->versions[line->nr].entry = cut->point;
	memcpy(line->versions[line->nr++].bytes, bytes, CUT_LINE);
}

static void add_pending(struct pendings *list, const struct line *line)
{
	if (list->nr == list->room) {
		list->room = list->room ? list->room * 2 : 64;
		list->items = must(reallocarray(list->items, list->room, sizeof(*list->items)));
	}
	list->items[list->nr++] =
		(struct pending){ line->device, line->off, line->versions[line->nr - 1].entry };
}

/* One line of a store; a store that changes nothing opens nothing. */
static void store_line(struct cut *cut, const struct recorder_entry *entry, uint64_t off)
{
	struct line *line = find(cut, entry->device, off);
	uint64_t begin = off > entry->off ? off : entry->off;
	uint64_t end =
		off + CUT_LINE < entry->off + entry->len ? off + CUT_LINE : entry->off + entry->len;
	unsigned char old[CUT_LINE], new[CUT_LINE];

	if (line)
		memcpy(old, line->versions[line->nr - 1].bytes, CUT_LINE);
	else
		image_read(cut->certain, entry->device, off, old, CUT_LINE);
	memcpy(new, old, CUT_LINE);
	memcpy(new + (begin - off), entry->bytes + (begin - entry->off), end - begin);
	if (memcmp(old, new, CUT_LINE) == 0)
		return;
	add_version(cut, line ? line : open_line(cut, entry->device, off), new);
}

static void store(struct cut *cut, const struct recorder_entry *entry)
{
	for (uint64_t off = entry->off - entry->off % CUT_LINE; off < entry->off + entry->len;
	     off += CUT_LINE)
		store_line(cut, entry, off);
}

static bool touches(const struct recorder_entry *entry, const struct line *line)
{
	return line->device == entry->device && line->off < entry->off + entry->len &&
		entry->off < line->off + CUT_LINE;
}

static void zero_line(struct cut *cut, const struct recorder_entry *entry, struct line *line)
{
	uint64_t begin = line->off > entry->off ? line->off : entry->off;
	uint64_t end = line->off + CUT_LINE < entry->off + entry->len ? line->off + CUT_LINE
								      : entry->off + entry->len;
	unsigned char new[CUT_LINE];

	memcpy(new, line->versions[line->nr - 1].bytes, CUT_LINE);
	memset(new + (begin - line->off), 0, end - begin);
	if (memcmp(new, line->versions[line->nr - 1].bytes, CUT_LINE) != 0)
		add_version(cut, line, new);
}

/*
 * Ranges are large and mostly zero already: look at open lines, then at what is not zero for
 * certain.
 */
static void zero(struct cut *cut, const struct recorder_entry *entry, struct pendings *list)
{
	uint64_t off = entry->off, end = entry->off + entry->len;
	size_t nr = cut->nr;

	for (size_t i = 0; i < nr; i++) {
		if (!touches(entry, cut->lines[i]))
			continue;
		zero_line(cut, entry, cut->lines[i]);
		add_pending(list, cut->lines[i]);
	}
	while (off < end &&
	       (off = image_find_nonzero(cut->certain, entry->device, off, end - off)) < end) {
		uint64_t start = off - off % CUT_LINE;
		struct line *line = find(cut, entry->device, start);

		if (!line) {
			line = open_line(cut, entry->device, start);
			zero_line(cut, entry, line);
			add_pending(list, line);
		}
		off = start + CUT_LINE;
	}
}

static void flush(struct cut *cut, const struct recorder_entry *entry, struct pendings *list)
{
	uint64_t start = entry->off - entry->off % CUT_LINE;
	struct line *line;

	if (entry->len / CUT_LINE > cut->nr) {
		for (size_t i = 0; i < cut->nr; i++)
			if (touches(entry, cut->lines[i]))
				add_pending(list, cut->lines[i]);
		return;
	}
	for (uint64_t off = start; off < entry->off + entry->len; off += CUT_LINE) {
		line = find(cut, entry->device, off);
		if (line)
			add_pending(list, line);
	}
}

/* The newest version that the flush covered becomes the certain one. */
static void make_certain(struct cut *cut, const struct pending *pending)
{
	struct line *line = find(cut, pending->device, pending->off);
	uint32_t v;

	if (!line)
		return;
	for (v = line->nr - 1; v > 0 && line->versions[v].entry > pending->entry; v--)
		;
	if (v == 0)
		return;
	image_write(cut->certain, line->device, line->off, line->versions[v].bytes, CUT_LINE);
	line->nr -= v;
	memmove(line->versions, line->versions + v, line->nr * sizeof(*line->versions));
	if (line->nr == 1)
		close_line(cut, line);
}

static void settle(struct cut *cut, struct pendings *list)
{
	for (size_t i = 0; i < list->nr; i++)
		make_certain(cut, &list->items[i]);
	list->nr = 0;
}

bool cut_step(struct cut *cut)
{
	const struct recorder_entry *entry = cut_next(cut);

	if (!entry)
		return false;
	if (entry->thread >= THREADS)
		errx(2, "a log of more than %d threads", THREADS);
	if (entry->op == RECORDER_STORE)
		store(cut, entry);
	else if (entry->op == RECORDER_ZERO)
		zero(cut, entry, &cut->flushed[entry->thread]);
	else if (entry->op == RECORDER_FLUSH)
		flush(cut, entry, &cut->flushed[entry->thread]);
	else if (entry->op == RECORDER_FENCE)
		settle(cut, &cut->flushed[entry->thread]);
	else if (entry->op == RECORDER_PUNCH)
		zero(cut, entry, &cut->punched[entry->thread]);
	else if (entry->op == RECORDER_PUNCHED)
		settle(cut, &cut->punched[entry->thread]);
	cut->point++;
	return true;
}

size_t cut_nr_lines(const struct cut *cut)
{
	return cut->nr;
}

struct cut_line cut_line(const struct cut *cut, size_t i)
{
	const struct line *line = cut->lines[i];

	return (struct cut_line){ line->device, line->off, line->nr };
}

uint8_t cut_words(const struct cut *cut, size_t i, uint32_t version)
{
	const struct version *v = &cut->lines[i]->versions[version];
	uint8_t words = 0;

	for (unsigned w = 0; version > 0 && w < CUT_LINE / WORD; w++)
		if (memcmp(v[-1].bytes + w * WORD, v->bytes + w * WORD, WORD) != 0)
			words |= (uint8_t)(1U << w);
	return words;
}

static void apply(struct image *image, const struct line *line, struct cut_choice choice)
{
	unsigned char bytes[CUT_LINE];

	if (choice.version == 0)
		return;
	memcpy(bytes, line->versions[choice.version].bytes, CUT_LINE);
	for (unsigned w = 0; w < CUT_LINE / WORD; w++)
		if (!(choice.words & 1U << w))
			memcpy(bytes + w * WORD,
			       line->versions[choice.version - 1].bytes + w * WORD, WORD);
	image_write(image, line->device, line->off, bytes, CUT_LINE);
}

struct image *cut_image(const struct cut *cut, const struct cut_choice *choices)
{
	struct image *image = image_copy(cut->certain);

	for (size_t i = 0; choices && i < cut->nr; i++)
		apply(image, cut->lines[i], choices[i]);
	return image;
}

struct image *cut_newest(const struct cut *cut)
{
	struct image *image = image_copy(cut->certain);

	for (size_t i = 0; i < cut->nr; i++)
		apply(image, cut->lines[i], (struct cut_choice){ cut->lines[i]->nr - 1, 0xff });
	return image;
}
