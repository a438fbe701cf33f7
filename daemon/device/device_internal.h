/* SPDX-License-Identifier: BSD-3-Clause */
/* device_internal: what device.c, the two kinds of backing and the locks share, for nobody else. */
#ifndef PMEMARENA_DEVICE_INTERNAL_H
#define PMEMARENA_DEVICE_INTERNAL_H

#include <sys/types.h>

#include "daemon/command.h"
#include "daemon/device/device.h"

/*
 * What device_open() changed about a file. device_close() undoes it, unless device_keep() was
 * called.
 */
enum device_made { MADE_NOTHING, MADE_SIZE, MADE_FILE };

#define DEVICE_MAX_CLAIMS 4
#define LOCK_INODE        64    /* "fe:00:1234", as the kernel writes it */

/* A lock file that this daemon has. */
struct claim {
	int   fd;               /* owned */
	char *path;             /* owned */
};

/* What is known of the marks of sessions on this device. */
struct marks {
	/* the daemon has a read lock over all marks, which keeps write locks out */
	bool      is_guarded;
	/*
	 * this look had a question that only the list of all locks answers, and had not read it: so
	 * the next look reads it when it begins
	 */
	bool      is_missed;
	/* why the list could not be read; 0: it was not tried, or was read */
	int       err;
	bool      is_read;              /* `bytes` was read in this look */
	/* owned, sorted: single bytes that are locked, by whomever */
	uint64_t *bytes;
	size_t    nr, room;
	/* CLOCK_MONOTONIC: when the list may be read again */
	uint64_t  rest_until_ns;
	struct device_stranger stranger;
};

struct device {
	struct device_info info;
	enum device_made made;
	int   fd;               /* owned; -1 until it is opened */
	bool  read_only;
	struct claim claims[DEVICE_MAX_CLAIMS];
	unsigned nr_claims;
	struct marks marks;
	dev_t dev, rdev;        /* of fd, to compare a path with */
	ino_t ino;
};

void device_node_info_init(struct device_info *info);        /* Sets everything to 'not known'. */

/* Fills @device->info and @device->fd. On failure device_close() frees what is there. */
int device_file_open(struct device *device, const struct device_request *request, struct why *why);
int device_dax_open(struct device *device, const struct device_request *request, struct why *why);

/* Undoes what opening the file changed, while its lock is still held. */
void device_file_unmake(const struct device *device);
bool device_file_is_present(const struct device *device);
bool device_dax_is_present(const struct device *device);
uint64_t device_file_cut(const struct device *device);

int device_dax_list(struct device_info **out, size_t *nr, struct why *why);
int device_dax_badblocks(const struct device *device, struct device_range **out, size_t *nr);

/*
 * Returns the node whose memory is near @chardev, from the mounted @sysfs; -1: none that is online
 * is known.
 */
int device_numa_node(const char *sysfs, const char *chardev, int target_node);

/* Opens @path; an error comes with what a person can do about it (-EACCES: which group). */
int device_node_open(int *fd, const char *path, bool read_only, struct why *why);

/*
 * device_claim.c: keeps every other daemon out. 0; -EBUSY, with the name of who has it if that can
 * be told; -errno. device_close() gives it back.
 */
int claim_take(struct device *device, const char *spec, bool is_private, struct why *why);
void claim_drop(struct device *device);
/* Has a daemon this device-dax? 1: yes; 0: no; -errno: it cannot be told. */
int claim_is_taken(int fd);

/* device_lock.c */
/* Locks the daemon's byte of the inode. */
int lock_take(int fd, const char *spec, struct why *why);
int lock_is_taken(int fd);
/* Writes the inode of @fd as it stands in /proc/locks. */
void lock_inode(char inode[LOCK_INODE], int fd);
/* Returns a process that has a lock on this range; 0: it cannot be told. */
long lock_find_holder(int fd, uint64_t first, uint64_t len);
/* Finds the name and the user of @pid; "" and UINT32_MAX: not known. */
void process_describe(char comm[COMMAND_SIZE], uint32_t *uid, long pid);

void marks_fini(struct marks *marks);

#endif
