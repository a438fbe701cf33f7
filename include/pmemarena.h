/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena: named, owned, durable allocations of persistent memory that many processes of a host
 * share.
 *
 *	struct pma *pma;
 *	struct pma_handle handle;
 *	struct pma_mapping *map;
 *	int r = pma_connect(&pma, NULL);                               the daemon, by its socket
 *
 *	if (r == 0)
 *		r = pma_create(&handle, pma, "greeting", 4096, 0);     durable, reads as zeroes
 *	if (r == -EEXIST)
 *		r = pma_open(&handle, pma, "greeting", 0);             this program ran before
 *	if (r == 0)
 *		r = pma_map(&map, pma, handle, PMA_MAP_WRITE);         plain memory from here on
 *	if (r == 0)
 *		r = pma_memcpy(map, pma_map_address(map), "hello", 6); copied and persistent
 *	if (r < 0)
 *		fprintf(stderr, "%s\n", pma_message());
 *
 * Errors. Every function that can fail returns 0 or a negative errno. pma_message() has the
 * sentence for a person that came with the last failure of the calling thread. What this process
 * lacks itself is never told as a fault of the daemon, and after it the same call may be made
 * again. Any call that talks to the daemon may also return
 *	-ENOTCONN  the connection is lost and could not be made again in time, or three daemons in
 *	           a row ended while they had this request; what was under way may or may not have
 *	           been done. pma_message() says why: perhaps this process had no descriptor or no
 *	           memory to connect with,
 *	-ESTALE    the session was lost while this request was under way, and there is a new one
 *	           (the daemon was replaced and this process came back too late, the runtime
 *	           directory was lost, or this process could not receive and had to hang up):
 *	           nobody can tell what became of the request. Look (pma_stat, pma_open) and, if
 *	           need be, ask again,
 *	-ENOMEM    no memory in this process, or in the kernel for a message: nothing was done,
 *	-EMFILE, -ENFILE  no descriptor is free in this process (RLIMIT_NOFILE), on this host
 *	           (fs.file-max): raise the limit, or close some, and ask again,
 *	-EAGAIN    this process locks all that it maps (mlockall) and may not lock so much
 *	           (RLIMIT_MEMLOCK),
 *	-EPROTO    the other end does not speak this protocol,
 *	-EIO       the arena is offline (its device failed or was taken away). What is not found
 *	           there, or was changed last, is answered so as well: only the daemon that
 *	           serves the arena next knows what became of it.
 *
 * Threads. A struct pma may be used by any number of threads at once; a call blocks only its own
 * thread. Two exceptions: pma_disconnect() must be the last call, and pma_dispatch() runs callbacks
 * on the thread that called it. Maps may be used by many threads as memory may.
 *
 * fork. A child must not use its parent's struct pma (-EPERM; it may pma_disconnect() its copy,
 * which ends nothing), and connects for itself; its inherited mappings stay valid, may be unmapped
 * with pma_unmap() or munmap(), and keep the space from being given to others for as long as they
 * exist, also when it is the child's child that has them, or one made by clone(2): at pma_unmap()
 * the kernel is asked whether anybody else has the mapping. If so, or if it cannot be asked (no
 * /proc, no descriptor or memory left), the allocation is *lent*: what this session says of its
 * mappings is not heard any more, and its space is not given to others before it was freed and this
 * session is over and all mappings are gone, whatever is closed and opened until then. The child of
 * a vfork(), and threads, have the mappings of their parent and none of their own. What the library
 * cannot see is memory that is used by other means than a mapping in a process, or by a copy that
 * the program made of a mapping (mremap(2) with an old size of 0): end that, as the registration of
 * memory with a device, before pma_unmap(), or ask for the extents, which lends.
 *
 * When the daemon goes away, mappings and their data stay. The next call connects again
 * (pma_options_set_reconnect_ms()) and takes up the same session: handles, reservations and opens
 * are as before, and a request that was under way is done once, whatever the daemon had done of it
 * when it was killed: the library asks again under the same token, and the daemon answers what it
 * did.
 *
 * The trust domain is the arena: the daemon enforces who may open, free or change an allocation,
 * and the kernel keeps read-only openers from writing, but on device-dax a client with write access
 * to one allocation of an arena could, if it wanted, map others of the same arena. Use several
 * arenas between parties that do not trust each other: each says in the daemon's configuration who
 * may use it, and who may only read it. An arena that this user may not use is not there: every
 * call that names it, also by a handle, is -ENOENT with one sentence for that and for a number that
 * no arena has, and its place among the others is empty. Of one that this user may only read
 * everything that would change it, PMA_MAP_WRITE and opening without PMA_READ_ONLY among it, is
 * -EACCES. When the right is taken away while a program runs, what it had reserved there ends and
 * what it had open is closed, while what it has mapped stays mapped until it unmaps.
 *
 * This is the one header to include. What follows is in parts only so that it can be read.
 */
#ifndef PMEMARENA_H
#define PMEMARENA_H

#include <pmemarena/base.h>
#include <pmemarena/session.h>
#include <pmemarena/arena.h>
#include <pmemarena/allocation.h>
#include <pmemarena/batch.h>
#include <pmemarena/memory.h>
#include <pmemarena/window.h>
#include <pmemarena/cache.h>
#include <pmemarena/event.h>
#include <pmemarena/admin.h>

#endif
