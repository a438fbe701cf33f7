/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * durable: the only file of the library that knows libpmem2. Its functions depend on the
 * granularity alone, so each granularity is asked for once, by a mapping of a page that nobody
 * uses: version 1.12 does not free all that pmem2_map_from_existing() allocates, and it crashes
 * when it is asked about a device-dax with no NVDIMM namespace behind it.
 *
 * Page-granular memory is not libpmem2's: its functions cannot say that writing back failed.
 */
#include <config.h>

#include "lib/memory/durable.h"

#include <errno.h>
#include <libpmem2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "lib/error.h"

#define HOST_PAGE 4096
#define MAX_ERRNO 4095

/* Filled by the first durable_init(); for PMA_BYTE and PMA_CACHE_LINE. */
static struct means {
	struct pmem2_map *map;          /* kept for the life of the process */
	pmem2_persist_fn persist;
	pmem2_flush_fn   flush;
	pmem2_drain_fn   drain;
	pmem2_memcpy_fn  memcpy;
	pmem2_memset_fn  memset;
} all_means[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_ready;                   /* under lock */

/* The errors of libpmem2 are errnos, and numbers of its own beyond them. */
static int refuse(int r)
{
	if (r == -ENOMEM)
		return error_memory();
	return error_set(r < -MAX_ERRNO ? -EINVAL : r, "libpmem2 cannot be used: %s",
			 pmem2_errormsg());
}

static int means_init(struct means *means, struct pmem2_source *source, char *page,
		      enum pmem2_granularity granularity)
{
	int r = pmem2_map_from_existing(&means->map, source, page, HOST_PAGE, granularity);

	if (r < 0)
		return refuse(r);
	means->persist = pmem2_get_persist_fn(means->map);
	means->flush = pmem2_get_flush_fn(means->map);
	means->drain = pmem2_get_drain_fn(means->map);
	means->memcpy = pmem2_get_memcpy_fn(means->map);
	means->memset = pmem2_get_memset_fn(means->map);
	return 0;
}

static void means_fini(struct means *means)
{
	if (means->map)
		pmem2_map_delete(&means->map);
	*means = (struct means){ 0 };
}

static int init(void)
{
	char *pages = mmap(NULL, 2 * HOST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pmem2_source *source;
	int r;

	if (pages == MAP_FAILED)
		return error_map(-errno, 2 * HOST_PAGE);
	r = pmem2_source_from_anon(&source, HOST_PAGE);
	if (r < 0) {
		r = refuse(r);
	} else {
		r = means_init(&all_means[PMA_BYTE], source, pages, PMEM2_GRANULARITY_BYTE);
		if (r == 0)
			r = means_init(&all_means[PMA_CACHE_LINE], source, pages + HOST_PAGE,
				       PMEM2_GRANULARITY_CACHE_LINE);
		pmem2_source_delete(&source);
	}
	if (r < 0) {
		means_fini(&all_means[PMA_BYTE]);
		means_fini(&all_means[PMA_CACHE_LINE]);
		munmap(pages, 2 * HOST_PAGE);
	}
	return r;
}

/*
 * Tries again after a failure: an earlier call may have failed for want of memory, which may pass.
 */
int durable_init(void)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!is_ready)
		r = init();
	is_ready = r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

enum pma_granularity durable_granularity(enum pma_granularity said)
{
	const char *force = getenv("PMEM2_FORCE_GRANULARITY");

	if (!force)
		return said;
	if (strcasecmp(force, "BYTE") == 0)
		return PMA_BYTE;
	if (strcasecmp(force, "CACHE_LINE") == 0 || strcasecmp(force, "CACHELINE") == 0)
		return PMA_CACHE_LINE;
	return strcasecmp(force, "PAGE") == 0 ? PMA_PAGE : said;
}

static int write_back(const void *addr, size_t len)
{
	uintptr_t begin = (uintptr_t)addr & ~(uintptr_t)(HOST_PAGE - 1);

	if (len == 0)
		return 0;
	if (msync((void *)begin, (uintptr_t)addr + len - begin, MS_SYNC) < 0)
		return error_set(-errno, "writing %zu bytes back to the device failed: %s", len,
				 strerror(errno));
	return 0;
}

int durable_persist(enum pma_granularity granularity, const void *addr, size_t len)
{
	if (granularity == PMA_PAGE)
		return write_back(addr, len);
	all_means[granularity].persist(addr, len);
	return 0;
}

int durable_flush(enum pma_granularity granularity, const void *addr, size_t len)
{
	if (granularity == PMA_PAGE)
		return write_back(addr, len);
	all_means[granularity].flush(addr, len);
	return 0;
}

void durable_drain(enum pma_granularity granularity)
{
	if (granularity != PMA_PAGE)
		all_means[granularity].drain();
}

int durable_memcpy(enum pma_granularity granularity, void *dst, const void *src, size_t len)
{
	if (granularity == PMA_PAGE) {
		memmove(dst, src, len);
		return write_back(dst, len);
	}
	all_means[granularity].memcpy(dst, src, len, 0);
	return 0;
}

int durable_memset(enum pma_granularity granularity, void *dst, int byte, size_t len)
{
	if (granularity == PMA_PAGE) {
		memset(dst, byte, len);
		return write_back(dst, len);
	}
	all_means[granularity].memset(dst, byte, len, 0);
	return 0;
}
