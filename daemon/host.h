/* SPDX-License-Identifier: BSD-3-Clause */
/* host: who this host is, so that an arena can tell it from another one. */
#ifndef PMEMARENA_HOST_H
#define PMEMARENA_HOST_H

#include <stdint.h>

#define HOST_NAME 44

struct host {
	/* the machine id that systemd gives each installed system; zeroes: there is none */
	uint8_t id[16];
	/* of this boot: equal boots are one kernel; zeroes: not known */
	uint8_t boot[16];
	/* for people; cut where it is longer, "" if there is none */
	char    name[HOST_NAME];
};

/* What cannot be read stays zero. */
void host_read(struct host *host);

#endif
