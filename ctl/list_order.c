/* SPDX-License-Identifier: BSD-3-Clause */
/* list_order: which columns `list` has, in which order its rows come, and whose they are. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "ctl/list.h"

/* What is published and poisoned is of use to nobody before somebody looks at it. */
static void show_state(char text[CTL_TEXT], const struct ctl *ctl, struct json_object *alloc)
{
	const char *state = ctl_get_string(alloc, "state");
	bool is_bad = ctl_get_bool(alloc, "poisoned") && strcmp(state, "published") == 0;

	snprintf(text, CTL_TEXT, "%s", is_bad ? "poisoned" : state);
}

static void show_size(char text[CTL_TEXT], const struct ctl *ctl, struct json_object *alloc)
{
	ctl_size(text, ctl, ctl_get_u64(alloc, "size"));
}

static void show_mode(char text[CTL_TEXT], const struct ctl *ctl, struct json_object *alloc)
{
	ctl_mode(text, ctl_get_u64(alloc, "mode"));
}

static void show_created(char text[CTL_TEXT], const struct ctl *ctl, struct json_object *alloc)
{
	ctl_time(text, ctl_get_u64(alloc, "created_ns"));
}

static void show_name(char text[CTL_TEXT], const struct ctl *ctl, struct json_object *alloc)
{
	const char *name = ctl_name(text, alloc);

	if (name != text)
		snprintf(text, CTL_TEXT, "%s", name);   /* what has no name is shown as - */
}

/* show NULL: the value as it is. The name is last: a long one makes no other line longer. */
static const struct list_column all[] = {
	{ "size", ">SIZE", "size", true, show_size },
	{ "state", "STATE", "state", false, show_state },
	{ "uid", ">UID", "uid", true, NULL },
	{ "gid", ">GID", "gid", true, NULL },
	{ "mode", "MODE", "mode", true, show_mode },
	{ "extents", ">EXTENTS", "extents", true, NULL },
	{ "open", ">OPEN", "open_by", true, NULL },
	{ "slot", ">SLOT", "slot", true, NULL },
	{ "id", ">ID", "id", true, NULL },
	{ "created", "CREATED", "created_ns", true, show_created },
	{ "name", "NAME", NULL, false, show_name },
};

#define NR_ALL (sizeof(all) / sizeof(*all))

static const struct list_column *find(const char *name, size_t len)
{
	for (size_t i = 0; i < NR_ALL; i++) {
		if (strlen(all[i].name) == len && strncmp(all[i].name, name, len) == 0)
			return &all[i];
	}
	ctl_say("there is no column \"%.*s\": they are size, state, uid, gid, mode, extents, open, "
		"slot, id, created and name",
		(int)len, name);
	return NULL;
}

bool list_read_columns(const struct list_column *columns[LIST_COLUMNS_MAX + 1], const char *text)
{
	size_t nr = 0, len;

	for (size_t i = 0; !text && i < NR_ALL; i++)
		columns[nr++] = &all[i];
	for (; text && *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (nr == LIST_COLUMNS_MAX) {
			ctl_say("there are more than %d columns", LIST_COLUMNS_MAX);
			return false;
		}
		columns[nr] = find(text, len);
		if (!columns[nr++])
			return false;
	}
	columns[nr] = NULL;
	return nr > 0;
}

/* ---- order ---- */

/* json_object_array_sort() takes no argument for its function. */
static const struct list_column *sort_by;
static bool sort_down;

static int compare_names(struct json_object *a, struct json_object *b)
{
	struct ctl_bytes left = { .len = 0 }, right = { .len = 0 };

	ctl_get_name(&left, a);
	ctl_get_name(&right, b);
	return strcmp(left.bytes, right.bytes);
}

static int compare(const void *a, const void *b)
{
	struct json_object *x = *(struct json_object *const *)a;
	struct json_object *y = *(struct json_object *const *)b;
	uint64_t left, right;
	int order;

	if (!sort_by->key) {
		order = compare_names(x, y);
	} else if (!sort_by->is_number) {
		order = strcmp(ctl_get_string(x, sort_by->key), ctl_get_string(y, sort_by->key));
	} else {
		left = ctl_get_u64(x, sort_by->key);
		right = ctl_get_u64(y, sort_by->key);
		order = left < right ? -1 : left > right;
	}
	return sort_down ? -order : order;
}

bool list_read_order(const char *text)
{
	sort_down = *text == '-';
	sort_by = find(text + sort_down, strlen(text + sort_down));
	return sort_by != NULL;
}

void list_sort(struct json_object *allocs)
{
	json_object_array_sort(allocs, compare);
}
