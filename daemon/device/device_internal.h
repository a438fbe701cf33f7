/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What device.c, its two kinds of backing and its locks share. Nobody outside daemon/device includes this.
 */
#ifndef PMEMARENA_DEVICE_INTERNAL_H
#define PMEMARENA_DEVICE_INTERNAL_H

#include <sys/types.h>

#include "daemon/device/device.h"

struct device {
	struct device_info info;
	int   fd;               /* owned; -1 until opened; holds the daemon's exclusive lock */
	bool  read_only;
	dev_t dev, rdev;        /* who fd is, so that a path can be compared with it */
	ino_t ino;
};

void device_info_init(struct device_info *info);        /* everything unknown */

/* Fill @device->info and @device->fd. On failure device_close() cleans up what is there. */
int device_file_open(struct device *device, const struct device_request *request, struct why *why);
int device_dax_open(struct device *device, const struct device_request *request, struct why *why);

bool device_file_is_present(const struct device *device);
bool device_dax_is_present(const struct device *device);

int device_dax_list(struct device_info **out, size_t *nr, struct why *why);
int device_dax_deep_flush(const struct device *device);
int device_dax_badblocks(const struct device *device, struct device_range **out, size_t *nr);

/* Open @path; an error says what a person can do about it (-EACCES: which group). */
int device_open_node(int *fd, const char *path, bool read_only, struct why *why);

/* Lock @fd against every other daemon: 0, -EBUSY with who holds it where that can be told, -errno. */
int device_lock(int fd, const char *path, struct why *why);
/* 1 another daemon has it locked, 0 nobody, -errno. */
int device_is_locked(int fd);

#endif
