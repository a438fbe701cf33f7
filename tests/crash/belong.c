/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belong: the parts of an arena (data device, metadata, ledger, plane) are put back separately,
 * each as it was at an older moment of a history or as it is, in every combination. What opens must
 * be all of the newest state: no allocation is missing, no id comes back, what somebody has mapped
 * is given to nobody, what is given reads as zeroes. Else it must be refused with a sentence. All
 * of one moment must open.
 *
 *	belong [--seeds N] [--seed N]           8 histories a flavour; by hand: more
 */
#include <config.h>

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena_change.h"
#include "daemon/arena/arena_find.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "tests/crash/history.h"
#include "tests/crash/judge.h"
#include "tests/crash/world.h"
#include "tests/standin/fake_device.h"

#define MiB (UINT64_C(1) << 20)

enum part { DATA, METADATA, LEDGER, PLANE, NR_PARTS };

static const char *const suffixes[NR_PARTS] = { [LEDGER] = ".ledger", [PLANE] = ".plane" };

/* How the newest state came to its end. */
enum end { KILLED, CLOSED, POWER_CUT, NR_ENDS };

static const char *const end_names[NR_ENDS] = { "killed", "closed", "power cut" };

/* A file of the runtime directory. */
struct file {
	char   name[300];
	void  *bytes;                           /* owned; NULL: it is not there */
	size_t len;
};

struct moment {
	struct image *image;                    /* owned */
	struct file files[NR_PARTS];
	uint64_t now;
};

struct trial {
	const struct flavour *flavour;
	uint64_t seed;
	enum end end;
	/* the client has a descriptor, which outlives the daemon */
	bool is_mapped;
	unsigned older;                         /* a bit a part */
	struct world world;
	struct model model;
	struct history history;
	struct moment then, last;
};

static unsigned nr_opened, nr_refused, nr_failed;

__attribute__((format(printf, 2, 3)))
static void fail(const struct trial *t, const char *fmt, ...)
{
	va_list ap;

	nr_failed++;
	fprintf(stderr, "FAILED: %s, seed %llu, %s%s, older:%s%s%s%s: ", t->flavour->name,
		(unsigned long long)t->seed, end_names[t->end], t->is_mapped ? ", mapped" : "",
		t->older & 1 << DATA ? " data" : "", t->older & 1 << METADATA ? " metadata" : "",
		t->older & 1 << LEDGER ? " ledger" : "", t->older & 1 << PLANE ? " plane" : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- moments ---- */

static void read_file(struct file *file, const char *dir, const char *name)
{
	char path[400];
	FILE *f;

	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f || fseek(f, 0, SEEK_END) < 0)
		err(2, "%s", path);
	file->len = (size_t)ftell(f);
	file->bytes = malloc(file->len + 1);
	rewind(f);
	if (!file->bytes || fread(file->bytes, 1, file->len, f) != file->len)
		err(2, "%s", path);
	fclose(f);
}

static void read_files(struct moment *moment, const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		for (unsigned i = LEDGER; i < NR_PARTS; i++)
			if (strstr(entry->d_name, suffixes[i]))
				read_file(&moment->files[i], dir, entry->d_name);
	if (d)
		closedir(d);
}

static void take(struct moment *moment, struct world *world, bool with_files)
{
	*moment = (struct moment){ .image = image_copy(recorder_image(world->rec)),
				   .now = world->now };
	if (with_files)
		read_files(moment, world->dir);
}

static void moment_fini(struct moment *moment)
{
	image_free(moment->image);
	for (unsigned i = 0; i < NR_PARTS; i++)
		free(moment->files[i].bytes);
}

/* One device of @image becomes what it is in @from. */
static void copy_device(struct image *image, const struct image *from, const char *path)
{
	static uint8_t piece[65536];
	int to_device = image_find(image, path), device = image_find(from, path);
	uint64_t size = device < 0 ? 0 : image_size(from, (unsigned)device);

	if (to_device < 0 || device < 0)
		return;
	image_zero(image, (unsigned)to_device, 0, size);
	for (uint64_t off = image_find_nonzero(from, (unsigned)device, 0, size); off < size;
	     off = image_find_nonzero(from, (unsigned)device, off, size - off)) {
		uint64_t at = off - off % sizeof(piece),
			 len = size - at < sizeof(piece) ? size - at : sizeof(piece);

		image_read(from, (unsigned)device, at, piece, len);
		image_write(image, (unsigned)to_device, at, piece, len);
		off = at + len;
		if (off >= size)
			break;
	}
}

static void put_file(const struct world *world, const struct file *file)
{
	char path[400];
	FILE *f;

	if (!file->bytes)
		return;
	snprintf(path, sizeof(path), "%s/%s", world->dir, file->name);
	f = fopen(path, "we");
	if (!f || fwrite(file->bytes, 1, file->len, f) != file->len || fclose(f) != 0)
		err(2, "%s", path);
}

/* The machine as it is when the operator has put back what is older. */
static void compose(struct trial *t)
{
	struct image *image = image_copy(t->last.image);

	if (t->older & 1 << DATA)
		copy_device(image, t->then.image, "dev");
	if (t->older & 1 << METADATA)
		copy_device(image, t->then.image, "meta");
	world_boot(&t->world, image);
	image_free(image);
	for (unsigned i = LEDGER; i < NR_PARTS; i++)
		put_file(&t->world, t->older & 1u << i ? &t->then.files[i] : &t->last.files[i]);
}

/* ---- what it must be ---- */

static bool meets(const struct version *version, struct extent e, uint64_t data_off)
{
	for (uint32_t i = 0; i < version->nr_extents; i++) {
		uint64_t off = data_off + (version->extents[i].off << DESC_SHIFT),
			 len = version->extents[i].len << DESC_SHIFT;

		if (off < e.off + e.len && e.off < off + len)
			return true;
	}
	return false;
}

/* Space of what is published, reserved, or freed and still open, in the newest state. */
static void check_hand_out(struct trial *t, const struct alloc *alloc, uint64_t now)
{
	const struct arena_identity *id = arena_identity(t->world.arena);
	const struct image *image = recorder_image(t->world.rec);
	unsigned device = world_data_device(&t->world);

	for (size_t i = 0; i < t->model.nr_objects; i++)
		if (t->model.objects[i].given <= now && t->model.objects[i].id >= alloc->id)
			fail(t, "id %llu was given out, and %llu before",
			     (unsigned long long)alloc->id,
			     (unsigned long long)t->model.objects[i].id);
	for (uint32_t x = 0; x < alloc->nr_extents; x++) {
		struct extent e = arena_extent(t->world.arena, alloc, x);
		uint64_t owner;

		if (image_find_nonzero(image, device, e.off, e.len) < e.off + e.len)
			fail(t, "what was given out does not read as zeroes: offset %llu",
			     (unsigned long long)e.off);
		owner = t->is_mapped && now == t->last.now ? mapped_find(&t->history.mapped, e) : 0;
		if (owner)
			fail(t, "space that allocation %llu had, and that is mapped, was given out",
			     (unsigned long long)owner);
		for (size_t i = 0; i < t->model.nr_objects && t->is_mapped && now == t->last.now;
		     i++) {
			const struct version *v = model_last(&t->model.objects[i]);

			if (v->state == OBJECT_RESERVED && meets(v, e, id->data_off))
				fail(t, "space that is reserved by %llu, and mapped, was given out",
				     (unsigned long long)t->model.objects[i].id);
		}
	}
}

static void take_free(struct trial *t, uint64_t now)
{
	struct caller caller = { .uid = 5000, .gid = 5000, .holder = t->world.holder };
	struct arena_ask ask = { .len = t->flavour->page_size };
	struct alloc *alloc;

	while (arena_reserve(&alloc, t->world.arena, &caller, &ask, &t->world.why) == 0) {
		arena_settle(t->world.arena);
		check_hand_out(t, alloc, now);
	}
}

static void check_open(struct trial *t, uint64_t now)
{
	struct verdict verdict = { 0 };

	nr_opened++;
	/* The sessions of before are over: what they reserved goes, but for what is mapped. */
	arena_leave(t->world.holder);
	arena_drop_orphans(t->world.arena);
	arena_settle(t->world.arena);
	if (arena_join(&t->world.holder, t->world.arena, WORLD_SESSION + 1, 5000) < 0)
		errx(2, "out of memory");
	judge_objects(&verdict, &t->world, &t->model, now, NULL);
	world_scrub_all(&t->world);
	arena_tick(t->world.arena);
	world_scrub_all(&t->world);
	take_free(t, now);
	judge_check(&verdict, &t->world);
	if (verdict.failed)
		fail(t, "%s", verdict.text);
	verdict_fini(&verdict);
}

static void try(struct trial *t, unsigned parts)
{
	bool is_then = t->older == parts, is_now = t->older == 0;
	int r;

	compose(t);
	if (t->is_mapped)
		fake_device_find("dev")->held[fake_device_find("dev")->nr_held++] =
			WORLD_SESSION * 2;
	r = world_open(&t->world);
	if (r < 0) {
		nr_refused++;
		if (is_then || is_now || r != -ESTALE)
			fail(t, "it does not open: %s: %s", strerror(-r), t->world.why.text);
		else if (!strstr(t->world.why.text, "older") &&
			 !strstr(t->world.why.text, "missing"))
			fail(t, "which of them is older is not said: %s", t->world.why.text);
	} else {
		check_open(t, is_then && !is_now ? t->then.now : t->last.now);
		world_kill(&t->world, false);
	}
	fake_device_find("dev")->nr_held = 0;
}

/* ---- the histories ---- */

static void run_history(struct trial *t, unsigned nr)
{
	static const enum history_op all[] = { OP_RESERVE, OP_CREATE, OP_CREATE,  OP_PUBLISH,
					       OP_ABORT,   OP_FREE,   OP_FREE,	  OP_RENAME,
					       OP_GROW,	   OP_SHRINK, OP_SETATTR, OP_CARVE,
					       OP_WRITE,   OP_CLOSE,  OP_SCRUB,	  OP_SCRUB,
					       OP_RESTART, OP_KILL };

	for (unsigned i = 0; i < nr && t->world.arena; i++) {
		history_step(&t->history,
			     all[history_random(&t->history.seed, sizeof(all) / sizeof(all[0]))]);
		if (t->world.arena)
			history_settle(&t->history);
	}
}

/* Somebody had the memory before: what is free is not zero until it is scrubbed. */
static void scribble(struct trial *t)
{
	struct image *image = image_new();
	uint64_t size = t->flavour->nr_pages * t->flavour->page_size + 4 * MiB;
	unsigned device = image_device(image, "dev", size);

	for (uint64_t off = 3 * MiB; off < size; off += 4096)
		image_scribble(image, device, off, 64, off + t->seed);
	world_boot(&t->world, image);
	image_free(image);
}

/* Free space with something in it, that nobody has scrubbed yet. */
static void leave_dirt(struct trial *t)
{
	static const enum history_op steps[] = { OP_CREATE, OP_CREATE, OP_CREATE, OP_WRITE,
						 OP_WRITE,  OP_WRITE,  OP_WRITE,  OP_WRITE,
						 OP_WRITE,  OP_FREE,   OP_FREE,	  OP_FREE,
						 OP_FREE };

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]) && t->world.arena; i++)
		history_step(&t->history, steps[i]);
	if (!t->world.arena)
		return;
	history_settle(&t->history);
	history_close_all(&t->history);
	history_settle(&t->history);
	arena_tick(t->world.arena);
	history_settle(&t->history);
}

static void end_run(struct trial *t)
{
	if (!t->world.arena)                    /* a history that failed has said so */
		return;
	if (t->end == CLOSED)
		world_close(&t->world);
	else
		world_kill(&t->world, false);
	take(&t->last, &t->world, t->end != POWER_CUT);
}

/* Two moments may be the same in all that counts: then nothing is wrong with any combination. */
static void run_trial(struct trial *t)
{
	unsigned parts = 1 << DATA;

	world_init(&t->world, t->flavour, 1024);
	model_init(&t->model);
	t->history = (struct history){ .world = &t->world,
				       .model = &t->model,
				       .seed = t->seed * 977 + t->end * 2 + t->is_mapped };
	scribble(t);
	if (world_open(&t->world) < 0)
		errx(2, "it does not open: %s", t->world.why.text);
	run_history(t, 6 + t->seed % 12);
	if (t->seed % 4 == 0)
		leave_dirt(t);
	take(&t->then, &t->world, t->end != POWER_CUT);
	/* Sometimes a scrub is all that happens between the two. */
	run_history(t, t->seed % 4);
	if (t->seed % 4 == 0)
		world_scrub_all(&t->world);
	end_run(t);
	if (t->flavour->apart)
		parts |= 1 << METADATA;
	if (t->end != POWER_CUT)
		parts |= 1 << LEDGER | 1 << PLANE;
	for (t->older = 0; t->older <= parts && !t->history.nr_failures; t->older++)
		if ((t->older & ~parts) == 0)
			try(t, parts);
	nr_failed += t->history.nr_failures;
	moment_fini(&t->then);
	moment_fini(&t->last);
	history_fini(&t->history);
	model_fini(&t->model);
	world_fini(&t->world);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", 1, NULL, 'n' },
		{ "seed", 1, NULL, 's' },
		/* For run-mutations, which says them to every program. */
		{ "seconds", 1, NULL, 'i' },
		{ "jobs", 1, NULL, 'i' },
		{ "stop", 0, NULL, 'i' },
		{ 0 }
	};
	uint64_t first = 1, nr = 8;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'n')
			nr = strtoull(optarg, NULL, 0);
		else if (opt == 's')
			first = strtoull(optarg, NULL, 0);
		else if (opt != 'i')
			return 64;
	}
	for (uint64_t seed = first; seed < first + nr; seed++)
		for (unsigned f = 0; f < nr_flavours; f++)
			for (unsigned end = 0; end < NR_ENDS * 2; end++) {
				struct trial t = { .flavour = &flavours[f],
						   .seed = seed,
						   .end = end / 2,
						   .is_mapped = end % 2 };

				if (t.end != POWER_CUT || !t.is_mapped)
					run_trial(&t);
			}
	printf("FIGURE belong: %u combinations, %u opened, %u refused, %u failures\n",
	       nr_opened + nr_refused, nr_opened, nr_refused, nr_failed);
	return world_exit(nr_failed ? 1 : 0);
}
