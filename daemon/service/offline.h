/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offline: what is done to a device that no daemon serves: format, check, repair, a new UUID, a
 * take-over from other hosts. The result is one JSON object on stdout.
 */
#ifndef PMEMARENA_OFFLINE_H
#define PMEMARENA_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

enum offline_task {
	OFFLINE_NONE,
	OFFLINE_FORMAT,
	OFFLINE_CHECK,
	OFFLINE_REPAIR,
	OFFLINE_REIDENTIFY,
	OFFLINE_TAKE_OVER
};

struct offline_request {
	enum offline_task task;
	const char *device;             /* a path, "uuid:UUID" or "auto" */
	/* for a take-over: what made certain that the other hosts are down */
	const char *fenced_by;
	const char *metadata;           /* a path, "device", or NULL: where it is by default */
	/*
	 * For a repair: the runtime directory of the daemon; the ledger that it left there is
	 * respected. NULL: there is none.
	 */
	const char *runtime_dir;
	/* for a format, as the following members up to memmap_on_device are */
	const char *name;
	const char *size, *page_size, *slots;   /* as they were given; NULL: the default */
	bool memmap_on_device;
	bool force;
	/* for a repair or a take-over: say what would be done, and do nothing */
	bool dry_run;
};

/*
 * Returns an exit status: 0, done and no difference found; 1, refused or failed, with a sentence on
 * stderr; 4, differences were found.
 */
int offline_run(const struct offline_request *request);

#endif
