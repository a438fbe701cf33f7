/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device: one backing, a /dev/daxX.Y or a regular file that stands in for one. Finds it, refuses it with a reason,
 * opens and locks it, says what the platform knows about it, and hands out open file descriptions of it. It never
 * looks at or writes the bytes of an arena (that is media's) but to tell what else lives on a device.
 *
 * device.c is the one code path above device_dax.c (the only user of libdaxctl and libndctl) and device_file.c.
 */
#ifndef PMEMARENA_DEVICE_H
#define PMEMARENA_DEVICE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

enum device_kind { DEVICE_FILE, DEVICE_DAX };

/* What the platform says. 'Not supported' is a value here, never an error. */
struct device_info {
	enum device_kind kind;
	char     path[PATH_MAX];        /* the node or the file */
	char     chardev[32];           /* "dax0.0"; empty for a file */
	char     mode[16];              /* "devdax", "system-ram", "file" */
	uint64_t size;                  /* bytes */
	uint64_t align;                 /* bytes: a mapping's offset and length are multiples of it; 4096 for a file */
	uint64_t resource;              /* physical address; UINT64_MAX: unknown */
	int      numa_node;             /* the target node for device-dax; -1: unknown */
	int      region_id;             /* dax region; -1: none */
	char     persistence[24];       /* "memory-controller", "cpu-cache", "none", "unknown" */
	char     health[24];            /* "ok", "non-critical", "critical", "fatal", "unknown" */
	int64_t  unsafe_shutdowns;      /* -1: the platform does not count them */
	uint64_t nr_badblocks;          /* bad 512-byte blocks known at open */
	char     unusable[160];         /* device_list() only: why it cannot serve and what to do; empty: it can */
};

struct device_request {
	const char *spec;               /* "/dev/dax0.0", or a path of a regular file */
	uint64_t    size;               /* files: create sparse with this size when absent; 0: must exist */
	bool        read_only;          /* no exclusive lock is taken; stores are refused (offline check) */
};

struct device_range { uint64_t off, len; };

struct device;

/*
 * Open and lock. Refused, each with what was found and what to do: no such device, not a regular file or device-dax,
 * system-ram mode, size 0, not enabled, held by another process (-EBUSY), no permission (names the group), a size
 * that is no multiple of the alignment.
 */
int device_open(struct device **out, const struct device_request *request, struct why *why);
void device_close(struct device *device);       /* NULL is fine; gives the lock back */

const struct device_info *device_info(const struct device *device);
int device_fd(const struct device *device);     /* borrowed */

/* A new open file description of the same device (not a dup): O_RDONLY or O_RDWR, CLOEXEC. The caller owns *fd. */
int device_reopen(int *fd, const struct device *device, int flags);

/*
 * Every session marks its open file description with an OFD lock on a byte of its own; a mapping pins the description,
 * so the lock tells whether *anyone* (a child, a process that was passed the descriptor) still holds it.
 * One number a session and mode; numbers are below 2^61. Only a shared mark can be on several descriptions, or on a read-only one.
 */
int device_mark(int fd, uint64_t number, bool shared);
int device_is_marked(const struct device *device, uint64_t number);    /* 1 somebody holds it, 0 nobody, -errno */

/* Every device-dax of the host, also the unusable ones. The caller frees *out. An empty list is 0 with *nr = 0. */
int device_list(struct device_info **out, size_t *nr, struct why *why);

/* Bad ranges known to the platform, byte offsets on the device. The caller frees *out; none: 0 with *nr = 0. */
int device_badblocks(const struct device *device, struct device_range **out, size_t *nr);

/* Push what the platform holds in its write queues onto the media. -EOPNOTSUPP where it has none, or cannot be told to. */
int device_deep_flush(const struct device *device);

/*
 * What else lives here: a file system or partition table (libblkid), a pmemobj pool, a famfs superblock, an LVM or
 * RAID member. 1 with its name in @name ("ext4 file system"), 0 nothing known, -errno. Arenas of ours are the
 * superblock's business.
 */
int device_find_foreign(const struct device *device, char *name, size_t len);

bool device_is_present(const struct device *device);    /* false once it was disabled or removed under us */

#endif
