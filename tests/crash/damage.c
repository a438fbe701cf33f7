/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * damage: flips bits, zeroes and garbles blocks, brings back old ones, and forges records, over
 * superblocks, table and zero map; then opens, looks, changes, repairs, opens again. One copy
 * repairs the other; what lost both is never guessed at; nothing is handed out before a repair;
 * nothing crashes.
 */
#include <config.h>

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_check.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "tests/crash/explorer.h"
#include "tests/crash/history.h"
#include "tests/crash/injury.h"
#include "tests/crash/judge.h"

#define BATCH 200u              /* cases of one process and one patient */

enum treatment { INJURED, UNREADABLE, FORGED };

struct ward {
	struct world world;
	struct patient patient;
	uint64_t seed, number;          /* of the case */
	struct verdict verdict;
	struct tally *tally;
};

static const char usage[] =
	"usage: damage [--flips N] [--seconds N] [--seed N] [--number N] [--stop] [--jobs N]\n"
	"  --flips   bits to flip in all (100000)      --number  only this case\n";

/* ---- what is tried ---- */

static void expect(struct ward *w, bool is, const char *what)
{
	if (!is)
		verdict_fail(&w->verdict, "%s (%s)", what, w->world.why.text);
}

static struct caller caller_of(const struct ward *w, uint32_t uid)
{
	return (struct caller){ .uid = uid, .gid = uid, .holder = w->world.holder };
}

static int reserve(struct ward *w, uint64_t len)
{
	struct caller caller = caller_of(w, 1000);
	struct alloc *alloc;

	return arena_reserve(&alloc, w->world.arena, &caller, &(struct arena_ask){ .len = len },
			     &w->world.why);
}

/* Something to each that is left, whatever is odd about it; a refusal is fine. */
static void use_all(struct ward *w)
{
	struct arena *arena = w->world.arena;
	struct caller root = caller_of(w, 0);
	static const struct arena_attrs private_of_1001 = {
		.which = ARENA_SET_UID | ARENA_SET_MODE, .uid = 1001, .mode = 0600,
	};

	for (struct alloc *a = arena_next_slot(arena, 0), *next; a; a = next) {
		uint64_t len = alloc_bytes(a), page = w->world.flavour->page_size;

		next = arena_next_slot(arena, a->slot + 1);
		switch (a->id % 6) {
		case 0: arena_rename(arena, &root, a, "renamed", 7, NULL); break;
		case 1: arena_resize(arena, &root, a, len + page, NULL); break;
		case 2: arena_resize(arena, &root, a, len / 2 ? len / 2 : 1, NULL); break;
		case 3: arena_setattr(arena, &root, a, &private_of_1001, NULL); break;
		case 4: arena_free_alloc(arena, &root, a, true, NULL); break;
		default: arena_open_alloc(arena, &root, a, false, NULL); break;
		}
	}
	arena_settle(arena);
	world_scrub_all(&w->world);
}

static bool is_state(const struct ward *w, enum arena_state state)
{
	const char *reason;

	return arena_state(w->world.arena, &reason) == state;
}

/* Offline and read-only: says what is wrong, and touches nothing. */
static void check_offline(struct ward *w, const struct image *image, bool is_ill)
{
	struct arena_params params = w->world.params;
	int64_t nr = arena_check_device(&params, false, NULL, NULL, NULL, &w->world.why);

	expect(w, image_equal(recorder_image(w->world.rec), image),
	       "an offline check has changed something");
	expect(w, !is_ill || nr != 0, "an offline check finds nothing");
}

/* What nobody can say any more whose it is, is not dirt yet. */
static void check_untouched(struct ward *w)
{
	const struct patient *p = &w->patient;
	unsigned device = world_data_device(&w->world);
	uint8_t was[4096], is[4096];

	for (size_t i = 0; i < p->model.nr_objects; i++) {
		const struct version *last = model_last(&p->model.objects[i]);

		if (last->state != OBJECT_PUBLISHED ||
		    arena_find(w->world.arena, p->model.objects[i].slot, p->model.objects[i].id))
			continue;
		for (uint64_t pfn = last->extents[0].off;
		     pfn < last->extents[0].off + last->extents[0].len; pfn++) {
			uint64_t off = p->sb.data_off + (pfn << DESC_SHIFT);

			image_read(p->image, device, off, was, sizeof(was));
			image_read(recorder_image(w->world.rec), device, off, is, sizeof(is));
			expect(w, memcmp(was, is, sizeof(was)) == 0,
			       "the contents of a damaged record's space are gone before the "
			       "repair");
		}
	}
}

/* Before a repair nothing new is given out; what is whole goes on. */
static void check_damaged(struct ward *w)
{
	uint64_t page = w->world.flavour->page_size;
	const struct alloc *alloc = arena_next_slot(w->world.arena, 0);
	struct caller root = caller_of(w, 0);

	expect(w, is_state(w, ARENA_DAMAGED), "it is not said to be damaged");
	expect(w, reserve(w, page) == -EUCLEAN, "a damaged arena makes new allocations");
	if (alloc)
		expect(w,
		       arena_resize(w->world.arena, &root,
				    arena_find(w->world.arena, alloc->slot, alloc->id),
				    alloc_bytes(alloc) + 8 * page, &w->world.why) < 0,
		       "a damaged arena grows one");
	world_scrub_all(&w->world);
	if (w->number % 5 != 4)
		check_untouched(w);
	expect(w, arena_repair(w->world.arena, true, NULL, NULL) > 0,
	       "a dry repair has nothing to do");
	expect(w, is_state(w, ARENA_DAMAGED), "a dry repair has repaired");
	expect(w, arena_repair(w->world.arena, false, NULL, NULL) > 0,
	       "a repair has nothing to do");
}

static void open_again(struct ward *w)
{
	world_close(&w->world);
	expect(w, world_open(&w->world) == 0, "it does not open again");
	if (w->world.arena)
		expect(w, is_state(w, ARENA_ONLINE), "it is not online when it is opened again");
}

/* ---- cases ---- */

static void look_after(struct ward *w, const struct image *image, const struct prognosis *prognosis)
{
	struct model known = w->patient.model, *model = &known;

	if (prognosis->forgets_bad)
		known.nr_bad = 0;
	if (w->number % 4 == 0)
		check_offline(w, image, prognosis->nr_damaged > 0);
	expect(w, world_open(&w->world) == 0, "it does not open");
	if (!w->world.arena)
		return;
	judge_objects(&w->verdict, &w->world, model, w->patient.now, prognosis->seen);
	if (prognosis->nr_damaged)
		check_damaged(w);
	expect(w, is_state(w, ARENA_ONLINE), "it is not online");
	judge_check(&w->verdict, &w->world);
	judge_objects(&w->verdict, &w->world, model, w->patient.now, prognosis->seen);
	judge_free(&w->verdict, &w->world, model, w->patient.now);
	open_again(w);
	if (!w->world.arena)
		return;
	judge_check(&w->verdict, &w->world);
	judge_objects(&w->verdict, &w->world, model, w->patient.now, prognosis->seen);
}

/*
 * Both superblocks of a device are gone. What is left may be somebody's: nothing makes a new arena
 * of it by itself.
 */
static void look_at_dead(struct ward *w)
{
	int r;

	w->world.params.format = ARENA_FORMAT_NEVER;
	r = world_open(&w->world);
	expect(w, r < 0, "it opens without a superblock");
	expect(w, r == -EUCLEAN || r == -ENODATA || r == -EEXIST || r == -EINVAL,
	       "it fails in another way");
	w->world.params.format = ARENA_FORMAT_NEVER;
	arena_check_device(&w->world.params, false, NULL, NULL, NULL, NULL);
}

static unsigned run_injured(struct ward *w, uint64_t *seed)
{
	struct image *image = image_copy(w->patient.image);
	unsigned nr_bits = 0, nr = 1 + (unsigned)history_random(seed, 12);
	struct prognosis prognosis;

	for (unsigned i = 0; i < nr; i++)
		nr_bits += injure(image, &w->patient, seed);
	prognosis_make(&prognosis, image, &w->patient);
	world_boot(&w->world, image);
	if (prognosis.mixed)
		expect(w, world_open(&w->world) < 0 || prognosis.dead,
		       "it opens with superblocks of two arenas");
	else if (prognosis.dead)
		look_at_dead(w);
	else
		look_after(w, image, &prognosis);
	prognosis_fini(&prognosis);
	image_free(image);
	return nr_bits;
}

/*
 * The memory itself does not answer, then it does again. Whatever is tried meanwhile may fail, and
 * must not harm.
 */
static void run_unreadable(struct ward *w, uint64_t *seed)
{
	const struct patient *p = &w->patient;
	const char *path = image_path(p->image, p->meta_device);
	unsigned copy = (unsigned)history_random(seed, 2);

	world_boot(&w->world, p->image);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t off[] = { copy ? p->sb.poison_unit : 0, p->sb.zero_off[copy],
					 p->sb.table_off[copy] };
		uint64_t at = off[i] + (i == 2 ? history_random(seed, 200) * 64 : 0);

		if (history_random(seed, 2))
			recorder_poison(w->world.rec, path, at,
					i ? 64u << history_random(seed, 6) : SUPERBLOCK_SIZE);
	}
	expect(w, world_open(&w->world) == 0, "it does not open");
	if (!w->world.arena)
		return;
	expect(w, is_state(w, ARENA_ONLINE), "it is not online");
	judge_objects(&w->verdict, &w->world, &p->model, p->now, NULL);
	reserve(w, w->world.flavour->page_size);
	world_scrub_all(&w->world);
	arena_check(w->world.arena, NULL, NULL);
	world_kill(&w->world, false);
	recorder_cure(w->world.rec);
	expect(w, world_open(&w->world) == 0, "it does not open when its memory is well again");
	if (!w->world.arena)
		return;
	judge_objects(&w->verdict, &w->world, &p->model, p->now, NULL);
	judge_check(&w->verdict, &w->world);
}

/*
 * Nonsense with a right checksum. Anything may come of it but a crash, and two with the same space.
 */
static void run_forged(struct ward *w, uint64_t *seed)
{
	struct image *image = image_copy(w->patient.image);
	unsigned nr = 1 + (unsigned)history_random(seed, 3);

	for (unsigned i = 0; i < nr; i++)
		forge(image, &w->patient, seed);
	world_boot(&w->world, image);
	if (w->number % 4 == 0)
		check_offline(w, image, false);
	image_free(image);
	if (world_open(&w->world) < 0)
		return;
	expect(w, arena_check_memmap(w->world.arena, NULL, NULL) == 0, "two have the same space");
	if (is_state(w, ARENA_DAMAGED))
		check_damaged(w);
	expect(w, is_state(w, ARENA_ONLINE), "it is not online");
	arena_verify_step(w->world.arena, UINT32_MAX);  /* bytes that mean nothing are taken away */
	judge_check(&w->verdict, &w->world);
	use_all(w);
	expect(w, arena_check_memmap(w->world.arena, NULL, NULL) == 0,
	       "two have the same space after a change");
	judge_free(&w->verdict, &w->world, NULL, 0);
	open_again(w);
	if (w->world.arena)
		judge_check(&w->verdict, &w->world);
}

static void run_case(struct ward *w, uint64_t number)
{
	uint64_t seed = (w->seed * 1000003 + number) * 2 + 1;
	unsigned nr_bits = 0;

	w->number = number;
	w->verdict = (struct verdict){ 0 };
	w->world.why.text[0] = '\0';
	for (unsigned i = 0; i < 4; i++)
		history_random(&seed, 1);
	snprintf(w->tally->where, sizeof(w->tally->where),
		 "damage --seed %" PRIu64 " --number %" PRIu64, w->seed, number);
	if (number % 5 == 4)
		run_forged(w, &seed);
	else if (number % 10 == 3)
		run_unreadable(w, &seed);
	else
		nr_bits = run_injured(w, &seed);
	if (w->world.arena)
		world_kill(&w->world, false);
	w->tally->states++;
	w->tally->points += nr_bits;
	if (w->verdict.failed) {
		w->tally->failures++;
		fprintf(stderr, "FAILED: %s\n  %s (%s)\n", w->verdict.text, w->tally->where,
			w->world.flavour->name);
	}
	verdict_fini(&w->verdict);
}

/* All cases of a batch have one patient. */
static uint64_t run_batch(struct tally *tally, uint64_t seed, uint64_t number, uint64_t end)
{
	struct ward w = { .seed = seed, .tally = tally };
	uint64_t batch = number / BATCH, failures = tally->failures;

	world_init(&w.world, &flavours[batch % nr_flavours], 1024);
	patient_init(&w.patient, &w.world, seed * 7919 + batch + 1);
	w.world.params.format = ARENA_FORMAT_NEVER;
	for (; number < end; number++)
		run_case(&w, number);
	patient_fini(&w.patient);
	world_fini(&w.world);
	return tally->failures - failures;
}

/* ---- all ---- */

struct options {
	uint64_t seed, flips, number;
	bool one, stop;
};

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "flips", 1, NULL, 'f' }, { "seed", 1, NULL, 's' },	{ "number", 1, NULL, 'n' },
		{ "stop", 0, NULL, 'x' },  { "seconds", 1, NULL, 't' }, { "jobs", 1, NULL, 'j' },
		{ "bound", 1, NULL, 'j' }, { "sample", 1, NULL, 'j' },	{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'f': o->flips = strtoull(optarg, NULL, 0); break;
		case 's': o->seed = strtoull(optarg, NULL, 0); break;
		case 'n': o->number = strtoull(optarg, NULL, 0); o->one = true; break;
		case 'x': o->stop = true; break;
		case 't': /* as run-mutations gives them to all: no matter here */
		case 'j': break;
		default:  fputs(usage, stderr); exit(64);
		}
	}
}

static void run_child(struct tally *tally, const struct options *o, uint64_t number)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (pid == 0)
		exit(run_batch(tally, o->seed, number, number + BATCH) ? 1 : 0);
	if (waitpid(pid, &status, 0) < 0)
		err(2, "waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) < 2)
		return;
	tally->failures++;
	fprintf(stderr, "FAILED: died with status %#x\n  %s\n", (unsigned)status, tally->where);
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1, .flips = 100000 };
	struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	parse(&o, argc, argv);
	if (tally == MAP_FAILED)
		err(2, "mmap");
	if (o.one)
		run_batch(tally, o.seed, o.number, o.number + 1);
	for (uint64_t number = 0; !o.one && tally->points < o.flips && !(o.stop && tally->failures);
	     number += BATCH)
		run_child(tally, &o, number);
	printf("FIGURE damage: %llu injured arenas, %llu bits, %llu failures, seed %" PRIu64 "\n",
	       (unsigned long long)tally->states, (unsigned long long)tally->points,
	       (unsigned long long)tally->failures, o.seed);
	return tally->failures ? 1 : 0;
}
