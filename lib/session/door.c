/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * door: gets from the daemon the descriptors of an arena's device (doors) and its plane, each when
 * it is first needed, and lends them to those who map. site.c keeps them, and takes them away when
 * their session is over.
 */
#include <config.h>

#include "lib/session/door.h"

#include <endian.h>
#include <errno.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/session/client.h"
#include "lib/error.h"

struct attach {
	struct call call;
	struct link *link;              /* borrowed */
	/*
	 * the session in which they were asked for: the locks on them (marks) say "this session may
	 * have it mapped"
	 */
	uint64_t session;
	struct wire_arena arena;
	int fds[2];                     /* owned; the device and the plane; -1: none */
	/*
	 * the reply came, but the receive had no buffer for descriptors, so the kernel dropped them
	 */
	bool is_lost;
};

static int absorb_attached(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct attach *attach = (struct attach *)call;

	if (wire_next_raw(reader, &attach->arena, sizeof(attach->arena)) != 1 ||
	    attach->arena.result > 0)
		return -EPROTO;
	attach->session = attach->link->session;
	attach->is_lost = nr_fds == 0 && attach->arena.result == 0 && !attach->link->had_room;
	if (nr_fds != (attach->arena.result == 0 && !attach->is_lost ? 2 : 0))
		return -EPROTO;
	for (int i = 0; i < nr_fds; i++) {
		attach->fds[i] = fds[i];
		fds[i] = -1;
	}
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/*
 * Maps the plane. As many slots are used as the file has, however many the daemon promised: a look
 * behind the end of the file would raise SIGBUS.
 */
static int plane_new(struct plane **out, int fd, uint64_t nr_slots)
{
	struct plane *plane;
	struct stat st;
	void *ids;

	if (fstat(fd, &st) < 0)
		return error_set(-errno, "the descriptor of the plane cannot be used: %s",
				 error_text(-errno));
	if (nr_slots > (uint64_t)st.st_size / sizeof(*plane->ids))
		nr_slots = (uint64_t)st.st_size / sizeof(*plane->ids);
	if (nr_slots == 0)
		return error_set(-EPROTO, "the daemon sent an empty plane");
	ids = mmap(NULL, nr_slots * sizeof(*plane->ids), PROT_READ, MAP_SHARED, fd, 0);
	if (ids == MAP_FAILED)
		return error_map(-errno, nr_slots * sizeof(*plane->ids));
	plane = malloc(sizeof(*plane));
	if (!plane) {
		munmap(ids, nr_slots * sizeof(*plane->ids));
		return error_memory();
	}
	plane->ids = ids;
	plane->nr = nr_slots;
	*out = plane;
	return 0;
}

/* Stores the plane of an arena; under the lock. If another thread was faster its plane stays. */
static int keep_plane(struct sites *sites, struct site *site, int fd, uint64_t nr_slots)
{
	struct plane *plane = NULL;
	int r;

	if (atomic_load(&site->plane))
		return 0;
	r = plane_new(&plane, fd, nr_slots);
	if (r < 0)
		return r;
	SLIST_INSERT_HEAD(&sites->planes, plane, link);
	atomic_store_explicit(&site->plane, plane, memory_order_release);
	return 0;
}

static int keep_door(struct site *site, bool read_only, int *fd)
{
	struct door *door;

	if (site->doors[read_only])
		return 0;
	door = calloc(1, sizeof(*door));
	if (!door)
		return error_memory();
	door->fd = *fd;
	*fd = -1;
	site->doors[read_only] = door;
	return 0;
}

static int keep_attached(struct pma *pma, struct attach *attach, uint32_t arena, bool read_only)
{
	struct site *site = &pma->sites.all[arena];
	int r;

	client_lock(pma);
	site_note(site, &attach->arena, arena);
	r = keep_plane(&pma->sites, site, attach->fds[1], attach->arena.nr_slots);
	/*
	 * A descriptor that belongs to a session which is over by now has no lock of the new
	 * session, so the daemon would not see what is mapped through it. It is closed, and
	 * door_open() asks again.
	 */
	if (r == 0 && attach->session == pma->link.session)
		r = keep_door(site, read_only, &attach->fds[0]);
	client_unlock(pma);
	close_fd(attach->fds[0]);
	close_fd(attach->fds[1]);
	return r;
}

static void await_fds(struct pma *pma, int more)
{
	client_lock(pma);
	pma->link.nr_awaiting_fds += (uint32_t)more;
	client_unlock(pma);
}

/*
 * A thread that was receiving before this request was submitted may get the reply without a buffer
 * for descriptors. A second request finds every later receive prepared.
 */
static int ask_for_fds(struct attach *attach, struct pma *pma)
{
	int r;

	await_fds(pma, 1);
	do {
		r = client_call(pma, &attach->call);
	} while (r == 0 && attach->is_lost);
	await_fds(pma, -1);
	return r;
}

static int attach(struct pma *pma, uint32_t arena, bool read_only)
{
	struct attach attach = {
		.call = { .opcode = WIRE_ATTACH, .absorb = absorb_attached },
		.link = &pma->link,
		.fds = { -1, -1 },
	};
	struct wire_request request = { .arena = arena, .flags = read_only ? WIRE_READ_ONLY : 0 };
	uint8_t message[128] __attribute__((aligned(8)));
	struct wire_writer writer;
	char name[SITE_NAME_MAX];
	int r;

	wire_begin(&writer, message, WIRE_ATTACH, 0);
	wire_add_request(&writer, &request, NULL, 0);
	attach.call.message = message;
	attach.call.length = (uint32_t)wire_end(&writer);
	r = ask_for_fds(&attach, pma);
	/*
	 * This refusal is not remembered: what the process lacked it may have the next time, and an
	 * arena that is not for this user, or not online, may be so later.
	 */
	if (read_only)
		pma->sites.all[arena].cannot_attach =
			r == -ENOTCONN || (r == 0 && attach.arena.result < 0 &&
					   attach.arena.result != -ENOENT &&
					   attach.arena.result != -EIO);
	if (r < 0)
		return r;
	r = attach.arena.result;
	if (r == -EBUSY)
		return error_set(r,
				 "arena %s: another process has locked the bytes of its device by "
				 "which the daemon knows who has it mapped, so that "
				 "nobody new can map it; `pmemarenactl status` as root names that "
				 "process: end it",
				 site_name(name, pma, arena));
	if (r == -ENOENT)
		return site_refuse(arena);
	if (r == -EACCES && !read_only)
		return error_set(r, "arena %s: this user may read it and not write to it",
				 site_name(name, pma, arena));
	if (r == -EMFILE)
		return error_set(r,
				 "arena %s: this session has four %s descriptors of its device "
				 "that are open or mapped somewhere; close and unmap "
				 "those that are not needed",
				 site_name(name, pma, arena), read_only ? "read-only" : "writable");
	if (r < 0)
		return error_set(r, "arena %s: no %s descriptor of its device: %s",
				 site_name(name, pma, arena), read_only ? "read-only" : "writable",
				 strerror(-r));
	return keep_attached(pma, &attach, arena, read_only);
}

static bool has_door(struct pma *pma, uint32_t arena, bool read_only)
{
	bool has;

	client_lock(pma);
	has = pma->sites.all[arena].doors[read_only];
	client_unlock(pma);
	return has;
}

/*
 * One thread at a time asks the daemon, and the others use what it got. If they all asked, a
 * program whose threads map for the first time at once would be refused: the daemon gives a session
 * no more than four descriptors of a mode that are in use.
 */
static int attach_once(struct pma *pma, uint32_t arena, bool read_only)
{
	int r = 0;

	pthread_mutex_lock(&pma->sites.attaching);
	if (!has_door(pma, arena, read_only))
		r = attach(pma, arena, read_only);
	pthread_mutex_unlock(&pma->sites.attaching);
	return r;
}

static struct door *use_door(struct pma *pma, uint32_t arena, bool read_only)
{
	struct door *door;

	client_lock(pma);
	door = pma->sites.all[arena].doors[read_only];
	if (door)
		door->nr_users++;
	client_unlock(pma);
	return door;
}

int door_open(struct door **out, struct pma *pma, uint32_t arena, bool read_only)
{
	struct door *door;
	int r;

	if (arena >= pma->sites.nr)
		return site_refuse(arena);
	/*
	 * attach_once() stores a door and use_door() takes it. If the session ends in between, the
	 * door is taken away again: hence a loop.
	 */
	while (!(door = use_door(pma, arena, read_only))) {
		r = attach_once(pma, arena, read_only);
		if (r < 0)
			return r;
	}
	*out = door;
	return 0;
}

void door_close(struct pma *pma, struct door *door)
{
	client_lock(pma);
	door->nr_users--;
	if (door->is_old && door->nr_users == 0 && !door->is_lent) {
		SLIST_REMOVE(&pma->sites.old_doors, door, door, link);
		site_free_door(door);
	}
	client_unlock(pma);
}

/* Asks for the descriptors first, if the arena was not attached yet, or not in this session. */
const struct plane *door_plane(struct pma *pma, uint32_t arena)
{
	struct site *site = &pma->sites.all[arena];

	if (site->cannot_attach || client_check(pma) < 0)
		return NULL;
	attach_once(pma, arena, true);
	return atomic_load_explicit(&site->plane, memory_order_acquire);
}

bool pma_is_valid(struct pma *pma, struct pma_handle handle)
{
	const struct plane *plane;

	if (!pma || handle.id == 0 ||
	    handle.arena >= atomic_load_explicit(&pma->sites.nr, memory_order_relaxed))
		return false;
	plane = atomic_load_explicit(&pma->sites.all[handle.arena].plane, memory_order_acquire);
	if (!plane) {
		plane = door_plane(pma, handle.arena);
		if (!plane)
			return false;
	}
	return handle.slot < plane->nr &&
	       le64toh(atomic_load_explicit(&plane->ids[handle.slot], memory_order_acquire)) ==
		       handle.id;
}

int pma_device_fd(struct pma *pma, uint32_t arena, bool read_only)
{
	struct door *door;
	int r = client_check(pma);

	if (r == 0)
		r = door_open(&door, pma, arena, read_only);
	if (r < 0)
		return r;
	client_lock(pma);
	door->is_lent = true;
	client_unlock(pma);
	r = door->fd;
	door_close(pma, door);
	return r;
}
