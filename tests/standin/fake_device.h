/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_device: stands in for daemon/device/ at link time. Devices are lines of a table that the
 * test fills; opening one gives a descriptor of an empty sparse memory file of its size, so that
 * reopening and OFD locks are the kernel's own. The bytes of an arena are not in that file but in
 * the recorder.
 */
#ifndef PMEMARENA_FAKE_DEVICE_H
#define PMEMARENA_FAKE_DEVICE_H

#include "daemon/device/device.h"

#define FAKE_DEVICE_MAX        8
#define FAKE_DEVICE_MAX_RANGES 8

/* A line of the table. The test may change it at any time; device_open() copies info. */
struct fake_device {
	struct device_info info;        /* path is its name */
	int  open_err;                  /* negative: device_open() fails with it */
	int  reopen_err;                /* negative: device_reopen() fails with it */
	bool is_absent;                 /* disabled or removed under the daemon */
	/* somebody has it exclusively: a second device_open() is -EBUSY */
	bool is_open;
	char foreign[64];               /* what lives there; empty: nothing */
	struct device_range bad[FAKE_DEVICE_MAX_RANGES];
	size_t nr_bad;
	uint64_t held[8];               /* marks that count as held, whatever the locks say */
	size_t nr_held;
	int  fd;                        /* the memory file; the table's */
};

/*
 * Fills in what a device of the kind has: a file aligns to 4 KiB; a DEVICE_DAX to @align. The table
 * keeps it, and its memory file, until the reset.
 */
struct fake_device *fake_device_add(enum device_kind kind, const char *path, uint64_t size,
				    uint64_t align);
struct fake_device *fake_device_find(const char *path);         /* NULL */
/* Forget all. Every device was closed before. */
void fake_device_reset(void);

/*
 * A file that device_open() is to create (a size in the request) is added to the table by itself.
 */

#endif
