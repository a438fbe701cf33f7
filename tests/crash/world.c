/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts around an arena, and the ways in which they go down and come up again. It knows no
 * operation and no model.
 */
#include <config.h>

#include "tests/crash/world.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "daemon/arena/arena_holder.h"
#include "daemon/arena/arena_tick.h"
#include "daemon/log.h"
#include "tests/standin/fake_device.h"

#define MiB (UINT64_C(1) << 20)
#define KiB (UINT64_C(1) << 10)

const struct flavour flavours[] = {
	{ "file-apart-4k", DEVICE_FILE, 4 * KiB, true,  4 * KiB, 512 },
	{ "dax-4k",        DEVICE_DAX,  4 * KiB, false, 4 * KiB, 512 },
	{ "dax-2m",        DEVICE_DAX,  2 * MiB, false, 2 * MiB, 8 },
	{ "file-2m",       DEVICE_FILE, 4 * KiB, false, 2 * MiB, 8 },
	{ "dax-apart-2m",  DEVICE_DAX,  2 * MiB, true,  2 * MiB, 8 },
};
const unsigned nr_flavours = sizeof(flavours) / sizeof(flavours[0]);

const struct flavour *find_flavour(const char *name)
{
	for (unsigned i = 0; i < nr_flavours; i++)
		if (strcmp(flavours[i].name, name) == 0)
			return &flavours[i];
	return NULL;
}

/* ---- the scrubber: what it is asked waits until world_scrub() ---- */

void __real_scrubber_submit(struct scrubber *scrubber, struct scrub_job *job);
void __real_scrubber_cancel(struct scrubber *scrubber, const void *owner);
void __wrap_scrubber_submit(struct scrubber *scrubber, struct scrub_job *job);
void __wrap_scrubber_cancel(struct scrubber *scrubber, const void *owner);

static STAILQ_HEAD(, scrub_job) waiting = STAILQ_HEAD_INITIALIZER(waiting);

void __wrap_scrubber_submit(struct scrubber *scrubber, struct scrub_job *job)
{
	(void)scrubber;
	STAILQ_INSERT_TAIL(&waiting, job, link);
}

void __wrap_scrubber_cancel(struct scrubber *scrubber, const void *owner)
{
	struct scrub_job *job, *next;

	STAILQ_FOREACH_SAFE(job, &waiting, link, next)
		if (job->owner == owner)
			STAILQ_REMOVE(&waiting, job, scrub_job, link);
	__real_scrubber_cancel(scrubber, owner);
}

bool world_scrub(struct world *world, uint64_t n)
{
	struct scrub_job *job;
	uint64_t nr = 0;

	STAILQ_FOREACH(job, &waiting, link)
		nr++;
	if (nr == 0)
		return false;
	n %= nr;
	STAILQ_FOREACH(job, &waiting, link)
		if (n-- == 0)
			break;
	STAILQ_REMOVE(&waiting, job, scrub_job, link);
	recorder_be_thread(WORLD_SCRUBBER);
	__real_scrubber_submit(world->scrubber, job);
	recorder_be_thread(-1);
	return true;
}

void world_scrub_all(struct world *world)
{
	do
		while (arena_collect(world->scrubber))
			;
	while (world_scrub(world, 0));
}

/* ---- the same names each time ---- */

void __wrap_uuid_generate(uuid_t out);

static uint64_t nr_uuids;

void __wrap_uuid_generate(uuid_t out)
{
	uint64_t x = ++nr_uuids * UINT64_C(0x9e3779b97f4a7c15),
		 y = x * UINT64_C(0xbf58476d1ce4e5b9);

	memcpy(out, &x, 8);
	memcpy(out + 8, &y, 8);
}

/* ---- up and down ---- */

static void renew_quota(struct world *world)
{
	quota_free(world->quota);
	if (quota_new(&world->quota) < 0)
		errx(2, "out of memory");
	world->params.quota = world->quota;
}

static void make_dir(struct world *world)
{
	snprintf(world->dir, sizeof(world->dir), "%s/pmemarena-crash-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(world->dir))
		err(2, "%s", world->dir);
}

/* The runtime directory is empty after a boot. */
static void clear_dir(struct world *world)
{
	DIR *dir = opendir(world->dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

static void add_devices(const struct flavour *flavour)
{
	uint64_t size = flavour->nr_pages * flavour->page_size + 4 * MiB;

	fake_device_add(flavour->kind, "dev", size, flavour->align);
	if (flavour->apart)
		fake_device_add(flavour->kind, "meta", 4 * MiB, flavour->align);
}

void world_init(struct world *world, const struct flavour *flavour, uint64_t nr_slots)
{
	*world = (struct world){ .flavour = flavour, .mark_fd = -1 };
	nr_uuids = 0;
	/*
	 * Each of thousands of worlds is formatted and distrusted; the verdicts are the test's to
	 * say.
	 */
	log_set_level(LOG_LEVEL_ERROR);
	world->rec = recorder_new();
	if (scrubber_new(&world->scrubber, 0, 0) < 0)
		errx(2, "out of memory");
	make_dir(world);
	add_devices(flavour);
	world->params = (struct arena_params){
		.name = "test",
		.device = "dev",
		.metadata = flavour->apart ? "meta" : "device",
		.page_size = flavour->page_size,
		.nr_slots = nr_slots,
		.format = ARENA_FORMAT_IF_BLANK,
		.numa_node = -1,
		.runtime_dir = world->dir,
		.scrubber = world->scrubber,
	};
	renew_quota(world);
}

/* A process that was forked may have the descriptor too: so the lock is taken off it. */
void world_unmap(struct world *world)
{
	struct flock lock = { .l_type = F_UNLCK };

	if (world->mark_fd >= 0) {
		fcntl(world->mark_fd, F_OFD_SETLK, &lock);
		close(world->mark_fd);
	}
	world->mark_fd = -1;
}

void world_fini(struct world *world)
{
	if (world->arena)
		world_kill(world, false);
	world_unmap(world);
	clear_dir(world);
	rmdir(world->dir);
	scrubber_free(world->scrubber);
	quota_free(world->quota);
	recorder_free(world->rec);
	fake_device_reset();
}

/* As a client that comes back attaches again; its mark is never gone in between. */
static int renew_mark(struct world *world)
{
	int fd;
	int r = arena_attach(&fd, world->holder, false);

	if (r < 0)
		return r;
	world_unmap(world);
	world->mark_fd = fd;
	return 0;
}

static int open_client(struct world *world)
{
	const struct arena_identity *id = arena_identity(world->arena);
	/* Only the loop must not use it so. */
	struct device *device = (struct device *)(uintptr_t)arena_device(world->arena);
	int r = media_open(&world->client, device, id->data_off, id->size, &world->why);

	if (r == 0)
		r = arena_join(&world->holder, world->arena, WORLD_SESSION, 1000);
	return r < 0 ? r : renew_mark(world);
}

int world_open(struct world *world)
{
	int r;

	world->why.text[0] = '\0';
	r = arena_open(&world->arena, &world->params, &world->why);
	if (r < 0) {
		world->arena = NULL;
		return r;
	}
	r = open_client(world);
	if (r < 0)
		world_kill(world, false);
	return r;
}

void world_close(struct world *world)
{
	media_close(world->client);
	arena_close(world->arena);
	world->arena = NULL;
	world->client = NULL;
	world->holder = NULL;
	renew_quota(world);
}

/*
 * With a daemon that was killed goes its lock of the ledger: here its mapping is still there, and
 * would hold it.
 */
static void unlock_ledgers(void)
{
	struct flock lock = { .l_type = F_UNLCK };
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	char path[4096];

	while (dir && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, path, sizeof(path) - 1);

		path[len > 0 ? len : 0] = '\0';
		if (strstr(path, ".ledger"))
			fcntl(atoi(entry->d_name), F_OFD_SETLK, &lock);
	}
	if (dir)
		closedir(dir);
}

static bool has_leaked;

int world_exit(int status)
{
	fflush(NULL);
	if (has_leaked)
		_exit(status);
	return status;
}

/* Nobody will ever free what a killed daemon had. */
static void forget_daemon(struct world *world)
{
	static const char *const paths[] = { "dev", "meta" };

	STAILQ_INIT(&waiting);
	unlock_ledgers();
	while (scrubber_collect(world->scrubber))
		;
	for (unsigned i = 0; i < 2; i++)
		if (fake_device_find(paths[i]))
			fake_device_find(paths[i])->is_open = false;
	world->quota = NULL;
	world->leaks = has_leaked = true;
}

void world_kill(struct world *world, bool jumped)
{
	recorder_be_thread(-1);
	if (jumped) {
		forget_daemon(world);
	} else {
		recorder_fail_from(world->rec, 0);
		media_close(world->client);
		arena_close(world->arena);
	}
	recorder_revive(world->rec);
	world->arena = NULL;
	world->client = NULL;
	world->holder = NULL;
	renew_quota(world);
}

void world_boot(struct world *world, const struct image *image)
{
	recorder_load(world->rec, image);
	world_unmap(world);
	clear_dir(world);
	renew_quota(world);
}

uint64_t world_mark(struct world *world)
{
	recorder_mark(world->rec, ++world->now);
	return world->now;
}

unsigned world_data_device(const struct world *world)
{
	return (unsigned)image_find(recorder_image(world->rec), "dev");
}
