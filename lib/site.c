/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * site: arenas are known by their place in the daemon's list, and a handle says only that place. So a daemon that comes
 * back with other arenas in other places must not be taken for the old one, however well the ids fit.
 */
#include <config.h>

#include "lib/site.h"

#include <endian.h>
#include <errno.h>
#include <pmemarena.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/error.h"

/* ---- the list ---- */

/* Of one that was never online the daemon knows no more than its name. */
static bool is_known(const struct wire_arena *arena)
{
	static const uint8_t none[sizeof(arena->uuid)];

	return memcmp(arena->uuid, none, sizeof(none)) != 0;
}

static bool is_page(uint64_t size)
{
	return size >= 4096 && (size & (size - 1)) == 0;
}

static bool is_sound(const struct wire_arena *arena, uint32_t index)
{
	if (arena->result != 0 || arena->index != index || arena->granularity > PMA_PAGE)
		return false;
	return !is_known(arena) || (is_page(arena->align) && is_page(arena->page_size));
}

/* -ENOTCONN: what was at @index is not what is there now. */
static int take_arena(struct sites *sites, uint32_t index, const struct wire_arena *arena, struct why *why)
{
	struct site *site = &sites->all[index];

	if (!is_sound(arena, index))
		return -EPROTO;
	if (index < sites->nr && !is_known(arena) && is_known(&site->arena)) {
		site->arena.state = arena->state;
		return 0;
	}
	if (index < sites->nr && is_known(&site->arena) && memcmp(site->arena.uuid, arena->uuid, sizeof(arena->uuid)) != 0)
		return why_set(why, -ENOTCONN, "the daemon serves other arenas than before (%s in the place of %s): disconnect and connect again",
			       arena->name, site->arena.name);
	site->arena = *arena;
	site->cannot_attach = false;
	return 0;
}

int site_welcome(struct sites *sites, struct wire_reader *reader, struct why *why)
{
	struct wire_arena arena;
	uint32_t nr = 0;
	int r;

	while ((r = wire_next_raw(reader, &arena, sizeof(arena))) == 1 && nr < MAX_SITES) {
		r = take_arena(sites, nr, &arena, why);
		if (r < 0)
			return r;
		nr++;
	}
	if (r != 0)
		return -EPROTO;
	if (nr < sites->nr)
		return why_set(why, -ENOTCONN, "the daemon no longer serves arena %s: disconnect and connect again", sites->all[nr].arena.name);
	sites->nr = nr;
	return 0;
}

struct wire_arena site_arena(struct pma *pma, uint32_t arena)
{
	struct wire_arena copy;

	client_lock(pma);
	copy = pma->sites.all[arena].arena;
	client_unlock(pma);
	return copy;
}

const char *site_name(char buf[SITE_NAME_MAX], struct pma *pma, uint32_t arena)
{
	struct wire_arena copy = site_arena(pma, arena);

	memcpy(buf, copy.name, SITE_NAME_MAX);
	return buf;
}

/* ---- doors ---- */

static void door_free(struct door *door)
{
	if (!door)
		return;
	close(door->fd);
	free(door);
}

static void door_retire(struct sites *sites, struct door *door)
{
	if (door->nr_users == 0 && !door->is_lent) {
		door_free(door);
		return;
	}
	door->is_old = true;
	SLIST_INSERT_HEAD(&sites->old_doors, door, link);
}

void site_forget(struct sites *sites)
{
	for (uint32_t i = 0; i < sites->nr; i++) {
		struct site *site = &sites->all[i];

		for (int mode = 0; mode < 2; mode++) {
			if (site->doors[mode])
				door_retire(sites, site->doors[mode]);
			site->doors[mode] = NULL;
		}
		atomic_store(&site->plane, NULL);
		site->cannot_attach = false;
	}
}

void site_fini(struct sites *sites)
{
	struct door *door;
	struct plane *plane;

	for (uint32_t i = 0; i < sites->nr; i++) {
		door_free(sites->all[i].doors[0]);
		door_free(sites->all[i].doors[1]);
		free(sites->all[i].subscription);
	}
	while ((door = SLIST_FIRST(&sites->old_doors))) {
		SLIST_REMOVE_HEAD(&sites->old_doors, link);
		door_free(door);
	}
	while ((plane = SLIST_FIRST(&sites->planes))) {
		SLIST_REMOVE_HEAD(&sites->planes, link);
		munmap((void *)(uintptr_t)plane->ids, plane->nr * sizeof(*plane->ids));
		free(plane);
	}
}

/* ---- attaching ---- */

struct attach {
	struct call call;
	struct link *link;              /* borrowed */
	struct wire_arena arena;
	int fds[2];                     /* owned; -1: none; the device, the plane */
	bool is_lost;                   /* the descriptors came when nobody had room for them */
};

static int absorb_attached(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct attach *attach = (struct attach *)call;

	if (wire_next_raw(reader, &attach->arena, sizeof(attach->arena)) != 1 || attach->arena.result > 0)
		return -EPROTO;
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

/* What the file has, however many slots were promised: beyond its end is SIGBUS. */
static int plane_new(struct plane **out, int fd, uint64_t nr_slots)
{
	struct plane *plane;
	struct stat st;
	void *ids;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (nr_slots > (uint64_t)st.st_size / sizeof(*plane->ids))
		nr_slots = (uint64_t)st.st_size / sizeof(*plane->ids);
	if (nr_slots == 0)
		return -EPROTO;
	ids = mmap(NULL, nr_slots * sizeof(*plane->ids), PROT_READ, MAP_SHARED, fd, 0);
	if (ids == MAP_FAILED)
		return -errno;
	plane = malloc(sizeof(*plane));
	if (!plane) {
		munmap(ids, nr_slots * sizeof(*plane->ids));
		return -ENOMEM;
	}
	plane->ids = ids;
	plane->nr = nr_slots;
	*out = plane;
	return 0;
}

/* Under the lock. Another thread may have been faster: then what it has stays. */
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
		return -ENOMEM;
	door->fd = *fd;
	*fd = -1;
	site->doors[read_only] = door;
	return 0;
}

static int keep_attached(struct pma *pma, struct attach *attach, uint32_t arena, bool read_only)
{
	struct site *site = &pma->sites.all[arena];
	char name[SITE_NAME_MAX];
	int r;

	client_lock(pma);
	if (is_known(&attach->arena) && is_sound(&attach->arena, arena))
		site->arena = attach->arena;
	r = keep_plane(&pma->sites, site, attach->fds[1], attach->arena.nr_slots);
	if (r == 0)
		r = keep_door(site, read_only, &attach->fds[0]);
	client_unlock(pma);
	close_fd(attach->fds[0]);
	close_fd(attach->fds[1]);
	return r < 0 ? error_set(r, "arena %s: its descriptors cannot be used: %s", site_name(name, pma, arena), strerror(-r)) : 0;
}

static void await_fds(struct pma *pma, int more)
{
	client_lock(pma);
	pma->link.nr_awaiting_fds += (uint32_t)more;
	client_unlock(pma);
}

/* A thread that was receiving already may take the reply without them: it knows better the second time. */
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
		.call = { .opcode = WIRE_ATTACH, .absorb = absorb_attached }, .link = &pma->link, .fds = { -1, -1 },
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
	if (r < 0)
		return r;
	r = attach.arena.result;
	if (r < 0)
		return error_set(r, "arena %s: no %s descriptor of its device: %s", site_name(name, pma, arena),
				 read_only ? "read-only" : "writable", strerror(-r));
	return keep_attached(pma, &attach, arena, read_only);
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

int site_open(struct door **out, struct pma *pma, uint32_t arena, bool read_only)
{
	struct door *door;
	int r;

	if (arena >= pma->sites.nr)
		return error_set(-ENOENT, "there is no arena %u; the daemon serves %u", arena, pma->sites.nr);
	/* A session that ends in between takes the door away again. */
	while (!(door = use_door(pma, arena, read_only))) {
		r = attach(pma, arena, read_only);
		if (r < 0)
			return r;
	}
	*out = door;
	return 0;
}

void site_close(struct pma *pma, struct door *door)
{
	client_lock(pma);
	door->nr_users--;
	if (door->is_old && door->nr_users == 0 && !door->is_lent) {
		SLIST_REMOVE(&pma->sites.old_doors, door, door, link);
		door_free(door);
	}
	client_unlock(pma);
}

/* The first look at this arena, or the first in this session. */
const struct plane *site_plane(struct pma *pma, uint32_t arena)
{
	struct site *site = &pma->sites.all[arena];

	if (site->cannot_attach || client_check(pma) < 0)
		return NULL;
	if (attach(pma, arena, true) < 0)
		site->cannot_attach = true;
	return atomic_load_explicit(&site->plane, memory_order_acquire);
}

/* ---- public ---- */

bool pma_is_valid(struct pma *pma, struct pma_handle handle)
{
	const struct plane *plane;

	if (!pma || handle.id == 0 || handle.arena >= atomic_load_explicit(&pma->sites.nr, memory_order_relaxed))
		return false;
	plane = atomic_load_explicit(&pma->sites.all[handle.arena].plane, memory_order_acquire);
	if (!plane) {
		plane = site_plane(pma, handle.arena);
		if (!plane)
			return false;
	}
	return handle.slot < plane->nr &&
	       le64toh(atomic_load_explicit(&plane->ids[handle.slot], memory_order_acquire)) == handle.id;
}

int pma_device_fd(struct pma *pma, uint32_t arena, bool read_only)
{
	struct door *door;
	int r = client_check(pma);

	if (r == 0)
		r = site_open(&door, pma, arena, read_only);
	if (r < 0)
		return r;
	client_lock(pma);
	door->is_lent = true;
	client_unlock(pma);
	r = door->fd;
	site_close(pma, door);
	return r;
}

uint32_t pma_arena_count(struct pma *pma)
{
	return pma ? pma->sites.nr : 0;
}

int pma_arena_get(struct pma_arena *out, struct pma *pma, uint32_t index)
{
	struct wire_arena arena;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (index >= pma->sites.nr)
		return error_set(-ENOENT, "there is no arena %u; the daemon serves %u", index, pma->sites.nr);
	arena = site_arena(pma, index);
	*out = (struct pma_arena){
		.index = index, .page_size = arena.page_size, .size = arena.size, .align = arena.align,
		.is_dax = arena.is_dax, .granularity = (enum pma_granularity)arena.granularity,
	};
	memcpy(out->uuid, arena.uuid, sizeof(out->uuid));
	memcpy(out->name, arena.name, sizeof(out->name));
	memcpy(out->device, arena.device, sizeof(out->device));
	return 0;
}

static void uuid_text(char text[37], const uint8_t uuid[16])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*text++ = '-';
	}
	*text = '\0';
}

int pma_arena_find(uint32_t *index, struct pma *pma, const char *name_or_uuid)
{
	int r = client_check(pma);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < pma->sites.nr; i++) {
		struct pma_arena arena;
		char uuid[37];

		r = pma_arena_get(&arena, pma, i);
		if (r < 0)
			return r;
		uuid_text(uuid, arena.uuid);
		if (strcmp(arena.name, name_or_uuid) == 0 || strcasecmp(uuid, name_or_uuid) == 0) {
			*index = i;
			return 0;
		}
	}
	return error_set(-ENOENT, "no arena is called %s, nor is that the UUID of one", name_or_uuid);
}
