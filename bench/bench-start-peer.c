/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start-peer: objects with names, in a pool of libpmemobj and as files.
 */
#include <config.h>

#include "bench/bench-start-peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench-serve-crew.h"

/* ---- files ---- */

static int make_files(int dir, uint64_t nr)
{
	char name[32];

	for (uint64_t i = 0; i < nr; i++) {
		int fd;

		snprintf(name, sizeof(name), "object-%08" PRIu64, i);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		close(fd);
	}
	return 0;
}

/* Returns how many there are. */
static uint64_t walk_files(const char *path, bool remove)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	struct stat st;
	uint64_t nr = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		nr += fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (remove)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	return nr;
}

int start_peer_files(double *ms, unsigned rounds, const char *dir, uint64_t nr)
{
	char path[160];
	int fd, r;

	snprintf(path, sizeof(path), "%s/objects", dir);
	if (mkdir(path, 0700) < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : make_files(fd, nr);
	if (fd >= 0)
		close(fd);
	for (unsigned i = 0; r == 0 && i < rounds; i++) {
		uint64_t from = turn_now();

		if (walk_files(path, false) != nr)
			r = -EIO;
		ms[i] = (double)(turn_now() - from) / 1e6;
	}
	while (walk_files(path, true) > 0)
		;
	rmdir(path);
	return r;
}

/* ---- libpmemobj ---- */

#ifdef HAVE_PMEMOBJ

#include <libpmemobj.h>

#define LAYOUT "bench-start"

struct object {
	uint64_t off, len;
	char name[16];
};

static int make_objects(const char *path, uint64_t nr)
{
	PMEMobjpool *pool = pmemobj_create(path, LAYOUT, nr * 160 + (UINT64_C(64) << 20), 0600);
	int r = pool ? 0 : -EIO;

	for (uint64_t i = 0; r == 0 && i < nr; i++) {
		PMEMoid oid;
		struct object *object;

		if (pmemobj_zalloc(pool, &oid, sizeof(*object), 1) != 0) {
			r = -ENOSPC;
			break;
		}
		object = pmemobj_direct(oid);
		snprintf(object->name, sizeof(object->name), "o-%08" PRIu64, i % 100000000);
		pmemobj_persist(pool, object, sizeof(*object));
	}
	if (!pool)
		fprintf(stderr, "bench-start: libpmemobj: %s\n", pmemobj_errormsg());
	else
		pmemobj_close(pool);
	return r;
}

static uint64_t walk_objects(const char *path)
{
	PMEMobjpool *pool = pmemobj_open(path, LAYOUT);
	uint64_t nr = 0;

	if (!pool)
		return 0;
	for (PMEMoid oid = pmemobj_first(pool); !OID_IS_NULL(oid); oid = pmemobj_next(oid))
		nr += ((struct object *)pmemobj_direct(oid))->name[0] == 'o';
	pmemobj_close(pool);
	return nr;
}

int start_peer_pmemobj(double *ms, unsigned rounds, const char *dir, uint64_t nr)
{
	char path[160];
	int r;

	snprintf(path, sizeof(path), "%s/pool", dir);
	setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	r = make_objects(path, nr);
	for (unsigned i = 0; r == 0 && i < rounds; i++) {
		uint64_t from = turn_now();

		if (walk_objects(path) != nr)
			r = -EIO;
		ms[i] = (double)(turn_now() - from) / 1e6;
	}
	unlink(path);
	return r;
}

#else

int start_peer_pmemobj(double *ms, unsigned rounds, const char *dir, uint64_t nr)
{
	return -EOPNOTSUPP;
}

#endif
