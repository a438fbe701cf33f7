/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/base: what all other headers need: limits, the types that are only pointed to, and
 * handles. A program includes <pmemarena.h>, which includes this.
 */
#ifndef PMA_BASE_H
#define PMA_BASE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PMA_PUBLIC __attribute__((visibility("default")))
#else
#define PMA_PUBLIC
#endif

#define PMA_VERSION_MAJOR 0
#define PMA_VERSION_MINOR 1
#define PMA_MAX_NAME      255   /* bytes; any but 0 */
#define PMA_MAX_BATCH     256   /* operations a message */
#define PMA_MAX_MESSAGE   512   /* bytes of a sentence, with the NUL that ends it */
#define PMA_MAX_TOKEN     0xffffffffffffULL
#define PMA_MAX_ATTRIBUTES 256  /* bytes of the program's own with an allocation */

/* Opaque. */
struct pma;                     /* a connection and its session */
struct pma_cache;               /* a store of leased space, see pma_cache_open() */
struct pma_options;
struct pma_mapping;             /* an allocation mapped into this process */
struct pma_window;              /* a whole arena mapped into this process, see pma_window_open() */

/*
 * Names an allocation for ever: an id is never used twice, so the handle of something that was
 * freed is invalid and can never name somebody else's data. It is plain data and may be copied,
 * stored and passed to other processes.
 */
struct pma_handle {
	uint32_t arena;         /* number of the arena in this daemon; see pma_arena_find() */
	uint32_t slot;
	uint64_t id;            /* 0: this names no allocation */
};

#ifdef __cplusplus
#define PMA_HANDLE_NONE (pma_handle{ 0, 0, 0 })
#else
#define PMA_HANDLE_NONE ((struct pma_handle){ 0, 0, 0 })
#endif

#ifdef __cplusplus
}
#endif

#endif
