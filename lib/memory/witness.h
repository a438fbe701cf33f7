/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * witness: does another process have what this one had mapped? A page beside a mapping, mapped
 * before it and unmapped after it: whoever got a copy of the one, by fork(), by a bare clone() or
 * through children of children, has a copy of the other, until it ends or begins another program.
 * The kernel knows who has the page, and is asked.
 */
#ifndef PMEMARENA_WITNESS_H
#define PMEMARENA_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

struct witness {
	void    *page;                  /* owned; NULL: there is none, and everything is possible */
	uint64_t inode;                 /* of the file that the page is of */
	/* the byte of that file which the page's description has locked */
	uint64_t byte;
};

/*
 * Before the first byte is mapped. Cannot fail: without a descriptor, memory or /proc there is no
 * witness.
 */
void witness_begin(struct witness *witness);
/*
 * After the last byte was unmapped, in the process that began: may another process have it mapped?
 * true as well where there is no witness. A child must not ask: it calls witness_drop().
 */
bool witness_end(struct witness *witness);
void witness_drop(struct witness *witness);

#endif
