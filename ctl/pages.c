/* SPDX-License-Identifier: BSD-3-Clause */
/* pages: all answers of a method that answers a page at a time, as if they were one. */
#include <config.h>

#include "ctl/ctl.h"

/* Moves the rows of @page to the end of those of *all. The first page becomes *all itself. */
static void gather(struct json_object **all, struct json_object *page, const char *key)
{
	struct json_object *to = ctl_get(*all, key), *from = ctl_get(page, key);

	if (!*all) {
		*all = page;
		return;
	}
	for (size_t i = 0; i < json_object_array_length(from); i++)
		json_object_array_add(to, json_object_get(ctl_at(from, i)));
	json_object_object_add(*all, "cursor", json_object_get(ctl_get(page, "cursor")));
	json_object_put(page);
}

int ctl_call_all_quiet(struct json_object **all, int *code, struct ctl *ctl, const char *method,
		       const char *key, struct json_object *params)
{
	struct json_object *page;
	int r;

	*all = NULL;
	do {
		r = ctl_call_quiet(&page, code, ctl, method, json_object_get(params));
		if (r < 0)
			break;
		gather(all, page, key);
		ctl_put(params, "cursor", ctl_get(*all, "cursor")
						  ? ctl_get_string(*all, "cursor") : NULL);
	} while (ctl_get(*all, "cursor"));
	json_object_put(params);
	if (r < 0) {
		json_object_put(*all);
		*all = NULL;
	}
	return r;
}

int ctl_call_all(struct json_object **all, struct ctl *ctl, const char *method, const char *key,
		 struct json_object *params)
{
	int code, r = ctl_call_all_quiet(all, &code, ctl, method, key, params);

	return r < 0 ? ctl_explain(r) : CTL_DONE;
}
