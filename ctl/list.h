/* SPDX-License-Identifier: BSD-3-Clause */
/* list: what list.c and list_order.c share. */
#ifndef PMEMARENA_CTL_LIST_H
#define PMEMARENA_CTL_LIST_H

#include "ctl/ctl.h"

#define LIST_COLUMNS_MAX 16

struct list_column {
	const char *name;               /* as it is typed */
	const char *title;
	const char *key;                /* in the daemon's answer; NULL: it is the name */
	bool is_number;
	void (*show)(char text[CTL_TEXT], const struct ctl *ctl, struct json_object *alloc);
};

/* "size,name"; @text NULL: all. false: it said what is wrong. */
bool list_read_columns(const struct list_column *columns[LIST_COLUMNS_MAX + 1], const char *text);
/* The name of a column, with a - in front downwards. For list_sort(). */
bool list_read_order(const char *text);
void list_sort(struct json_object *allocs);

#endif
