/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * durable: making stores to mapped memory durable, by the means that its granularity needs. Knows
 * no mapping.
 */
#ifndef PMEMARENA_DURABLE_H
#define PMEMARENA_DURABLE_H

#include <pmemarena.h>
#include <stddef.h>

/*
 * Must be called before the other functions, and may be called again. 0, or -ENOMEM or another
 * error of libpmem2, with a message.
 */
int durable_init(void);
/*
 * The granularity to use: what the daemon said, unless PMEM2_FORCE_GRANULARITY (libpmem2's variable
 * for tests) says another.
 */
enum pma_granularity durable_granularity(enum pma_granularity said);

/*
 * These return 0. For memory of page granularity they may fail as msync() does (-EIO and others),
 * with a message.
 */
int durable_persist(enum pma_granularity granularity, const void *addr, size_t len);
int durable_flush(enum pma_granularity granularity, const void *addr, size_t len);
void durable_drain(enum pma_granularity granularity);
/* Copy bytes, or set them, and make them durable: a store and a durable_persist() in one. */
int durable_memcpy(enum pma_granularity granularity, void *dst, const void *src, size_t len);
int durable_memset(enum pma_granularity granularity, void *dst, int byte, size_t len);

#endif
