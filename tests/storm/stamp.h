/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp: whose block of 4 KiB this is. It stands at the block's begin and at its end; between them
 * a block is zero.
 *
 * An origin is the number of one thing that a stormer made; it is used once, and says which stormer
 * made it. Who renames, resizes or opens the thing finds the same origin in it, whatever its owner
 * has done meanwhile.
 */
#ifndef TESTS_STORM_STAMP_H
#define TESTS_STORM_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK 4096u
#define STAMP_MAGIC 0x3f4d524f54534d50u /* "PMSTORM?" */

struct stamp {
	uint64_t magic;                 /* written last, read first */
	uint64_t origin;
	uint64_t off;                   /* of the block in the allocation, bytes */
	uint64_t version;               /* grows when its owner writes it again */
	uint64_t id;                    /* of the allocation; 0: written before it had one */
	uint32_t uid, pid;              /* who wrote it */
};

/* The maker of an origin. */
#define ORIGIN(maker, number) ((uint64_t)(maker) << 40 | (number))
#define ORIGIN_MAKER(origin)  ((unsigned)((origin) >> 40))

void stamp_write(void *block, const struct stamp *stamp);
/*
 * Two copies of one version, or a block that somebody is writing. False: there is none at the
 * begin.
 */
bool stamp_read(struct stamp *out, const void *block);
bool stamp_is_blank(const void *block);         /* all of it is zero */
uint64_t stamp_first_word(const void *block);   /* the first that is not zero */

/*
 * Evidence: one line in the file that was set, for the driver, and on standard error. It returns.
 * @block: what was seen there, may be NULL. Uses no malloc(): a child of fork() calls it too.
 */
void evidence_open(const char *path, unsigned maker);
__attribute__((format(printf, 2, 3)))
void evidence(const void *block, const char *fmt, ...);

#endif
