/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/memory: an allocation as memory of this process, and stores that last. A program
 * includes <pmemarena.h>, which includes this.
 */
#ifndef PMA_MEMORY_H
#define PMA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pma_map_flags { PMA_MAP_READ = 0, PMA_MAP_WRITE = 1 };

/*
 * Maps an allocation that this session has open or reserved: all its extents as one contiguous
 * range. PMA_MAP_WRITE is refused with -EACCES when it was opened with PMA_READ_ONLY. The caller
 * owns *out and ends it with pma_unmap(). As long as a mapping exists its space is not used for
 * anything else: if somebody else frees the allocation, the mapping shows the old contents until it
 * is unmapped. -EBADF it is not open in this session, also when this session freed it; -ENOENT
 * somebody else freed it; -ENOMEM also when no address space is left, or no further mapping is
 * allowed (vm.max_map_count); -EAGAIN this process locks all that it maps (mlockall) and may not
 * lock so much (RLIMIT_MEMLOCK).
 */
PMA_PUBLIC int pma_map(struct pma_mapping **out, struct pma *pma, struct pma_handle handle,
		       uint32_t flags);
/*
 * Unmaps the memory and frees @map, which must not be used again. @map may be NULL. Should the
 * kernel refuse to unmap it (vm.max_map_count), the memory stays until the process ends, and the
 * allocation is lent as after a fork.
 */
PMA_PUBLIC void pma_unmap(struct pma_mapping *map);
/* The first byte, the number of bytes, and the allocation that is mapped. */
PMA_PUBLIC void *pma_map_address(const struct pma_mapping *map);
PMA_PUBLIC size_t pma_map_length(const struct pma_mapping *map);
PMA_PUBLIC struct pma_handle pma_map_handle(const struct pma_mapping *map);

/*
 * Make stores to a mapping durable, by the means that its device needs. A range must lie inside
 * @map (-EINVAL). pma_flush() begins; pma_drain() waits for all flushes of this thread;
 * pma_persist() does both. pma_memcpy() and pma_memset() store and persist, past the processor's
 * cache where that is faster. -EIO the page is bad or the device is gone: only devices with page
 * granularity report this, and other errors of msync(2); on others the store raises SIGBUS.
 */
PMA_PUBLIC int pma_persist(struct pma_mapping *map, const void *addr, size_t len);
PMA_PUBLIC int pma_flush(struct pma_mapping *map, const void *addr, size_t len);
PMA_PUBLIC int pma_drain(struct pma_mapping *map);
PMA_PUBLIC int pma_memcpy(struct pma_mapping *map, void *dst, const void *src, size_t len);
PMA_PUBLIC int pma_memset(struct pma_mapping *map, void *dst, int byte, size_t len);

/*
 * Tells whether the allocation still exists, by a look into shared memory, without a message to the
 * daemon. False: it was freed, or the arena's shared memory could not be attached. True does not
 * mean that it is open in this session.
 */
PMA_PUBLIC bool pma_is_valid(struct pma *pma, struct pma_handle handle);

#ifdef __cplusplus
}
#endif

#endif
