/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belong: at a start, checks that the devices, the ledger and the validity plane of an arena are
 * all of the same age, and that nobody put one of them back (from a backup) without the others.
 */
#ifndef PMEMARENA_BELONG_H
#define PMEMARENA_BELONG_H

#include "daemon/arena/arena_internal.h"

/*
 * Compares the superblocks of the data device and the metadata device; call it when both were read.
 * -ESTALE, with a sentence that names the older one and the remedy. With @force it logs a warning
 * instead, sets arena->is_distrusted (the zero map is then not believed) and returns 0.
 */
int belong_devices(struct arena *arena, bool force, struct why *why);
/*
 * Compares the ledger and the validity plane in @runtime_dir with the devices; call it when both
 * files are open. A ledger that is too old is emptied when nobody has the arena mapped. -ESTALE,
 * with a sentence that names the older part and the remedy.
 */
int belong_books(struct arena *arena, const char *runtime_dir, struct why *why);

#endif
