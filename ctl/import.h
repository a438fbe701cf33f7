/* SPDX-License-Identifier: BSD-3-Clause */
/* import: what the files of `pmemarenactl import` share. */
#ifndef PMEMARENA_CTL_IMPORT_H
#define PMEMARENA_CTL_IMPORT_H

#include <sys/types.h>

#include "ctl/archive.h"

struct import {
	struct ctl *ctl;
	struct pma *pma;                /* owned: the caller's own connection */
	struct pma_arena arena;
	const char *path;               /* for sentences */
	bool skips, replaces;           /* what exists already */
	struct ctl_owner owner;         /* --owner: all of it becomes this user's */
	struct ctl_archive *archive;    /* owned, as the next one */
	struct ctl_summer *summer;
	struct ctl_totals totals;       /* as the first member has them */
	struct ctl_progress progress;
	struct pma *as;                 /* owned; NULL: pma serves. See import_owner.c */
	uid_t as_uid;
	gid_t as_gid;
};

/*
 * import_check.c: looks through the whole archive at @fd, which can be read again, before anything
 * is changed. CTL_DONE; else it says what is wrong.
 */
int ctl_import_check(struct import *import, int fd);
/* Is there a published allocation of this name? 1, 0, or -errno with pma_message(). */
int ctl_import_exists(struct import *import, const struct ctl_member *member);
/* Does so much fit into the arena? false: it said why not. */
bool ctl_import_fits(struct import *import, uint64_t bytes);

/*
 * import_owner.c: the connection by which an allocation becomes the one of its owner. From here on
 * the process acts as that user, until ctl_import_become_self(). NULL: it said why.
 */
struct pma *ctl_import_become(struct import *import, const struct ctl_member *member);
void ctl_import_become_self(struct import *import);

#endif
