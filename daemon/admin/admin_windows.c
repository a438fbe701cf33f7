/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_windows: whose window pins how much, in JSON, for "holders" and "sessions". A window needs
 * no message to pin something: the daemon reads what all pin when somebody asks.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/arena/arena_window.h"

struct windows {
	const struct admin_windows *wanted;     /* borrowed */
	const char *arena;
	/* the file whose locks are the marks, as the kernel shows it in /proc/locks */
	char inode[64];
	struct json_object *list;
};

static const char *const states[] = {
	[ARENA_HOLDER_CONNECTED] = "connected",
	[ARENA_HOLDER_AWAITED] = "awaited",
	[ARENA_HOLDER_ENDING] = "ending",
	[ARENA_HOLDER_MARK] = "mark",
};

static bool is_wanted(const struct admin_windows *wanted, const struct arena_window_info *info)
{
	if ((wanted->has_uid && wanted->uid != info->uid) ||
	    (wanted->has_session && wanted->session != info->session))
		return false;
	/* A window whose pins are awaited counts as pinning everything, the one asked for too. */
	return !wanted->only || info->nr_allocs > 0 || info->state == ARENA_HOLDER_AWAITED;
}

static void add(void *arg, const struct arena_window_info *info)
{
	const struct windows *windows = arg;
	bool knows = info->state != ARENA_HOLDER_AWAITED;
	struct json_object *to;

	if (!is_wanted(windows->wanted, info))
		return;
	to = shape_object();
	shape_put_u64(to, "window", info->number);
	shape_put_string(to, "arena", windows->arena);
	shape_put_string(to, "holder", states[info->state]);
	shape_put_u64(to, "uid", info->uid);
	shape_put_u64_if(to, "session", info->session != 0, info->session);
	shape_put_u64_if(to, "pid", info->pid > 0, (uint64_t)info->pid);
	shape_put_string(to, "command", info->command[0] ? info->command : NULL);
	shape_put_bool(to, "read_only", info->read_only);
	shape_put_u64_if(to, "pins", knows, info->nr_pins);
	shape_put_u64_if(to, "allocations", knows, info->nr_allocs);
	shape_put_u64_if(to, "size", knows, info->bytes);
	shape_put_u64_if(to, "freed_allocations", knows, info->nr_freed);
	shape_put_u64_if(to, "freed_size", knows, info->freed_bytes);
	shape_put_u64(to, "mark", info->mark);
	shape_put_string(to, "inode", windows->inode);
	shape_append(windows->list, to);
}

int admin_put_windows(struct json_object *to, struct served *served,
		      const struct admin_windows *wanted)
{
	struct windows windows = { .wanted = wanted, .arena = served->name, .list = to };

	device_mark_inode(windows.inode, arena_device(served->arena));
	return arena_each_window(served->arena, wanted->only, add, &windows);
}
