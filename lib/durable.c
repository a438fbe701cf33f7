/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * durable: the only file of the library that knows libpmem2. Its functions depend on the granularity alone, so each
 * granularity is asked for once, by a mapping of a page that nobody uses: version 1.12 does not free all that
 * pmem2_map_from_existing() allocates, and it crashes when it is asked about a device-dax with no NVDIMM namespace behind it.
 *
 * Page-granular memory is not libpmem2's: its functions cannot say that writing back failed.
 */
#include <config.h>

#include "lib/durable.h"

#include <errno.h>
#include <libpmem2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "lib/error.h"

#define HOST_PAGE 4096

/* Filled once; PMA_BYTE and PMA_CACHE_LINE. */
static struct means {
	struct pmem2_map *map;          /* kept for the life of the process */
	pmem2_persist_fn persist;
	pmem2_flush_fn   flush;
	pmem2_drain_fn   drain;
	pmem2_memcpy_fn  memcpy;
	pmem2_memset_fn  memset;
} all_means[2];
static int result;

static int means_init(struct means *means, struct pmem2_source *source, char *page, enum pmem2_granularity granularity)
{
	int r = pmem2_map_from_existing(&means->map, source, page, HOST_PAGE, granularity);

	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	means->persist = pmem2_get_persist_fn(means->map);
	means->flush = pmem2_get_flush_fn(means->map);
	means->drain = pmem2_get_drain_fn(means->map);
	means->memcpy = pmem2_get_memcpy_fn(means->map);
	means->memset = pmem2_get_memset_fn(means->map);
	return 0;
}

static void init(void)
{
	char *pages = mmap(NULL, 2 * HOST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pmem2_source *source;

	result = -ENOMEM;
	if (pages == MAP_FAILED)
		return;
	if (pmem2_source_from_anon(&source, HOST_PAGE) == 0) {
		result = means_init(&all_means[PMA_BYTE], source, pages, PMEM2_GRANULARITY_BYTE);
		if (result == 0)
			result = means_init(&all_means[PMA_CACHE_LINE], source, pages + HOST_PAGE, PMEM2_GRANULARITY_CACHE_LINE);
		pmem2_source_delete(&source);
	}
	if (result < 0)
		munmap(pages, 2 * HOST_PAGE);
}

int durable_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
	return result < 0 ? error_set(result, "libpmem2 cannot be used: %s", strerror(-result)) : 0;
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
		return error_set(-errno, "writing %zu bytes back to the device failed: %s", len, strerror(errno));
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
