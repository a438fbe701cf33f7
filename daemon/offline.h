/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offline: what is done to a device that no daemon serves: format, check, repair. The result is one JSON object on stdout.
 */
#ifndef PMEMARENA_OFFLINE_H
#define PMEMARENA_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

enum offline_task { OFFLINE_NONE, OFFLINE_FORMAT, OFFLINE_CHECK, OFFLINE_REPAIR };

struct offline_request {
	enum offline_task task;
	const char *device;             /* a path, "uuid:UUID" or "auto" */
	const char *metadata;           /* NULL: where it is by default; "device", or a path */
	const char *runtime_dir;        /* repair: what a daemon of before left is respected; NULL: nothing is known of one */
	const char *name;               /* format, as all below */
	const char *size, *page_size, *slots;   /* as they were given; NULL: the default */
	bool memmap_on_device;
	bool force;
	bool dry_run;                   /* repair: say what would be done */
};

/* Returns an exit status: 0 done and clean, 1 refused or failed (why is on stderr), 4 differences were found. */
int offline_run(const struct offline_request *request);

#endif
