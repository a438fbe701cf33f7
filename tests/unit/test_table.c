/* SPDX-License-Identifier: BSD-3-Clause */
/* The table over a recording media: records in and out, what two copies decide, and every state that a cut settle leaves. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/table_slot.h"
#include "tests/standin/cut.h"
#include "tests/standin/fake_device.h"
#include "tests/standin/recorder.h"

#define MiB         (UINT64_C(1) << 20)
#define SIZE        (8 * MiB)
#define MAX_RECORDS 64
#define MAX_STATES  20000

static struct recorder *rec;
static struct device *device;
static struct media *media;
static struct table *table;
static struct superblock sb;

/* What a scan finds, put together. */
struct found {
	struct record record;
	char name[256];
	struct extent extents[600];
	uint32_t slots[TABLE_MAX_PIECES];
	uint32_t nr_slots;
};

static struct found found[MAX_RECORDS];
static unsigned nr_found, nr_damaged, nr_halves;
static struct table_scan_result result;

static struct {
	struct piece piece;
	uint32_t number;
	uint8_t body[TABLE_SLOT_SIZE];
} pieces[4096];
static unsigned nr_pieces;

static void setup(void)
{
	rec = recorder_new();
	fake_device_add(DEVICE_FILE, "dev", SIZE, 0);
	ck_assert_int_eq(device_open(&device, &(struct device_request){ .spec = "dev" }, NULL), 0);
	ck_assert_int_eq(media_open(&media, device, 0, SIZE, NULL), 0);
	image_scribble(recorder_image(rec), 0, 0, SIZE, 3);
	sb = (struct superblock){
		.role = SUPERBLOCK_WHOLE, .data_device_size = UINT64_C(1) << 30, .meta_device_size = SIZE, .data_off = SIZE, .nr_pages = 8,
		.order = 9, .nr_slots = 2048, .slots_per_chunk = 1024, .poison_unit = 2 * MiB, .id_limit = 1000,
		.zero_off = { 2 * MiB + 4096, 4096 }, .table_off = { 2 * MiB + 8192, 8192 }, .uuid = "a uuid of an are",
	};
	ck_assert_int_eq(table_new(&table, media, &sb), 0);
	ck_assert_int_eq(table_ready(table), 0);
}

static void teardown(void)
{
	table_free(table);
	media_close(media);
	device_close(device);
	recorder_free(rec);
	fake_device_reset();
}

/* ---- scan ---- */

static int see(void *arg, const struct slot *slot, const struct piece *piece)
{
	(void)arg;
	if (slot->state == SLOT_DAMAGED) {
		table_claim(table, &slot->number, 1);
		nr_damaged++;
	}
	if (slot->state != SLOT_LIVE)
		return 0;
	table_claim(table, &slot->number, 1);
	pieces[nr_pieces].piece = *piece;
	pieces[nr_pieces].number = slot->number;
	memcpy(pieces[nr_pieces++].body, slot->body, TABLE_SLOT_SIZE);
	return 0;
}

static int by_piece(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return (int)x->index - (int)y->index;
}

static void gather(unsigned from, unsigned nr)
{
	static uint8_t payload[TABLE_PAYLOAD_MAX] __attribute__((aligned(8)));
	const uint8_t *bodies[TABLE_MAX_PIECES];
	struct found *f = &found[nr_found];

	if (nr != pieces[from].piece.count) {
		nr_halves++;
		return;
	}
	for (unsigned i = 0; i < nr; i++) {
		bodies[i] = pieces[from + i].body;
		f->slots[i] = pieces[from + i].number;
	}
	ck_assert_int_eq(table_decode(&f->record, payload, bodies, nr), 0);
	if (f->record.name_len)
		memcpy(f->name, f->record.name, f->record.name_len);
	memcpy(f->extents, f->record.extents, f->record.nr_extents * sizeof(struct extent));
	f->nr_slots = nr;
	ck_assert_uint_lt(++nr_found, MAX_RECORDS);
}

static void scan(bool mend)
{
	nr_pieces = nr_found = nr_damaged = nr_halves = 0;
	ck_assert_int_eq(table_scan(table, mend, see, NULL, &result), 0);
	qsort(pieces, nr_pieces, sizeof(pieces[0]), by_piece);
	for (unsigned from = 0, to; from < nr_pieces; from = to) {
		for (to = from + 1; to < nr_pieces && pieces[to].piece.id == pieces[from].piece.id &&
		     pieces[to].piece.version == pieces[from].piece.version; to++)
			;
		gather(from, to - from);
	}
}

/* As at a start: nothing is known but the superblock. */
static void rescan(void)
{
	table_free(table);
	ck_assert_int_eq(table_new(&table, media, &sb), 0);
	scan(true);
	ck_assert_int_eq(table_ready(table), 0);
}

/* ---- records ---- */

static char long_name[256];
static struct extent many[600];

static struct record make(uint64_t id, uint32_t version, uint8_t name_len, uint32_t nr_extents)
{
	memset(long_name, 'n', sizeof(long_name));
	for (unsigned i = 0; i < 600; i++)
		many[i] = (struct extent){ 512 * (2 * i + id), 512 };
	return (struct record){
		.kind = RECORD_ALLOC, .id = id, .version = version, .uid = 1000, .gid = 100, .mode = 0640, .object = (uint32_t)id,
		.created_ns = 77, .token = UINT64_C(0xfedcba987654) - id, .name = name_len ? long_name : NULL, .name_len = name_len, .extents = many, .nr_extents = nr_extents,
	};
}

static uint32_t stage(uint32_t *slots, const struct record *record)
{
	uint32_t nr = table_slots_for(record->name_len, record->nr_extents);

	ck_assert_uint_gt(nr, 0);
	ck_assert_int_eq(table_stage(table, record, slots, nr), 0);
	return nr;
}

static void commit(uint32_t *slots, const struct record *record)
{
	stage(slots, record);
	ck_assert_int_eq(table_settle(table, false), 0);
}

static void assert_same(const struct found *f, const struct record *record)
{
	ck_assert_uint_eq(f->record.id, record->id);
	ck_assert_uint_eq(f->record.version, record->version);
	ck_assert_uint_eq(f->record.uid, record->uid);
	ck_assert_uint_eq(f->record.gid, record->gid);
	ck_assert_uint_eq(f->record.mode, record->mode);
	ck_assert_uint_eq(f->record.object, record->object);
	ck_assert_uint_eq(f->record.created_ns, record->created_ns);
	ck_assert_uint_eq(f->record.token, record->token);
	ck_assert_uint_eq(f->record.name_len, record->name_len);
	if (record->name_len)
		ck_assert_mem_eq(f->name, record->name, record->name_len);
	ck_assert_uint_eq(f->record.nr_extents, record->nr_extents);
	ck_assert_mem_eq(f->extents, record->extents, record->nr_extents * sizeof(struct extent));
}

START_TEST(test_table_record_of_any_shape_is_read_back)
{
	static const struct { uint8_t name_len; uint32_t nr_extents, nr_slots; } shapes[] = {
		{ 0, 1, 1 }, { 1, 1, 1 }, { 48, 1, 1 }, { 49, 1, 2 }, { 0, 4, 1 }, { 0, 5, 2 }, { 255, 1, 4 }, { 255, 600, 103 }, { 8, 600, 101 },
		{ 16, 3, 1 }, { 17, 3, 2 }, { 0, 10, 2 }, { 0, 11, 3 },
	};
	static uint32_t slots[TABLE_MAX_PIECES];
	struct record record = make(5, 3, shapes[_i].name_len, shapes[_i].nr_extents);

	ck_assert_uint_eq(table_slots_for(record.name_len, record.nr_extents), shapes[_i].nr_slots);
	commit(slots, &record);
	ck_assert_uint_eq(table_nr_used(table), shapes[_i].nr_slots);
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	assert_same(&found[0], &record);
	ck_assert_uint_eq(table_nr_used(table), shapes[_i].nr_slots);
}
END_TEST

START_TEST(test_table_record_too_large_has_no_size)
{
	ck_assert_uint_eq(table_slots_for(255, TABLE_PAYLOAD_MAX / 16), 0);
	ck_assert_uint_eq(table_slots_for(0, UINT32_MAX), 0);
	ck_assert_uint_ne(table_slots_for(255, 4096), 0);
}
END_TEST

START_TEST(test_table_grows_by_chunks_until_it_is_full)
{
	uint32_t slots[4];

	ck_assert_uint_eq(sb.nr_chunks, 0);
	for (uint64_t i = 0; i < 2048; i++) {
		struct record record = make(i + 1, 1, 0, 1);

		ck_assert_uint_eq(stage(slots, &record), 1);
		ck_assert_uint_eq(slots[0], i);         /* low ones first: a start reads only chunks that exist */
		ck_assert_uint_eq(sb.nr_chunks, i / 1024 + 1);
	}
	ck_assert_int_eq(table_settle(table, false), 0);
	ck_assert_int_eq(table_stage(table, &(struct record){ .kind = RECORD_ALLOC, .extents = many, .nr_extents = 1 }, slots, 1), -ENFILE);
	ck_assert_uint_eq(table_nr_used(table), 2048);
}
END_TEST

START_TEST(test_table_retired_slots_come_back_after_the_settle)
{
	struct record record = make(1, 1, 255, 1), other = make(2, 1, 0, 1);
	uint32_t slots[4], more[4];

	commit(slots, &record);
	ck_assert_int_eq(table_retire(table, slots, 4), 0);
	stage(more, &other);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_ne(more[0], slots[i]);
	ck_assert_uint_eq(table_nr_used(table), 5);
	ck_assert_int_eq(table_settle(table, false), 0);
	ck_assert_uint_eq(table_nr_used(table), 1);
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	assert_same(&found[0], &other);
}
END_TEST

START_TEST(test_table_another_arenas_records_are_not_seen)
{
	struct record record = make(1, 1, 0, 1);
	uint32_t slots[1];

	commit(slots, &record);
	sb.uuid[3] ^= 1;
	sb.nr_chunks = 0;                       /* formatted */
	rescan();
	record.id = 2;
	commit(slots, &record);                 /* the chunk exists again */
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	ck_assert_uint_eq(found[0].record.id, 2);
	ck_assert_uint_eq(nr_damaged, 0);
	/* Even if nothing had been written over them. */
	sb.uuid[3] ^= 2;
	rescan();
	ck_assert_uint_eq(nr_found, 0);
}
END_TEST

START_TEST(test_table_slot_copied_to_another_place_is_bad)
{
	struct record record = make(1, 1, 0, 1);
	uint8_t bytes[TABLE_SLOT_SIZE];
	uint32_t slots[1];

	commit(slots, &record);
	for (int copy = 0; copy < 2; copy++) {
		ck_assert_int_eq(media_read(media, bytes, slot_off(table, copy, slots[0]), sizeof(bytes)), 0);
		ck_assert_int_eq(media_store(media, slot_off(table, copy, 700), bytes, sizeof(bytes)), 0);
	}
	rescan();
	ck_assert_uint_eq(nr_found, 1);
	ck_assert_uint_eq(nr_damaged, 1);
}
END_TEST

/* ---- two copies ---- */

enum copy { FREE, GOOD, BAD, ZERO, UNREADABLE, NR_COPIES };

static void make_copy(int copy, uint32_t number, enum copy what)
{
	uint64_t off = slot_off(table, copy, number), live = slot_live_word(table, number), zero[TABLE_SLOT_SIZE / 8] = { 0 };
	uint8_t byte;

	switch (what) {
	case FREE:
		media_store64(media, off, ~live);
		break;
	case GOOD:
		break;
	case BAD:
		media_read(media, &byte, off + 40, 1);
		byte ^= 1;
		media_store(media, off + 40, &byte, 1);
		break;
	case ZERO:
		media_store(media, off, zero, sizeof(zero));
		break;
	default:
		recorder_poison(rec, "dev", off, TABLE_SLOT_SIZE);
	}
}

/* FORMAT.md's table. */
START_TEST(test_table_two_copies_decide)
{
	enum copy a = (enum copy)(_i / NR_COPIES), b = (enum copy)(_i % NR_COPIES);
	bool live = a == GOOD || b == GOOD, is_free = !live && (a == FREE || b == FREE);
	bool can_mend = a != UNREADABLE && b != UNREADABLE;
	struct record record = make(1, 1, 3, 2);
	uint32_t slots[1];

	commit(slots, &record);
	make_copy(0, slots[0], a);
	make_copy(1, slots[0], b);
	scan(false);
	ck_assert_uint_eq(nr_found, live);
	ck_assert_uint_eq(nr_damaged, !live && !is_free);
	ck_assert_uint_eq(result.nr_mended, (live || is_free) && a != b);
	rescan();
	ck_assert_uint_eq(nr_found, live);
	if (live)
		assert_same(&found[0], &record);
	rescan();
	ck_assert_uint_eq(nr_found, live);
	if (can_mend)
		ck_assert_uint_eq(result.nr_mended, 0);
}
END_TEST

START_TEST(test_table_good_copies_that_differ_are_damage)
{
	struct record record = make(1, 1, 0, 1);
	uint8_t body[TABLE_SLOT_SIZE];
	uint32_t slots[1];
	uint64_t word;

	commit(slots, &record);
	record.id = 2;
	slot_encode(body, table, &record, slots[0], 0, 1);
	word = slot_live_word(table, slots[0]);
	memcpy(body, &word, sizeof(word));
	media_store(media, slot_off(table, _i, slots[0]), body, sizeof(body));
	rescan();
	ck_assert_uint_eq(nr_damaged, 1);
	ck_assert_uint_eq(nr_found, 0);
}
END_TEST

START_TEST(test_table_any_bit_flipped_in_one_copy_is_mended)
{
	struct record record = make(1, 1, 5, 1);
	uint32_t slots[1];

	commit(slots, &record);
	for (unsigned bit = 0; bit < TABLE_SLOT_SIZE * 8; bit++) {
		uint64_t off = slot_off(table, bit % 2, slots[0]) + bit / 8;
		uint8_t byte;

		media_read(media, &byte, off, 1);
		byte ^= (uint8_t)(1u << bit % 8);
		media_store(media, off, &byte, 1);
		rescan();
		ck_assert_uint_eq(nr_found, 1);
		ck_assert_uint_eq(result.nr_mended, 1);
		assert_same(&found[0], &record);
	}
}
END_TEST

START_TEST(test_table_damaged_slot_is_given_up)
{
	struct record record = make(1, 1, 0, 1);
	uint32_t slots[1], again[1];

	commit(slots, &record);
	make_copy(0, slots[0], BAD);
	make_copy(1, slots[0], ZERO);
	rescan();
	ck_assert_uint_eq(nr_damaged, 1);
	record.id = 2;
	commit(again, &record);                 /* not into what is damaged */
	ck_assert_uint_ne(again[0], slots[0]);
	ck_assert_int_eq(table_give_up(table, slots[0]), 0);
	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	ck_assert_uint_eq(nr_found, 1);
}
END_TEST

START_TEST(test_table_verify_mends_what_a_client_scribbled)
{
	struct record record = make(1, 1, 255, 1);
	uint32_t slots[4];
	uint64_t junk = 0x6b6e756a6b6e756a;

	commit(slots, &record);
	ck_assert_int_eq(table_verify(table, &record, slots, 4, true), 0);
	for (int copy = 0; copy < 2; copy++)
		media_store(media, slot_off(table, copy, slots[2]) + 48, &junk, sizeof(junk));
	ck_assert_int_eq(table_verify(table, &record, slots, 4, false), 1);
	ck_assert_int_eq(table_verify(table, &record, slots, 4, true), 1);
	ck_assert_int_eq(table_verify(table, &record, slots, 4, true), 0);
	rescan();
	assert_same(&found[0], &record);
}
END_TEST

/* ---- power cuts ---- */

/* What was done before is certain. */
static void start_log(void)
{
	struct image *image = image_copy(recorder_image(rec));

	recorder_load(rec, image);
	image_free(image);
}

/* Before each fence: every subset of up to 8 lines, else each line (of very many: some) alone, and all but it. */
static void each_state(void (*check)(bool settled))
{
	static struct image *images[MAX_STATES];
	struct cut *cut = cut_new(rec);
	size_t nr = 0, nr_before;
	bool more;

	do {
		size_t nr_lines = cut_nr_lines(cut), nr_states = nr_lines <= 8 ? (size_t)1 << nr_lines : 2 * nr_lines + 2;

		more = cut_next(cut);
		nr_before = nr;
		if (more && cut_next(cut)->op != RECORDER_FENCE)
			continue;
		for (size_t state = 0; state < nr_states; state += nr_lines > 256 ? nr_lines / 64 * 2 - 1 : 1) {
			static struct cut_choice choices[8192];

			ck_assert_uint_lt(nr_lines, 8192);
			for (size_t i = 0; i < nr_lines; i++) {
				bool in = nr_lines <= 8 ? state >> i & 1 : (state / 2 == i) == (state % 2 == 0);

				choices[i] = (struct cut_choice){ in ? cut_line(cut, i).nr_versions - 1 : 0, 0xff };
			}
			ck_assert_uint_lt(nr, MAX_STATES);
			images[nr++] = cut_image(cut, choices);
		}
	} while (cut_step(cut) || more);
	cut_free(cut);
	for (size_t i = 0; i < nr; i++) {
		recorder_load(rec, images[i]);
		image_free(images[i]);
		check(i >= nr_before);
	}
}

static struct record before, after;

static void check_absent_or_whole(bool settled)
{
	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	ck_assert_uint_le(nr_found, 1);
	ck_assert(nr_found == 1 || !settled);
	if (nr_found)
		assert_same(&found[0], &after);
}

START_TEST(test_table_commit_cut_is_whole_or_absent)
{
	static const uint8_t name_lens[] = { 3, 100, 255 };
	uint32_t slots[4], first[4];

	before = make(1, 1, 0, 1);
	commit(first, &before);                 /* the chunk exists */
	ck_assert_int_eq(table_retire(table, first, 1), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	start_log();
	after = make(2, 1, name_lens[_i], 1);
	commit(slots, &after);
	each_state(check_absent_or_whole);
}
END_TEST

static void check_present_or_gone(bool settled)
{
	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	ck_assert_uint_le(nr_found, settled ? 0 : 1);
	if (nr_found)
		assert_same(&found[0], &after);
}

START_TEST(test_table_retirement_cut_is_whole_or_absent)
{
	static const uint8_t name_lens[] = { 3, 100, 255 };
	uint32_t slots[4], nr;

	after = make(2, 1, name_lens[_i], 1);
	nr = stage(slots, &after);
	ck_assert_int_eq(table_settle(table, false), 0);
	start_log();
	ck_assert_int_eq(table_retire(table, slots, nr), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	each_state(check_present_or_gone);
}
END_TEST

static void check_old_or_new(bool settled)
{
	bool whole_new = false, whole_old = false;

	rescan();
	ck_assert_uint_eq(nr_damaged, 0);
	for (unsigned i = 0; i < nr_found; i++) {
		assert_same(&found[i], found[i].record.version == 1 ? &before : &after);
		whole_new |= found[i].record.version == 2;
		whole_old |= found[i].record.version == 1;
	}
	ck_assert(whole_new || whole_old);
	ck_assert(!settled || (whole_new && !whole_old && !nr_halves));
}

START_TEST(test_table_new_version_cut_is_old_or_new)
{
	uint32_t old[4], new[4], nr;

	before = make(2, 1, _i & 1 ? 200 : 3, 1);
	nr = stage(old, &before);
	ck_assert_int_eq(table_settle(table, false), 0);
	start_log();
	after = make(2, 2, _i & 2 ? 255 : 7, 1);
	stage(new, &after);
	ck_assert_int_eq(table_retire(table, old, nr), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	each_state(check_old_or_new);
}
END_TEST

/* The chunk's first use: nothing of what lay there before may be taken for a record. */
static void check_grown(bool settled)
{
	struct superblock again;
	int r = superblock_read(&again, NULL, media, 4096, false, NULL);

	ck_assert_int_eq(r, 0);
	sb = again;
	check_absent_or_whole(settled);
}

START_TEST(test_table_growth_cut_finds_no_ghost)
{
	uint32_t slots[4];

	ck_assert_int_eq(superblock_write(&sb, media), 0);
	start_log();
	after = make(2, 1, 3, 1);
	commit(slots, &after);
	each_state(check_grown);
}
END_TEST

/* A mend that is cut leaves what can be mended. */
START_TEST(test_table_mend_cut_can_be_mended_again)
{
	uint32_t slots[4];

	after = make(2, 1, 200, 1);
	commit(slots, &after);
	for (unsigned i = 0; i < 3; i++)
		make_copy(i == 1, slots[i], _i == 0 ? BAD : _i == 1 ? FREE : ZERO);
	start_log();
	rescan();
	ck_assert_uint_eq(result.nr_mended, 3);
	ck_assert_uint_eq(nr_found, 1);
	each_state(check_absent_or_whole);
}
END_TEST

/* A daemon was killed after the stores of a settle: what the next one reads is so also after a cut. */
START_TEST(test_table_what_a_scan_found_is_durable)
{
	uint32_t slots[1];

	after = make(2, 1, 3, 1);
	commit(slots, &after);
	start_log();
	recorder_forget(rec, RECORDER_FLUSH, RECORDER_ALL);
	ck_assert_int_eq(table_retire(table, slots, 1), 0);
	ck_assert_int_eq(table_settle(table, false), 0);
	recorder_forget(rec, RECORDER_FLUSH, UINT64_MAX);
	rescan();
	ck_assert_uint_eq(nr_found, 0);
	{
		struct cut *cut = cut_new(rec);
		struct image *image;

		while (cut_step(cut))
			;
		image = cut_image(cut, NULL);
		cut_free(cut);
		recorder_load(rec, image);
		image_free(image);
	}
	rescan();
	ck_assert_uint_eq(nr_found, 0);
}
END_TEST

/* ---- failures ---- */

START_TEST(test_table_failing_operation_is_reported)
{
	uint32_t slots[4];
	int r = -EIO;

	before = make(1, 1, 0, 1);
	commit(slots, &before);
	after = make(2, 1, 255, 1);
	for (uint64_t n = 0; r < 0; n++) {
		struct image *image = image_copy(recorder_image(rec));

		recorder_fail_from(rec, n);
		r = table_stage(table, &after, slots, 4);
		if (r == 0)
			r = table_settle(table, false);
		ck_assert(r == 0 || r == -EIO);
		recorder_load(rec, image);
		image_free(image);
		if (r < 0)
			rescan();
		ck_assert_uint_lt(n, 200);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *tc = tcase_create("table");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_table_record_of_any_shape_is_read_back, 0, 13);
	tcase_add_test(tc, test_table_record_too_large_has_no_size);
	tcase_add_test(tc, test_table_grows_by_chunks_until_it_is_full);
	tcase_add_test(tc, test_table_retired_slots_come_back_after_the_settle);
	tcase_add_test(tc, test_table_another_arenas_records_are_not_seen);
	tcase_add_test(tc, test_table_slot_copied_to_another_place_is_bad);
	tcase_add_loop_test(tc, test_table_two_copies_decide, 0, NR_COPIES * NR_COPIES);
	tcase_add_loop_test(tc, test_table_good_copies_that_differ_are_damage, 0, 2);
	tcase_add_test(tc, test_table_any_bit_flipped_in_one_copy_is_mended);
	tcase_add_test(tc, test_table_damaged_slot_is_given_up);
	tcase_add_test(tc, test_table_verify_mends_what_a_client_scribbled);
	tcase_add_loop_test(tc, test_table_commit_cut_is_whole_or_absent, 0, 3);
	tcase_add_loop_test(tc, test_table_retirement_cut_is_whole_or_absent, 0, 3);
	tcase_add_loop_test(tc, test_table_new_version_cut_is_old_or_new, 0, 4);
	tcase_add_test(tc, test_table_growth_cut_finds_no_ghost);
	tcase_add_loop_test(tc, test_table_mend_cut_can_be_mended_again, 0, 3);
	tcase_add_test(tc, test_table_what_a_scan_found_is_durable);
	tcase_add_test(tc, test_table_failing_operation_is_reported);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
