/* SPDX-License-Identifier: BSD-3-Clause */
/* sweeper_acts: each public call of the library, with what it needs before and what it leaves. */
#include <config.h>

#include "tests/system/sweeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/session/client.h"

#ifdef SWEEP_HEAP
#include <pmemarena-heap.h>
#endif

#define KIB(n) (UINT64_C(n) << 10)
#define MIB(n) (UINT64_C(n) << 20)
#define RECONNECT_MS 300
#define ANOTHER_NAME "another name"

/* ---- options and connections ---- */

static int run_options(struct world *w)
{
	int r = w->options ? 0 : pma_options_new(&w->options);

	return r < 0 ? r : pma_options_set_socket(w->options, w->socket);
}

static void undo_options(struct world *w)
{
	pma_options_free(w->options);
	w->options = NULL;
}

static void have_options(struct world *w)
{
	must(run_options(w), "options");
	must(pma_options_set_reconnect_ms(w->options, RECONNECT_MS), "options");
}

static int run_connect(struct world *w)
{
	return pma_connect(&w->pma, w->options);
}

static void undo_connect(struct world *w)
{
	pma_disconnect(w->pma);
	w->pma = NULL;
	undo_options(w);
}

static void have_options_for_nobody(struct world *w)
{
	have_options(w);
	must(pma_options_set_socket(w->options, "/nobody/listens/here"), "options");
}

static int run_disconnect(struct world *w)
{
	pma_disconnect(w->pma);
	w->pma = NULL;
	return 0;
}

/* ---- one allocation ---- */

static void have_reservation(struct world *w)
{
	must(pma_reserve(&w->handle, w->pma, w->name, KIB(8), 0), "reserve");
}

static void have_allocation(struct world *w)
{
	must(pma_create(&w->handle, w->pma, w->name, KIB(8), 0), "create");
}

static void have_closed(struct world *w)
{
	have_allocation(w);
	must(pma_close(w->pma, w->handle), "close");
}

static void undo_abort(struct world *w)
{
	pma_abort(w->pma, w->handle);
}

static void free_named(struct world *w, const char *name)
{
	struct pma_handle handle;

	if (pma_open(&handle, w->pma, name, 0) == 0)
		must(pma_free(w->pma, handle), "free");
}

/* When the reply was lost only the name is known. */
static void undo_free(struct world *w)
{
	if (w->handle.id && pma_free(w->pma, w->handle) == 0)
		return;
	free_named(w, w->name);
	free_named(w, ANOTHER_NAME);
}

static int run_reserve(struct world *w)
{
	return pma_reserve(&w->handle, w->pma, w->name, KIB(8), 0);
}

static int run_create(struct world *w)
{
	return pma_create(&w->handle, w->pma, w->name, MIB(4), 0);
}

static int run_publish(struct world *w)
{
	return pma_publish(w->pma, w->handle);
}

static int run_abort(struct world *w)
{
	return pma_abort(w->pma, w->handle);
}

static int run_open(struct world *w)
{
	return pma_open(&w->handle, w->pma, w->name, PMA_READ_ONLY);
}

static int run_open_owned(struct world *w)
{
	return pma_open_owned(&w->handle, w->pma, w->name, 0, (uint32_t)geteuid());
}

static int run_close(struct world *w)
{
	return pma_close(w->pma, w->handle);
}

static int run_free(struct world *w)
{
	return pma_free(w->pma, w->handle);
}

static int run_resize(struct world *w)
{
	return pma_resize(w->pma, w->handle, KIB(12));
}

static int run_rename(struct world *w)
{
	return pma_rename(w->pma, w->handle, ANOTHER_NAME);
}

static int run_set_mode(struct world *w)
{
	return pma_set_mode(w->pma, w->handle, 0640);
}

static int run_stat(struct world *w)
{
	struct pma_info info;

	return pma_stat(&info, w->pma, w->handle);
}

static int run_stat_name(struct world *w)
{
	struct pma_info info;

	return pma_stat_name(&info, w->pma, 0, w->name);
}

static int run_set_owner(struct world *w)
{
	return pma_set_owner(w->pma, w->handle, UINT32_MAX, (uint32_t)getegid());
}

static int run_usage(struct world *w)
{
	struct pma_usage usage;

	return pma_usage_get(&usage, w->pma, 0);
}

static int run_list(struct world *w)
{
	struct pma_info info[4];
	uint64_t cursor = 0;
	size_t nr = 4;

	return pma_list(info, &nr, &cursor, w->pma, 0, "s");
}

static int run_extents(struct world *w)
{
	struct pma_extent extents[4];
	size_t nr = 4;

	return pma_extents(extents, &nr, w->pma, w->handle, 0);
}

static int run_device_fd(struct world *w)
{
	int fd = pma_device_fd(w->pma, 0, true);

	return fd < 0 ? fd : 0;
}

static int run_arena_find(struct world *w)
{
	uint32_t index;

	return pma_arena_find(&index, w->pma, "main");
}

/* ---- many at once ---- */

static const char *const op_names[] = { "first", "second", "third" };

static void have_ops(struct world *w)
{
	have_allocation(w);
	for (int i = 0; i < NR_OPS; i++)
		w->ops[i] = (struct pma_op){ .opcode = i < 3 ? PMA_OP_CREATE : PMA_OP_STAT,
					     .len = i < 3 ? KIB(4) : 0,
					     .name = i < 3 ? op_names[i] : NULL,
					     .handle = i < 3 ? PMA_HANDLE_NONE : w->handle };
}

/* What an earlier try did is not done again. */
static int run_many(struct world *w)
{
	struct pma_op ops[NR_OPS];
	int from[NR_OPS], nr = 0, r;

	for (int i = 0; i < NR_OPS; i++) {
		if (i < 3 && w->ops[i].handle.id)
			continue;
		from[nr] = i;
		ops[nr++] = w->ops[i];
	}
	r = pma_run(w->pma, ops, (size_t)nr);
	for (int i = 0; i < nr; i++) {
		w->ops[from[i]] = ops[i];
		r = r == 0 ? ops[i].result : r;
	}
	return r;
}

static void undo_many(struct world *w)
{
	for (int i = 0; i < 3; i++)
		free_named(w, op_names[i]);
	undo_free(w);
}

/* ---- memory ---- */

static int run_map(struct world *w)
{
	return pma_map(&w->map, w->pma, w->handle, PMA_MAP_WRITE);
}

static int run_map_reading(struct world *w)
{
	return pma_map(&w->map, w->pma, w->handle, PMA_MAP_READ);
}

static void have_mapped_reservation(struct world *w)
{
	have_reservation(w);
	must(run_map(w), "map");
}

static void have_map(struct world *w)
{
	have_allocation(w);
	must(run_map(w), "map");
}

static void have_map_and_options(struct world *w)
{
	have_map(w);
	have_options(w);
}

/* Something beside it keeps the second extent apart from the first. */
static void have_parts(struct world *w)
{
	struct pma_handle beside;

	must(pma_create(&w->handle, w->pma, w->name, MIB(2), 0), "create");
	must(pma_reserve(&beside, w->pma, NULL, MIB(2), 0), "reserve");
	must(pma_resize(w->pma, w->handle, MIB(4)), "resize");
	must(pma_abort(w->pma, beside), "abort");
}

static void have_mapped_before(struct world *w)
{
	have_map(w);
	pma_unmap(w->map);
	w->map = NULL;
}

/* As if the device were a file of a dax file system. */
static void have_allocation_of_lines(struct world *w)
{
	have_allocation(w);
	setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1);
}

static void undo_map(struct world *w)
{
	pma_unmap(w->map);
	w->map = NULL;
	undo_free(w);
}

/*
 * If the memory is still there the daemon must not be told that it is not, or it would give the
 * space to others: what could not be unmapped is lent.
 */
static int run_unmap(struct world *w)
{
	char *address = pma_map_address(w->map);
	struct holding *holding;
	unsigned char page;

	pma_unmap(w->map);
	w->map = NULL;
	holding = holding_recall(&w->pma->holdings, w->handle);
	if (mincore(address, 4096, &page) == 0 && (!holding || !holding->is_lent))
		must(-EFAULT, "it is still mapped, and the session does not know that");
	return 0;
}

static int run_stores(struct world *w)
{
	char *address = pma_map_address(w->map);
	int r = pma_memset(w->map, address, 1, 4096);

	if (r == 0)
		r = pma_memcpy(w->map, address, "text", 4);
	if (r == 0)
		r = pma_flush(w->map, address, 4096);
	if (r == 0)
		r = pma_drain(w->map);
	return r == 0 ? pma_persist(w->map, address, 8192) : r;
}

/*
 * False is an answer too; that it was so for want of memory must not be remembered. A daemon that is
 * away is not asked: another call makes the connection again.
 */
static int run_is_valid(struct world *w)
{
	if (w->nr_events++ > 0)
		must(run_stat(w), "stat");
	return pma_is_valid(w->pma, w->handle) ? 0 : -ENOENT;
}

/* ---- events ---- */

static void count_event(const struct pma_event *event, void *arg)
{
	struct world *w = arg;

	w->nr_events++;
}

static int run_subscribe(struct world *w)
{
	return pma_subscribe(w->pma, 0, "s", count_event, w);
}

static void undo_subscribe(struct world *w)
{
	pma_subscribe(w->pma, 0, NULL, NULL, NULL);
}

static int run_get_fd(struct world *w)
{
	int fd = pma_get_fd(w->pma);

	return fd < 0 ? fd : 0;
}

static void have_event(struct world *w)
{
	must(run_subscribe(w), "subscribe");
	have_allocation(w);
	/* It is delivered, or it waits in the socket. */
	must(run_stat(w), "stat");
}

/* What cannot be kept is lost, and that is told. */
static int run_dispatch(struct world *w)
{
	int r = pma_dispatch(w->pma);

	if (r == 0 && w->nr_events == 0)
		must(-ENOMSG, "an event is neither delivered nor told as lost");
	return r;
}

static void undo_dispatch(struct world *w)
{
	undo_subscribe(w);
	undo_free(w);
}

/* ---- caches ---- */

static int run_cache_open(struct world *w)
{
	return pma_cache_open(&w->cache, w->pma, 0, MIB(16));
}

static int run_cache_close(struct world *w)
{
	pma_cache_close(w->cache);
	w->cache = NULL;
	return 0;
}

static void undo_cache(struct world *w)
{
	run_cache_close(w);
	for (int i = 0; i < NR_PIECES; i++)
		free_named(w, op_names[i]);
}

static void have_cache(struct world *w)
{
	must(run_cache_open(w), "cache");
}

static int run_cache_reserve(struct world *w)
{
	for (int i = 0; i < NR_PIECES; i++) {
		int r = w->pieces[i].address ? 0
					     : pma_cache_reserve(&w->pieces[i], w->cache,
								 i == 2 ? MIB(2) : KIB(4),
								 PMA_ZEROED);

		if (r < 0)
			return r;
	}
	return 0;
}

static void have_pieces(struct world *w)
{
	have_cache(w);
	must(run_cache_reserve(w), "pieces");
}

static int run_cache_release(struct world *w)
{
	for (int i = 0; i < NR_PIECES; i++) {
		int r = w->pieces[i].address ? pma_cache_release(w->cache, &w->pieces[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static void have_released(struct world *w)
{
	have_pieces(w);
	must(run_cache_release(w), "release");
}

static int run_cache_trim(struct world *w)
{
	pma_cache_trim(w->cache);
	return 0;
}

/* What an earlier try published is not published again. */
static int run_cache_publish(struct world *w)
{
	int r = 0;

	for (int i = 0; i < NR_PIECES; i++)
		w->publications[i] = (struct pma_publication){
			.piece = &w->pieces[i],
			.name = op_names[i],
			.handle = w->publications[i].handle,
		};
	for (int i = 0, nr; i < NR_PIECES && r == 0; i += nr) {
		for (nr = 0; i + nr < NR_PIECES && !w->publications[i + nr].handle.id; nr++)
			;
		r = pma_cache_publish(w->cache, &w->publications[i], (size_t)nr);
		for (int j = i; j < i + nr && r == 0; j++)
			r = w->publications[j].result;
		nr += nr == 0;
	}
	return r;
}

static void have_published(struct world *w)
{
	have_pieces(w);
	must(run_cache_publish(w), "publish pieces");
}

/* ---- a connection that is lost ---- */

static void have_many_things(struct world *w)
{
	have_event(w);
	must(run_get_fd(w), "descriptor for a loop");
	must(run_map(w), "map");
}

/* The daemon takes it for the end of the session. */
static void have_lost(struct world *w)
{
	have_many_things(w);
	shutdown(w->pma->link.sock, SHUT_RDWR);
}

static void have_restarted(struct world *w)
{
	have_many_things(w);
	restart_daemon();
}

static int run_dispatch_until_up(struct world *w)
{
	int r;

	for (int i = 0; i < 2000; i++) {
		r = pma_dispatch(w->pma);
		if (r == 0 && w->nr_events > 0)
			break;
		usleep(500);
	}
	return r;
}

static void undo_lost(struct world *w)
{
	pma_unmap(w->map);
	w->map = NULL;
	undo_dispatch(w);
}

/* ---- in a child of fork() ---- */

/* What a child cannot unmap its parent must go on to see: attend() looks. */
static int run_child_unmap(struct world *w)
{
	char *address = pma_map_address(w->map);
	unsigned char page;

	pma_unmap(w->map);
	w->map = NULL;
	w->is_mapped = mincore(address, 4096, &page) == 0;
	return 0;
}

static int run_child_connect(struct world *w)
{
	struct pma_info info;

	if (w->map) {
		if (pma_stat(&info, w->pma, w->handle) != -EPERM)
			must(-EPERM, "a child is served on its parent's connection");
		pma_disconnect(w->pma);
		w->pma = NULL;
		w->map = NULL;
	}
	return run_connect(w);
}

/* ---- the admin socket ---- */

static int run_admin_call(struct world *w)
{
	return pma_admin_call(&w->json, NULL, w->admin_socket, "ping", "{}");
}

static void undo_admin_call(struct world *w)
{
	free(w->json);
	w->json = NULL;
}

static bool is_enough(const char *json, void *arg)
{
	return false;
}

/* There is nothing to watch unless something happens. */
static void have_noise(struct world *w)
{
	have_options(w);
	w->noise = fork();
	if (w->noise != 0)
		return;
	must(run_connect(w), "connect");
	while (getppid() == w->parent) {
		if (pma_create(&w->handle, w->pma, w->name, KIB(4), 0) == 0)
			pma_free(w->pma, w->handle);
		usleep(1000);
	}
	_exit(0);
}

static void undo_noise(struct world *w)
{
	kill(w->noise, SIGKILL);
	waitpid(w->noise, NULL, 0);
	must(run_connect(w), "connect");
	free_named(w, w->name);
	undo_connect(w);
}

static int run_admin_watch(struct world *w)
{
	return pma_admin_watch(w->admin_socket, "watch", NULL, is_enough, NULL);
}

/* ---- heaps ---- */

#ifdef SWEEP_HEAP
static int run_heap_open(struct world *w)
{
	return pma_heap_open(&w->heap, w->pma, 0, MIB(16), MIB(128));
}

static void undo_heap(struct world *w)
{
	pma_heap_close(w->heap);
	w->heap = NULL;
}

static void have_heap(struct world *w)
{
	must(run_heap_open(w), "heap");
}

/* More than one extent has. It is not asked for again sooner than in a tenth of a second. */
static int run_heap_grow(struct world *w)
{
	void *object = pma_heap_malloc(w->heap, MIB(20));

	if (!object) {
		usleep(110000);
		return pma_heap_why(w->heap, w->text, sizeof(w->text));
	}
	return pma_heap_free(w->heap, object);
}

static int run_heap_close(struct world *w)
{
	undo_heap(w);
	return 0;
}
#endif

/* ---- all of them ---- */

const struct act acts[] = {
	{ "options", NULL, run_options, undo_options, ACT_UNCONNECTED, 0 },
	{ "connect", have_options, run_connect, undo_connect, ACT_UNCONNECTED, 0 },
	{ "connect to nobody", have_options_for_nobody, run_connect, undo_connect, ACT_UNCONNECTED,
	  -ENOENT },
	{ "disconnect", have_mapped_reservation, run_disconnect, NULL, ACT_ENDS | ACT_UNMAPS, 0 },
	{ "reserve", NULL, run_reserve, undo_abort, 0, 0 },
	{ "create", NULL, run_create, undo_free, 0, 0 },
	{ "publish", have_reservation, run_publish, undo_free, 0, 0 },
	{ "abort", have_reservation, run_abort, NULL, 0, 0 },
	{ "open", have_closed, run_open, undo_free, 0, 0 },
	{ "open_owned", have_closed, run_open_owned, undo_free, 0, 0 },
	{ "close", have_allocation, run_close, undo_free, 0, 0 },
	{ "free", have_allocation, run_free, NULL, 0, 0 },
	{ "resize", have_allocation, run_resize, undo_free, 0, 0 },
	{ "rename", have_allocation, run_rename, undo_free, 0, 0 },
	{ "set_mode", have_allocation, run_set_mode, undo_free, 0, 0 },
	{ "stat", have_allocation, run_stat, undo_free, 0, 0 },
	{ "stat_name", have_allocation, run_stat_name, undo_free, 0, 0 },
	{ "set_owner", have_allocation, run_set_owner, undo_free, 0, 0 },
	{ "usage", NULL, run_usage, NULL, 0, 0 },
	{ "list", have_allocation, run_list, undo_free, 0, 0 },
	{ "extents", have_allocation, run_extents, undo_free, 0, 0 },
	{ "device_fd", NULL, run_device_fd, NULL, 0, 0 },
	{ "arena_find", NULL, run_arena_find, NULL, 0, 0 },
	{ "run", have_ops, run_many, undo_many, 0, 0 },
	{ "map", have_allocation, run_map, undo_map, 0, 0 },
	{ "map for reading", have_allocation, run_map_reading, undo_map, 0, 0 },
	{ "map of a dax file", have_allocation_of_lines, run_map, undo_map, 0, 0 },
	{ "map of two extents", have_parts, run_map, undo_map, 0, 0 },
	{ "map again", have_mapped_before, run_map, undo_map, 0, 0 },
	{ "unmap", have_map, run_unmap, undo_free, ACT_UNMAPS, 0 },
	{ "stores", have_map, run_stores, undo_map, 0, 0 },
	{ "is_valid", have_allocation, run_is_valid, undo_free, ACT_MUTE, 0 },
	{ "get_fd", NULL, run_get_fd, NULL, 0, 0 },
	{ "subscribe", NULL, run_subscribe, undo_subscribe, 0, 0 },
	{ "dispatch", have_event, run_dispatch, undo_dispatch, 0, 0 },
	{ "cache_open", NULL, run_cache_open, undo_cache, 0, 0 },
	{ "cache_reserve", have_cache, run_cache_reserve, undo_cache, 0, 0 },
	{ "cache_release", have_pieces, run_cache_release, undo_cache, ACT_UNMAPS, 0 },
	{ "cache_release of published", have_published, run_cache_release, undo_cache, ACT_UNMAPS, 0 },
	{ "cache_trim", have_released, run_cache_trim, undo_cache, ACT_UNMAPS, 0 },
	{ "cache_publish", have_pieces, run_cache_publish, undo_cache, 0, 0 },
	{ "cache_close", have_published, run_cache_close, undo_cache, ACT_UNMAPS | ACT_FORGETS,
	  0 },
	{ "window_open", NULL, run_window_open, undo_window, ACT_UNMAPS, 0 },
	{ "window_open, populated", NULL, run_window_open_populated, undo_window, ACT_UNMAPS, 0 },
	{ "get by name", have_window, run_get_name, undo_window, 0, 0 },
	{ "get by handle", have_window, run_get_handle, undo_window, 0, 0 },
	{ "get of two pieces", have_window_of_parts, run_get_name, undo_window, 0, 0 },
	{ "get by message", have_window_of_reservation, run_get_handle,
	  undo_window_of_reservation, 0, 0 },
	{ "get of an absent name", have_window, run_get_absent, undo_window, 0, -ENOENT },
	{ "window_close", have_window, run_window_close, undo_window_close, ACT_UNMAPS, 0 },
	{ "admin_call", NULL, run_admin_call, undo_admin_call, ACT_UNCONNECTED, 0 },
	{ "admin_watch", have_noise, run_admin_watch, undo_noise, ACT_UNCONNECTED, 0 },
#ifdef SWEEP_HEAP
	{ "heap_open", NULL, run_heap_open, undo_heap, ACT_FORGETS, 0 },
	{ "heap_malloc", have_heap, run_heap_grow, undo_heap, ACT_FORGETS, 0 },
	{ "heap_close", have_heap, run_heap_close, NULL, ACT_UNMAPS | ACT_FORGETS, 0 },
#endif
	/* Their space comes back later, so they are the last. */
	{ "unmap in a child", have_map, run_child_unmap, NULL,
	  ACT_IN_CHILD | ACT_ENDS | ACT_UNMAPS | ACT_LATE, 0 },
	{ "connect in a child", have_map_and_options, run_child_connect, undo_connect,
	  ACT_IN_CHILD | ACT_ENDS | ACT_UNMAPS | ACT_LATE, 0 },
	{ "a lost connection", have_lost, run_stat, undo_lost, ACT_LATE, 0 },
	{ "a lost connection in a loop", have_lost, run_dispatch_until_up, undo_lost, ACT_LATE,
	  0 },
	{ "a killed daemon", have_restarted, run_stat, undo_lost, ACT_LATE, 0 },
	{ "a window after a lost connection", have_window_of_lost, run_get_again, undo_window,
	  ACT_LATE, 0 },
	{ "a window after a killed daemon", have_window_of_killed, run_get_again, undo_window,
	  ACT_LATE, 0 },
	{ "a killed daemon in a loop", have_restarted, run_dispatch_until_up, undo_lost,
	  ACT_LATE, 0 },
};
const unsigned nr_acts = sizeof(acts) / sizeof(*acts);
