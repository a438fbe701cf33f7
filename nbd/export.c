/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * export: connects to the daemon, opens and maps. It knows nothing of requests.
 */
#include <config.h>

#include "nbd/export.h"

#include <errno.h>
#include <nbdkit-plugin.h>
#include <pmemarena.h>
#include <pthread.h>
#include <string.h>

#include "nbd/ear.h"

/* What all connected clients share. nbdkit gives callbacks no object but a client's own. */
static struct {
	pthread_mutex_t lock;
	unsigned nr_views;              /* all below is valid while it is not 0 */
	struct pma *pma;                /* owned */
	struct ear *ear;                /* owned */
	struct pma_handle handle;       /* of the allocation that they have open */
	struct pma_arena arena;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Says what the library said, and what that is about. */
static int say(int r, const char *what)
{
	nbdkit_error("%s: %s", what, pma_message());
	return r;
}

static int begin_session(struct pma **out, const struct export_config *config)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r < 0)
		return say(r, "no session with pmemarenad");
	if (config->socket)
		r = pma_options_set_socket(options, config->socket);
	if (r == 0)
		r = pma_connect(out, options);
	pma_options_free(options);
	return r < 0 ? say(r, "no session with pmemarenad") : 0;
}

static int find_arena(struct pma_arena *out, struct pma *pma, const char *name)
{
	uint32_t index = 0;
	int r = name ? pma_arena_find(&index, pma, name) : 0;

	if (r == 0)
		r = pma_arena_get(out, pma, index);
	return r < 0 ? say(r, name ? "arena=" : "the first arena (arena= names another one)") : 0;
}

/*
 * Opens it for writing if that is asked for and allowed, else for reading: *read_only becomes which
 * of them.
 */
static int open_it(struct pma_handle *out, bool *read_only, struct pma *pma, uint32_t arena,
		   const char *name)
{
	int r = pma_open_in(out, pma, arena, name, *read_only ? PMA_READ_ONLY : 0);

	if (r == -EACCES && !*read_only) {
		nbdkit_debug("not for writing: %s", pma_message());
		*read_only = true;
		r = pma_open_in(out, pma, arena, name, PMA_READ_ONLY);
	}
	return r < 0 ? say(r, "the allocation of name= cannot be opened") : 0;
}

/* Creates what is not there; what is there is served as it is. */
static int create(struct pma *pma, uint32_t arena, const struct export_config *config)
{
	struct pma_handle handle;
	int r;

	if (config->create_size == 0)
		return 0;
	r = pma_create_in(&handle, pma, arena, config->name, config->create_size, 0);
	if (r == -EEXIST) {
		nbdkit_debug("create-size=: it is there already, and served as it is");
		return 0;
	}
	return r < 0 ? say(r, "create-size=") : 0;
}

int export_prepare(const struct export_config *config)
{
	struct pma_handle handle;
	struct pma_arena arena;
	struct pma *pma;
	bool read_only = false;
	int r = begin_session(&pma, config);

	if (r < 0)
		return r;
	r = find_arena(&arena, pma, config->arena);
	if (r == 0)
		r = create(pma, arena.index, config);
	if (r == 0)
		r = open_it(&handle, &read_only, pma, arena.index, config->name);
	pma_disconnect(pma);
	return r;
}

/* ---- the session of all connected clients; under its lock ---- */

static void end_if_last(void)
{
	if (shared.nr_views > 0)
		return;
	ear_free(shared.ear);
	pma_disconnect(shared.pma);
	shared.ear = NULL;
	shared.pma = NULL;
}

static int begin_if_first(const struct export_config *config)
{
	int r;

	if (shared.nr_views > 0)
		return 0;
	r = begin_session(&shared.pma, config);
	if (r < 0)
		return r;
	r = find_arena(&shared.arena, shared.pma, config->arena);
	if (r == 0) {
		r = ear_new(&shared.ear, shared.pma);
		if (r < 0)
			nbdkit_error("nobody would listen for pmemarenad: %s", strerror(-r));
	}
	return r;
}

static bool is_same(struct pma_handle a, struct pma_handle b)
{
	return a.arena == b.arena && a.slot == b.slot && a.id == b.id;
}

static int open_the_same(struct view *view, const struct export_config *config)
{
	struct pma_handle handle;
	int r = open_it(&handle, &view->is_read_only, shared.pma, shared.arena.index,
			config->name);

	if (r < 0)
		return r;
	if (shared.nr_views > 0 && !is_same(handle, shared.handle)) {
		pma_close(shared.pma, handle);
		nbdkit_error("the name is now that of another allocation than the one that %u "
			     "connected clients have; connect again when they are gone",
			     shared.nr_views);
		return -ESTALE;
	}
	shared.handle = handle;
	return 0;
}

static int connect_one(struct view *view, const struct export_config *config)
{
	int r = begin_if_first(config);

	if (r == 0)
		r = open_the_same(view, config);
	if (r < 0)
		return r;
	r = pma_map(&view->map, shared.pma, shared.handle,
		    view->is_read_only ? PMA_MAP_READ : PMA_MAP_WRITE);
	if (r < 0)
		return say(r, "the allocation cannot be mapped");
	view->needs_flush = shared.arena.granularity == PMA_PAGE;
	shared.nr_views++;
	return 0;
}

int export_connect(struct view *out, const struct export_config *config, bool read_only)
{
	struct view view = { .is_read_only = read_only };
	int r;

	pthread_mutex_lock(&shared.lock);
	r = connect_one(&view, config);
	if (r < 0)
		end_if_last();
	else
		*out = view;
	pthread_mutex_unlock(&shared.lock);
	return r;
}

void export_disconnect(struct view *view)
{
	pthread_mutex_lock(&shared.lock);
	pma_unmap(view->map);
	shared.nr_views--;
	end_if_last();
	pthread_mutex_unlock(&shared.lock);
}
