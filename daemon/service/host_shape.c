/* SPDX-License-Identifier: BSD-3-Clause */
/* host_shape: how hosts look in JSON. A name comes from a device, and may be no text. */
#include <config.h>

#include "daemon/service/host_shape.h"

#include <stdio.h>
#include <string.h>

#include "lib/wire/escape.h"

static struct json_object *shape_host(const struct moves_host *host)
{
	bool is_text = host->name[0] && escape_is_utf8(host->name, strlen(host->name));
	struct json_object *to = shape_object();
	char id[33];

	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", host->id[i]);
	shape_put_string(to, "name", is_text ? host->name : NULL);
	shape_put_string(to, host->is_identity ? "identity" : "machine_id", id);
	shape_put_null(to, host->is_identity ? "machine_id" : "identity");
	return to;
}

struct json_object *host_shape_list(const struct moves_hosts *hosts)
{
	struct json_object *list = shape_array();

	for (uint32_t i = 0; i < hosts->nr; i++)
		shape_append(list, shape_host(&hosts->list[i]));
	return list;
}
