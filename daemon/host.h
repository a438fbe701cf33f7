/* SPDX-License-Identifier: BSD-3-Clause */
/* host: who this host is, so that an arena can tell it from another one. */
#ifndef PMEMARENA_HOST_H
#define PMEMARENA_HOST_H

#include <stdint.h>

#include "lib/wire/why.h"

#define HOST_NAME 44

struct host {
	/* the machine id that systemd gives each installed system; zeroes: it has none */
	uint8_t id[16];
	/* id of this boot: hosts with equal ones run on one kernel; zeroes: it is not known */
	uint8_t boot[16];
	/* the host's name, for people to read; cut if it is longer, "" if there is none */
	char    name[HOST_NAME];
	/* made once for this host, where arenas are shared by hosts; zeroes: it has none yet */
	uint8_t identity[16];
};

/* Reads all of it. What cannot be read stays zero. */
void host_read(struct host *host);
/*
 * Sets host->identity: that in the file `host` of @dir, or a new one where the file is missing or
 * is of a host with another machine id or product UUID, as on a clone. -errno, with a sentence.
 */
int host_identify(struct host *host, const char *dir, struct why *why);

#endif
