/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hardware: the functions of libpmem2 that flush, fence and zero. They depend on the granularity
 * alone, so each granularity is asked for once, with a mapping of a page that nobody uses. To give
 * libpmem2 every mapping of a device would lose 144 bytes each time: version 1.12 does not free all
 * that pmem2_map_from_existing() allocates. It is never asked about a device-dax, because it
 * crashes on one that has no NVDIMM namespace behind it, or whose node is not in /dev.
 */
#include <config.h>

#include "daemon/media/hardware.h"

#include <errno.h>
#include <libpmem2.h>
#include <linux/mman.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#define HOST_PAGE UINT64_C(4096)

struct entry {
	struct hardware   hw;
	struct pmem2_map *map;          /* kept until the process ends */
	pmem2_memset_fn   memset;
};

/* Filled once, by the first call of hardware_find(). */
static struct entry entries[3];
static int result;

static enum pmem2_granularity to_pmem2(enum media_granularity granularity)
{
	switch (granularity) {
	case MEDIA_BYTE:
		return PMEM2_GRANULARITY_BYTE;
	case MEDIA_CACHE_LINE:
		return PMEM2_GRANULARITY_CACHE_LINE;
	default:
		return PMEM2_GRANULARITY_PAGE;
	}
}

static enum media_granularity from_pmem2(enum pmem2_granularity granularity)
{
	switch (granularity) {
	case PMEM2_GRANULARITY_BYTE:
		return MEDIA_BYTE;
	case PMEM2_GRANULARITY_CACHE_LINE:
		return MEDIA_CACHE_LINE;
	default:
		return MEDIA_PAGE;
	}
}

/*
 * libpmem2 has error numbers of its own, from PMEM2_E_UNKNOWN down. Its function that translates
 * them is not exported.
 */
static int to_errno(int r)
{
	return r <= PMEM2_E_UNKNOWN ? -EINVAL : r;
}

static int init_granularity(struct entry *entry, struct pmem2_source *source, char *page,
			    enum media_granularity granularity)
{
	int r = pmem2_map_from_existing(&entry->map, source, page, HOST_PAGE,
					to_pmem2(granularity));

	if (r < 0)
		return to_errno(r);
	entry->hw = (struct hardware){
		.granularity = granularity, .persist = pmem2_get_persist_fn(entry->map),
		.flush = pmem2_get_flush_fn(entry->map), .drain = pmem2_get_drain_fn(entry->map),
	};
	entry->memset = pmem2_get_memset_fn(entry->map);
	return 0;
}

/*
 * Fills the entries. What a failure leaves half done is not undone: the process cannot go on
 * without it.
 */
static void init(void)
{
	struct pmem2_source *source = NULL;
	char *pages;
	int r;

	pages = mmap(NULL, 3 * HOST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) {
		result = -errno;
		return;
	}
	r = to_errno(pmem2_source_from_anon(&source, HOST_PAGE));
	for (int g = MEDIA_BYTE; r == 0 && g <= MEDIA_PAGE; g++)
		r = init_granularity(&entries[g], source, pages + (uint64_t)g * HOST_PAGE, g);
	if (source)
		pmem2_source_delete(&source);
	result = r;
}

/*
 * libpmem2 does not see the mappings of the daemon, so that its variable for tests must be read
 * here too.
 */
static bool is_forced(enum media_granularity *granularity)
{
	const char *force = getenv("PMEM2_FORCE_GRANULARITY");

	if (!force)
		return false;
	if (strcasecmp(force, "BYTE") == 0)
		*granularity = MEDIA_BYTE;
	else if (strcasecmp(force, "CACHE_LINE") == 0 || strcasecmp(force, "CACHELINE") == 0)
		*granularity = MEDIA_CACHE_LINE;
	else if (strcasecmp(force, "PAGE") == 0)
		*granularity = MEDIA_PAGE;
	else
		return false;
	return true;
}

/*
 * Does the kernel map this file with MAP_SYNC? Only a file system with dax does. For all others
 * libpmem2 need not be asked, which would look through /sys for an answer that is known.
 */
static bool can_sync(int fd, bool writable)
{
	void *page = mmap(NULL, HOST_PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ,
			  MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);

	if (page == MAP_FAILED)
		return false;
	munmap(page, HOST_PAGE);
	return true;
}

/*
 * Asks libpmem2 with a mapping of one page, which is undone: it knows whether the file system has
 * dax, and whether the platform flushes its caches when power fails. That is safe for files, though
 * not for device-dax. Where nothing is known the answer is MEDIA_PAGE, which is always right and
 * only slow.
 */
static enum media_granularity probe_file(int fd, bool writable)
{
	enum media_granularity granularity = MEDIA_PAGE;
	struct pmem2_source *source = NULL;
	struct pmem2_config *config = NULL;
	struct pmem2_map *map = NULL;

	if (can_sync(fd, writable) && pmem2_config_new(&config) == 0 &&
	    pmem2_source_from_fd(&source, fd) == 0 &&
	    pmem2_config_set_required_store_granularity(config, PMEM2_GRANULARITY_PAGE) == 0 &&
	    pmem2_config_set_length(config, HOST_PAGE) == 0 &&
	    pmem2_config_set_protection(config, writable ? PMEM2_PROT_READ | PMEM2_PROT_WRITE
							 : PMEM2_PROT_READ) == 0 &&
	    pmem2_map_new(&map, config, source) == 0)
		granularity = from_pmem2(pmem2_map_get_store_granularity(map));
	if (map)
		pmem2_map_delete(&map);
	if (source)
		pmem2_source_delete(&source);
	if (config)
		pmem2_config_delete(&config);
	return granularity;
}

static enum media_granularity find_granularity(const struct device *device, bool writable)
{
	const struct device_info *info = device_info(device);
	enum media_granularity forced;

	if (is_forced(&forced))
		return forced;
	if (info->kind == DEVICE_FILE)
		return probe_file(device_fd(device), writable);
	/* Caches count as flushed at a power loss only if the platform says so itself (eADR). */
	return strcmp(info->persistence, "cpu-cache") == 0 ? MEDIA_BYTE : MEDIA_CACHE_LINE;
}

int hardware_find(const struct hardware **out, const struct device *device, bool writable,
		  struct why *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
	if (result < 0)
		return why_set(why, result, "libpmem2 cannot be used: %s", strerror(-result));
	*out = &entries[find_granularity(device, writable)].hw;
	return 0;
}

void hardware_zero(const struct hardware *hw, void *addr, size_t len)
{
	bool page = hw->granularity == MEDIA_PAGE;

	entries[hw->granularity].memset(addr, 0, len, page ? PMEM2_F_MEM_NOFLUSH :
					PMEM2_F_MEM_NODRAIN | PMEM2_F_MEM_NONTEMPORAL);
}
