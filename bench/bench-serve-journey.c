/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * journey: a writer, and a reader that is told over a socket what to read. Both ways copy with the
 * same function of libpmem2.
 */
#include <config.h>

#include "bench/bench-serve-journey.h"

#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpmem2.h>

struct writer {
	const struct journey *journey;
	struct pma *pma;                /* NULL: files */
	pmem2_memcpy_fn copy;
	char    *source;                /* owned */
	char    *base;                  /* of the device's mapping, where one is kept */
	int      sock;                  /* to the reader; owned */
	pid_t    reader;
	char     path[128];
	void    *memory;                /* of the object under way, as all below */
	struct pma_mapping *map;
	struct pma_handle handle;
	int      fd;
};

static int connect_to(struct pma **pma, const struct journey *journey)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return r;
	pma_options_set_socket(options, journey->socket);
	r = pma_connect(pma, options);
	pma_options_free(options);
	return r;
}

/* ---- the whole device, mapped once ---- */

/* Each page too: whoever keeps a mapping has had its faults. */
static int map_device(char **base, struct pma *pma, bool read_only)
{
	int fd = pma_device_fd(pma, 0, read_only);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	*base = mmap(NULL, (size_t)st.st_size, read_only ? PROT_READ : PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, fd, 0);
	return *base == MAP_FAILED ? -errno : 0;
}

static int find_in(char **memory, char *base, struct pma *pma, struct pma_handle handle)
{
	struct pma_extent extent;
	size_t nr = 1;
	int r = pma_extents(&extent, &nr, pma, handle, 0);

	if (r == 0)
		*memory = base + extent.off;
	return r;
}

/* ---- the reader ---- */

/* The result is of no use; that every word was loaded is. */
static uint64_t read_all(const void *memory, uint64_t size)
{
	const uint64_t *words = memory;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < size / 8; i++)
		sum += words[i];
	return sum;
}

static int read_kept(struct pma *pma, char *base, struct pma_handle handle, uint64_t size, int sock)
{
	char *memory = NULL;
	uint64_t sum;
	int r = pma_open(&handle, pma, NULL, PMA_READ_ONLY);

	if (r == 0)
		r = find_in(&memory, base, pma, handle);
	if (r < 0)
		return r;
	sum = read_all(memory, size);
	if (send(sock, &sum, sizeof(sum), MSG_NOSIGNAL) < 0)
		return -errno;
	return pma_close(pma, handle);
}

static int read_allocation(struct pma *pma, struct pma_handle handle, uint64_t size, int sock)
{
	struct pma_mapping *map;
	uint64_t sum;
	int r = pma_open(&handle, pma, NULL, PMA_READ_ONLY);

	if (r == 0)
		r = pma_map(&map, pma, handle, PMA_MAP_READ);
	if (r < 0)
		return r;
	sum = read_all(pma_map_address(map), size);
	if (send(sock, &sum, sizeof(sum), MSG_NOSIGNAL) < 0)
		return -errno;
	pma_unmap(map);
	return pma_close(pma, handle);
}

static int read_file(const char *path, uint64_t size, int sock)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t sum;

	if (memory == MAP_FAILED)
		return -errno;
	sum = read_all(memory, size);
	if (send(sock, &sum, sizeof(sum), MSG_NOSIGNAL) < 0)
		return -errno;
	munmap(memory, size);
	close(fd);
	return 0;
}

static void read_for_ever(const struct journey *journey, const char *path, int sock)
{
	struct pma_handle handle;
	struct pma *pma = NULL;
	char *base = NULL;
	int r = journey->socket ? connect_to(&pma, journey) : 0;

	if (r == 0 && journey->keeps_mapping)
		r = map_device(&base, pma, true);
	while (r == 0 && recv(sock, &handle, sizeof(handle), 0) == sizeof(handle)) {
		if (base)
			r = read_kept(pma, base, handle, journey->size, sock);
		else
			r = pma ? read_allocation(pma, handle, journey->size, sock)
				: read_file(path, journey->size, sock);
	}
	if (r < 0)
		fprintf(stderr, "bench-serve: reader: %s (%s)\n", strerror(-r), pma_message());
	pma_disconnect(pma);
	_exit(0);
}

/* ---- the writer ---- */

/* Which function it is depends on the granularity alone: any mapping will do to ask for it. */
static int find_copy(pmem2_memcpy_fn *copy, struct journey *journey)
{
	struct pmem2_source *source;
	struct pmem2_map *map;
	int r = pmem2_source_from_anon(&source, 4096);

	if (r == 0)
		r = pmem2_map_from_existing(&map, source, journey, 4096,
					    PMEM2_GRANULARITY_CACHE_LINE);
	if (r == 0)
		*copy = pmem2_get_memcpy_fn(map);
	return r;
}

static int open_writer(void **context, const void *arg, unsigned index)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	void *page = aligned_alloc(4096, 4096);
	int pair[2], r;

	writer->journey = arg;
	writer->source = malloc(writer->journey->size);
	memset(writer->source, 1, writer->journey->size);
	snprintf(writer->path, sizeof(writer->path), "%s/object", writer->journey->dir);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	writer->reader = fork();
	if (writer->reader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[1]);
		read_for_ever(writer->journey, writer->path, pair[0]);
	}
	close(pair[0]);
	writer->sock = pair[1];
	r = find_copy(&writer->copy, page);
	if (r == 0 && writer->journey->socket)
		r = connect_to(&writer->pma, writer->journey);
	if (r == 0 && writer->journey->keeps_mapping)
		r = map_device(&writer->base, writer->pma, false);
	*context = writer;
	return r;
}

static void close_writer(void *context)
{
	struct writer *writer = context;

	pma_disconnect(writer->pma);
	close(writer->sock);
	waitpid(writer->reader, NULL, 0);
	free(writer->source);
	free(writer);
}

static int make_allocation(struct writer *writer)
{
	uint64_t size = writer->journey->size;
	char *memory = NULL;
	int r = pma_reserve(&writer->handle, writer->pma, NULL, size, 0);

	if (r == 0 && writer->base)
		r = find_in(&memory, writer->base, writer->pma, writer->handle);
	else if (r == 0)
		r = pma_map(&writer->map, writer->pma, writer->handle, PMA_MAP_WRITE);
	if (r < 0)
		return r;
	writer->copy(writer->base ? memory : pma_map_address(writer->map), writer->source, size, 0);
	return pma_publish(writer->pma, writer->handle);
}

/* Under another name until it is whole. */
static int make_file(struct writer *writer)
{
	uint64_t size = writer->journey->size;
	char part[160];

	snprintf(part, sizeof(part), "%s.part", writer->path);
	writer->fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (writer->fd < 0 || fallocate(writer->fd, 0, 0, (off_t)size) < 0)
		return -errno;
	writer->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, writer->fd, 0);
	if (writer->memory == MAP_FAILED)
		return -errno;
	writer->copy(writer->memory, writer->source, size, 0);
	return rename(part, writer->path) < 0 ? -errno : 0;
}

static int drop_allocation(struct writer *writer)
{
	if (!writer->base)
		pma_unmap(writer->map);
	return pma_free(writer->pma, writer->handle);
}

static int drop_file(struct writer *writer)
{
	munmap(writer->memory, writer->journey->size);
	close(writer->fd);
	return unlink(writer->path) < 0 ? -errno : 0;
}

static int be_read(struct writer *writer)
{
	uint64_t sum;

	if (send(writer->sock, &writer->handle, sizeof(writer->handle), MSG_NOSIGNAL) < 0)
		return -errno;
	return recv(writer->sock, &sum, sizeof(sum), 0) == sizeof(sum) ? 0 : -EPIPE;
}

static int work(struct turn *turn, void *context, const void *arg)
{
	struct writer *writer = context;
	int r;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now(), between, to;

		r = writer->pma ? make_allocation(writer) : make_file(writer);
		/*
		 * What is freed is only free again when nobody can have it mapped: one round
		 * through the arena.
		 */
		if (r == -ENOSPC && writer->base)
			return 0;
		if (r == 0)
			r = be_read(writer);
		between = turn_now();
		if (r == 0)
			r = writer->pma ? drop_allocation(writer) : drop_file(writer);
		if (r < 0)
			return r;
		to = turn_now();
		turn_note(turn, PHASE_THERE, from, between, 1);
		turn_note(turn, PHASE_BACK, between, to, 1);
		turn_note(turn, PHASE_BOTH, from, to, 1);
	}
	return 0;
}

int journey_run(struct timing timings[NR_PHASES], const struct journey *journey)
{
	struct crew_plan plan = {
		.nr = 1,
		.nr_threads = 1,
		.placement = journey->placement,
		.seconds = journey->seconds,
		.open = open_writer,
		.close = close_writer,
		.work = work,
		.arg = journey,
	};

	return crew_run(timings, &plan);
}
