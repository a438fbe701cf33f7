/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * durable: making stores to mapped memory durable, by the means that its granularity needs. Knows no mapping.
 */
#ifndef PMEMARENA_DURABLE_H
#define PMEMARENA_DURABLE_H

#include <pmemarena.h>
#include <stddef.h>

/* Before anything else; may be called again. -ENOMEM or what else is wrong with libpmem2, with a message. */
int durable_init(void);
/* What the daemon says, or libpmem2's override for tests: PMEM2_FORCE_GRANULARITY. */
enum pma_granularity durable_granularity(enum pma_granularity said);

/* 0; page-granular memory: -EIO and others of msync(), with a message. */
int durable_persist(enum pma_granularity granularity, const void *addr, size_t len);
int durable_flush(enum pma_granularity granularity, const void *addr, size_t len);
void durable_drain(enum pma_granularity granularity);
/* Store and persist. */
int durable_memcpy(enum pma_granularity granularity, void *dst, const void *src, size_t len);
int durable_memset(enum pma_granularity granularity, void *dst, int byte, size_t len);

#endif
