/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device: one backing: a /dev/daxX.Y, or a regular file that stands in for one. It finds it,
 * refuses it with a reason, opens and locks it, says what the platform knows of it, and hands out
 * open descriptions of it. It does not look at the bytes of an arena (that is media's), except to
 * tell what else lives on a device.
 *
 * device.c stands above device_dax.c (the only user of libdaxctl and libndctl) and device_file.c.
 */
#ifndef PMEMARENA_DEVICE_H
#define PMEMARENA_DEVICE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/command.h"
#include "lib/wire/why.h"

enum device_kind { DEVICE_FILE, DEVICE_DAX };

/* What the platform says. That it does not know something is a value here, never an error. */
struct device_info {
	enum device_kind kind;
	char     path[PATH_MAX];        /* of the node or the file */
	char     chardev[32];           /* "dax0.0"; empty for a file */
	char     mode[16];              /* "devdax", "system-ram", "file" */
	uint64_t size;                  /* bytes */
	/* bytes: a mapping's offset and length are multiples of it; 4096 for a file */
	uint64_t align;
	uint64_t resource;              /* physical address; UINT64_MAX: unknown */
	/* of the memory, or the nearest node that is online; -1: not known */
	int      numa_node;
	int      region_id;             /* of the dax region; -1: none */
	char     persistence[24];       /* "memory-controller", "cpu-cache", "none", "unknown" */
	char     health[24];            /* "ok", "non-critical", "critical", "fatal", "unknown" */
	int64_t  unsafe_shutdowns;      /* -1: the platform does not count them */
	/* bad blocks of 512 bytes, known when it was opened; -1: not known */
	int64_t  nr_badblocks;
	/* of device_list(): why it cannot serve, and what to do; "": it can */
	char     unusable[160];
};

struct device_request {
	const char *spec;               /* "/dev/dax0.0", or the path of a regular file */
	/* of a file: one that is absent or empty is made this large; 0: it must exist */
	uint64_t    size;
	/* @size is given, and yet no file is made; the refusal of an absent file says so */
	bool        never_creates;
	/* for a check: no lock is taken, and nothing can be stored */
	bool        read_only;
	/* of metadata: no client gets a descriptor of it, so that the lock can be on itself */
	bool        is_private;
};

struct device_range { uint64_t off, len; };

struct device;

/*
 * Opens and locks a device. Refused with what was found and what to do: it does not exist; it is
 * neither a regular file nor device-dax; it is system memory; it has size 0; it is not enabled;
 * another process has it (-EBUSY); there is no permission (names the group); its size is no
 * multiple of the alignment.
 */
int device_open(struct device **out, const struct device_request *request, struct why *why);
/*
 * Gives the lock back; NULL is fine. A file that device_open() made, or gave its size, is removed
 * or made empty again unless device_keep() was called: a caller that fails leaves nothing behind.
 */
void device_close(struct device *device);
void device_keep(struct device *device);
/*
 * Takes a further lock for a device that has its metadata on itself. Otherwise the lock of the
 * metadata device keeps another daemon out, even one that sees the data by another path. -EBUSY and
 * the like.
 */
int device_claim_whole(struct device *device, struct why *why);

const struct device_info *device_info(const struct device *device);
int device_fd(const struct device *device);     /* borrowed */

/*
 * Opens the device anew: another open file description (not a dup), O_RDONLY or O_RDWR, with
 * CLOEXEC. The caller owns *fd.
 */
int device_reopen(int *fd, const struct device *device, int flags);

/*
 * A mark: an OFD read lock on a byte that belongs to one session and mode, on the open file
 * description that the session gets. A mapping keeps the description alive, so the lock tells
 * whether *anybody* (a child, a process that was passed the descriptor) still has it. Several
 * descriptions can carry the same mark. @number < 2^61 - 1. -EBUSY: somebody has a write lock
 * there; device_blame() finds out who.
 */
int device_mark(int fd, uint64_t number);
void device_blame(struct device *device, uint64_t number);
/*
 * Where /proc/locks shows a mark: the byte that is locked for @number, and the inode as the kernel
 * writes it there.
 */
uint64_t device_mark_byte(uint64_t number);
void device_mark_inode(char inode[64], const struct device *device);

/*
 * Has anybody the mark @number? 1: yes; 0: no; -errno: it cannot be told, which proves nothing:
 * another lock hides it, and the list of all locks cannot be read, does not hold still, or was read
 * just now. Call it between device_look() and device_look_end(). device_look() reads the list if a
 * question of the last look needed it, so that what the list says is not older than the look.
 */
int device_is_marked(struct device *device, uint64_t number);
void device_look(struct device *device);
void device_look_end(struct device *device);
/*
 * Regular work: keeps a read lock over all marks, so that nobody can lock new marks out, and looks
 * whether somebody else has a lock there.
 */
void device_watch(struct device *device);

/*
 * A stranger: a lock over bytes of the marks that is no mark. It hides marks, or keeps new ones
 * out.
 */
struct device_stranger {
	bool     is_there;
	bool     is_write;              /* a write lock: it keeps new marks out */
	uint64_t first, len;            /* len 0: to the end */
	long     pid;                   /* 0: it cannot be told from here */
	uint32_t uid;                   /* UINT32_MAX: it cannot be told from here */
	char     comm[COMMAND_SIZE];
	char     inode[64];             /* as it stands in /proc/locks */
};
/* Returns the stranger whose lock is in the way of marks; NULL: none was met, or it is gone. */
const struct device_stranger *device_stranger(const struct device *device);

/*
 * Has anybody a mark of any number, even of a session that nobody knows any more? 1, 0; -errno: it
 * cannot be told.
 */
int device_has_marks(struct device *device);

/*
 * Lists every device-dax of the host, those that cannot serve too. The caller frees *out. None: 0
 * with *nr = 0.
 */
int device_list(struct device_info **out, size_t *nr, struct why *why);

/*
 * Lists the bad ranges that the platform knows, in bytes of the device. The caller frees *out.
 * None: 0 with *nr = 0. -ENODATA: nobody keeps a list of them, or it cannot be read.
 */
int device_badblocks(const struct device *device, struct device_range **out, size_t *nr);

/*
 * Looks for what else lives here: a file system or partition table (by libblkid), a pmemobj pool, a
 * famfs superblock, a member of an LVM or RAID. 1, with @name ("ext4 file system"); 0: nothing
 * known; -errno. An arena is found by its superblock, not here.
 */
int device_find_foreign(const struct device *device, char *name, size_t len);

/*
 * Cuts a file that somebody made longer back to the length that it had when it was opened. Returns
 * how many bytes were too many.
 */
uint64_t device_cut(const struct device *device);
/* Returns false once the device was disabled, removed or truncated. */
bool device_is_present(const struct device *device);

#endif
