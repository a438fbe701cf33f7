/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin: what nbdkit calls: parameters, and requests, which are loads and stores to a mapping. How
 * the mapping came about is export.c's.
 */
#include <config.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd/export.h"
#include "nbd/fault.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define PREFERRED_BLOCK 4096
/* nbdkit takes no larger request with data. */
#define MAX_BLOCK (64u << 20)

static struct export_config config;
static char *owned_socket;              /* owned; what config.socket points to */

/* ---- parameters ---- */

static int set_once(const char **value, const char *key, const char *text)
{
	if (*value) {
		nbdkit_error("%s= is given twice, '%s' and '%s'",
			     key, *value, text);
		return -1;
	}
	if (!*text) {
		nbdkit_error("%s= is empty", key);
		return -1;
	}
	*value = text;
	return 0;
}

static int set_socket(const char *path)
{
	/* nbdkit goes to / when it serves. */
	if (!owned_socket)
		owned_socket = nbdkit_absolute_path(path);
	return owned_socket ? set_once(&config.socket, "socket", owned_socket) : -1;
}

static int set_create_size(const char *text)
{
	int64_t size = nbdkit_parse_size(text);

	if (size == 0)
		nbdkit_error("create-size=%s: an allocation has one byte or more", text);
	if (size <= 0)
		return -1;
	config.create_size = (uint64_t)size;
	return 0;
}

static int on_config(const char *key, const char *value)
{
	if (strcmp(key, "name") == 0)
		return set_once(&config.name, key, value);
	if (strcmp(key, "arena") == 0)
		return set_once(&config.arena, key, value);
	if (strcmp(key, "socket") == 0)
		return set_socket(value);
	if (strcmp(key, "create-size") == 0)
		return set_create_size(value);
	nbdkit_error("'%s' is no parameter of pmemarena, which has name=, arena=, socket= and "
		     "create-size=",
		     key);
	return -1;
}

static int on_config_complete(void)
{
	if (config.name)
		return 0;
	nbdkit_error("which allocation? say name=NAME; `pmemarenactl list` shows them");
	return -1;
}

static int on_get_ready(void)
{
	int r = fault_init();

	if (r < 0) {
		nbdkit_error("no handler for memory errors: %s", strerror(-r));
		return -1;
	}
	return export_prepare(&config) < 0 ? -1 : 0;
}

static void on_unload(void)
{
	free(owned_socket);
}

static void on_dump(void)
{
	printf("libpmemarena=%s\n", pma_version());
}

/* ---- a client comes and goes ---- */

static void *on_open(int readonly)
{
	struct view *view = calloc(1, sizeof(*view));

	if (!view) {
		nbdkit_error("out of memory");
		return NULL;
	}
	if (export_connect(view, &config, readonly) == 0)
		return view;
	free(view);
	return NULL;
}

static void on_close(void *handle)
{
	export_disconnect(handle);
	free(handle);
}

static int64_t on_get_size(void *handle)
{
	struct view *view = handle;

	return (int64_t)pma_map_length(view->map);
}

static int on_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	*minimum = 1;
	*preferred = PREFERRED_BLOCK;
	*maximum = MAX_BLOCK;
	return 0;
}

static int on_can_write(void *handle)
{
	struct view *view = handle;

	return !view->is_read_only;
}

static int on_can_fua(void *handle)
{
	return NBDKIT_FUA_NATIVE;
}

/*
 * All connections map the same memory. What one has written each other one reads, and a flush of
 * one writes back the page cache of all.
 */
static int on_can_multi_conn(void *handle)
{
	return 1;
}

static int yes(void *handle)
{
	return 1;
}

static int no(void *handle)
{
	return 0;
}

/* ---- requests ---- */

struct request {
	struct view *view;
	char *at;                       /* in the mapping */
	void *to;                       /* a read's buffer */
	const void *from;               /* what is written; NULL: zeroes */
	size_t count;
	bool is_durable;                /* when it is answered */
};

static int do_read(void *arg)
{
	struct request *request = arg;

	memcpy(request->to, request->at, request->count);
	return 0;
}

/* Stores to memory that is no page cache: what is answered is durable, so that a flush is free. */
static int store_durable(struct request *request)
{
	struct pma_mapping *map = request->view->map;

	return request->from ? pma_memcpy(map, request->at, request->from, request->count)
			     : pma_memset(map, request->at, 0, request->count);
}

static int do_write(void *arg)
{
	struct request *request = arg;

	if (!request->view->needs_flush)
		return store_durable(request);
	if (request->from)
		memcpy(request->at, request->from, request->count);
	else
		memset(request->at, 0, request->count);
	return request->is_durable
		       ? pma_persist(request->view->map, request->at, request->count)
		       : 0;
}

static int do_flush(void *arg)
{
	struct request *request = arg;

	return pma_persist(request->view->map, request->at, request->count);
}

static int answer(int r, const char *what, const struct request *request, size_t bad)
{
	const char *begin = pma_map_address(request->view->map);

	if (r == 0)
		return 0;
	if (r == -EFAULT)
		nbdkit_error("%s %zu bytes at %zu: the memory of byte %zu is bad, or the "
			     "file of the arena was made shorter, or its file system is full; "
			     "`pmemarenactl status` says how the device is, and `df` how full",
			     what, request->count, (size_t)(request->at - begin), bad);
	else
		nbdkit_error("%s %zu bytes at %zu: %s", what, request->count,
			     (size_t)(request->at - begin), pma_message());
	nbdkit_set_error(r == -EFAULT ? EIO : -r);
	return -1;
}

static int serve(const char *what, int (*work)(void *arg), struct request *request)
{
	struct pma_mapping *map = request->view->map;
	size_t bad = 0;
	int r = fault_catch(&bad, pma_map_address(map), pma_map_length(map), work, request);

	return answer(r, what, request, bad);
}

static struct request request_at(void *handle, uint64_t offset, size_t count, uint32_t flags)
{
	struct view *view = handle;

	return (struct request){ .view = view,
				 .at = (char *)pma_map_address(view->map) + offset,
				 .count = count,
				 .is_durable = flags & NBDKIT_FLAG_FUA };
}

static int on_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct request request = request_at(handle, offset, count, flags);

	request.to = buffer;
	return serve("reading", do_read, &request);
}

static int on_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
		     uint32_t flags)
{
	struct request request = request_at(handle, offset, count, flags);

	request.from = buffer;
	return serve("writing", do_write, &request);
}

static int on_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct request request = request_at(handle, offset, count, flags);

	return serve("zeroing", do_write, &request);
}

static int on_flush(void *handle, uint32_t flags)
{
	struct view *view = handle;
	struct request request = request_at(handle, 0, pma_map_length(view->map), flags);

	return view->needs_flush ? serve("flushing", do_flush, &request) : 0;
}

static struct nbdkit_plugin plugin = {
	.name = "pmemarena",
	.version = PACKAGE_VERSION,
	.longname = "an allocation of a pmemarena",
	.description = "Serves an allocation of persistent memory that pmemarenad hands out.",
	.magic_config_key = "name",
	.config = on_config,
	.config_complete = on_config_complete,
	.config_help = "[name=]NAME       (required) the allocation\n"
		       "arena=NAME|UUID   its arena; default: the first\n"
		       "socket=PATH       default: $PMEMARENA_SOCKET, or "
		       "/run/pmemarena/pmemarena.sock\n"
		       "create-size=SIZE  create it with SIZE bytes if it is not there",
	.dump_plugin = on_dump,
	.get_ready = on_get_ready,
	.unload = on_unload,
	.open = on_open,
	.close = on_close,
	.get_size = on_get_size,
	.block_size = on_block_size,
	.can_write = on_can_write,
	.can_flush = yes,
	.is_rotational = no,
	/*
	 * Space of an allocation cannot be given back in parts. A trim that stored zeroes instead
	 * would let mkfs or fstrim write all free space, and fill the sparse file of an arena.
	 */
	.can_trim = no,
	.can_zero = yes,
	.can_fast_zero = no,
	.can_fua = on_can_fua,
	.can_multi_conn = on_can_multi_conn,
	.pread = on_pread,
	.pwrite = on_pwrite,
	.zero = on_zero,
	.flush = on_flush,
};

/* nbdkit's header defines it with the next line, and declares it nowhere. */
NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
