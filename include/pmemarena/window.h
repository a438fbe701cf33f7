/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/window: windows: look things up without a message. A program includes <pmemarena.h>,
 * which includes this.
 */
#ifndef PMA_WINDOW_H
#define PMA_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A window is one mapping of the whole data area of an arena, made once and kept for the life of
 * the process: to look allocations up by name or handle millions of times, and to register the
 * memory once with a GPU or a network card.
 *
 * Between get and put an allocation is *pinned*: whoever frees it, its space is not used for
 * anything else, and the address shows its bytes. A get finds what is published in shared memory
 * and pins it by a store there: some loads and one locked instruction, no message and no system
 * call. What is not found so (reserved, just renamed, poisoned, in very many extents) the daemon is
 * asked for, in one message for all keys of the call; the program sees no difference. Modes are
 * checked either way, as pma_open() does it, for the user and the groups that this process had when
 * it connected.
 *
 * A put is the program's word that it, and everybody to whom it gave the address (a child, a GPU),
 * is done. What a process has pinned when it dies waits until the kernel says that its mapping is
 * gone, in children too.
 *
 * PMA_WINDOW_WRITE makes the whole area writable for this process, and not only what it pinned: one
 * stray store then damages anybody's data in the arena, and no mode protects it. Without it a stray
 * store raises SIGSEGV. Open a window for writing only where the program itself must store, or a
 * device in its name, and where the parties of the arena trust each other so far; to write now and
 * then, pma_map() what is to be written.
 *
 * When the daemon goes away, hits go on, and pins stay. The next call that needs the daemon
 * connects again and takes the window up again; a program that only hits should watch pma_get_fd(),
 * since until then nothing that was freed since is used again. A connection has one window an
 * arena.
 *
 * Threads: all may use one window at once; pma_window_close() must be the last call. fork: a child
 * must not use its parent's window (-EPERM), and may close its copy; the mapping of the data is
 * inherited, the pins are not.
 */
enum pma_window_flags {
	PMA_WINDOW_WRITE = 1u << 0,     /* see above what that means */
	/*
	 * All pages are made present now, not when they are first used. A file takes memory or
	 * blocks for all of its length then.
	 */
	PMA_WINDOW_POPULATE = 1u << 1
};

/*
 * Opens a window on arena number @arena, with room for @nr_pins pins at a time (0: 512; at most
 * 65536). The caller ends it with pma_window_close(), before pma_disconnect(). -ENOENT no such
 * arena, -EACCES this user may only read it, -EBUSY this connection has a window there already,
 * -EINVAL, -EOPNOTSUPP the daemon is too old, -EAGAIN this process locks all that it maps
 * (mlockall) and may not lock so much.
 */
PMA_PUBLIC int pma_window_open(struct pma_window **out, struct pma *pma, uint32_t arena,
			       unsigned flags, uint32_t nr_pins);
/*
 * Unmaps it. All that is pinned through it is put, so no address of it may be in use any more,
 * neither here nor by a device. @window may be NULL.
 */
PMA_PUBLIC void pma_window_close(struct pma_window *window);
/*
 * The first byte, the number of bytes, and where the first byte is on the arena's device. They stay
 * as they are until the window is closed, whatever becomes of the daemon.
 */
PMA_PUBLIC void *pma_window_address(const struct pma_window *window);
PMA_PUBLIC uint64_t pma_window_length(const struct pma_window *window);
PMA_PUBLIC uint64_t pma_window_offset(const struct pma_window *window);

struct pma_range {
	void    *address;
	uint64_t len;
};

/*
 * For registering the window elsewhere in several calls, where one call cannot take so much: tells
 * one range after the other, each of @chunk bytes and the last one of what is left. No range ends
 * inside of a page of the arena. *cursor is 0 at first. 1: *out is a range; 0: there are no more;
 * -EINVAL @chunk is not a multiple of pma_arena.page_size.
 */
PMA_PUBLIC int pma_window_next_range(struct pma_range *out, const struct pma_window *window,
				     uint64_t chunk, uint64_t *cursor);

/* What to get: by name, or with @name NULL by handle. */
struct pma_key {
	const char *name;               /* borrowed */
	size_t name_len;                /* 0: it ends in a NUL */
	struct pma_handle handle;
};

struct pma_pin {
	void    *address;               /* its memory: the first piece */
	uint64_t len;                   /* bytes of that piece */
	uint64_t total;                 /* bytes of all pieces */
	uint32_t nr_pieces;             /* 1 for what was reserved with PMA_CONTIGUOUS */
	int      result;                /* 0: it is pinned; or a negative errno */
	struct pma_handle handle;
	uint64_t version;               /* the low 32 bits of pma_info.version, at least */
	uint32_t uid, gid, mode;
	uint32_t attributes_len;        /* 0: it has none */
	uint32_t word;                  /* this and the next two members are the library's */
	uint64_t value;
	struct pma_range *pieces;
	/* of the version that is pinned; only attributes_len of them are written */
	uint8_t  attributes[PMA_MAX_ATTRIBUTES];
};

enum pma_get_flags {
	/*
	 * Look into shared memory alone and send no message. A key that is not found so has the
	 * result -ENOENT if there certainly is no such allocation, and -EAGAIN if only the daemon
	 * can tell. No sentence is set for that.
	 */
	PMA_GET_LOCAL = 1u << 0,
	/* The mode must allow writing, and the window must be PMA_WINDOW_WRITE. */
	PMA_GET_WRITE = 1u << 1
};

/*
 * Pins @nr allocations. Each has a result of its own in pins[i].result: 0; -ENOENT there is none;
 * -EACCES its mode does not allow it; -ENOBUFS all pins of the window are in use; -EINVAL a name
 * that cannot be, or the handle of another arena; -EAGAIN it changes all the time. Returns how many
 * were pinned. If none was and the connection failed, returns that error; -ESTALE also that the
 * daemon does not know the window any more: close it and open another. -EINVAL, -EACCES @flags and
 * this window do not fit. Of two pins of one allocation each is put for itself. A pin that was not
 * obtained may be given to pma_put().
 */
PMA_PUBLIC int pma_get(struct pma_window *window, struct pma_pin *pins, const struct pma_key *keys,
		       size_t nr, unsigned flags);
/*
 * Ends @nr pins. Addresses that they gave must not be used any more. A pin that was put already is
 * left alone.
 */
PMA_PUBLIC void pma_put(struct pma_window *window, struct pma_pin *pins, size_t nr);
/*
 * Tells the pieces of a pinned allocation in order: at most *nr of them, beginning with number
 * @first; *nr becomes how many were written. 0.
 */
PMA_PUBLIC int pma_pin_pieces(struct pma_range *out, size_t *nr, const struct pma_pin *pin,
			      size_t first);

#ifdef __cplusplus
}
#endif

#endif
