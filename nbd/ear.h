/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ear: a thread that listens to the daemon. Requests of block devices are loads and stores, so
 * without it nobody would notice that the daemon was replaced: the session would not be taken up
 * again, and an allocation that only it holds would be no longer held.
 */
#ifndef PMEMARENA_NBD_EAR_H
#define PMEMARENA_NBD_EAR_H

struct ear;
struct pma;

/* @pma is borrowed, and outlives it. 0 or -errno. */
int ear_new(struct ear **out, struct pma *pma);
/* Ends the thread. @ear may be NULL. */
void ear_free(struct ear *ear);

#endif
