/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * withheld: prints how much of an arena waits for other hosts, for the commands stats, status and
 * holders.
 */
#include <config.h>

#include <stdio.h>

#include "ctl/ctl.h"

void ctl_show_withheld(const struct ctl *ctl, struct json_object *from, const char *indent)
{
	struct json_object *hosts = ctl_get(from, "withheld_for");
	char what[CTL_TEXT], size[CTL_TEXT], text[CTL_TEXT], name[CTL_TEXT];

	if (ctl_get(from, "owner")) {
		snprintf(what, sizeof(what), "%sowned by host", indent);
		snprintf(text, sizeof(text), "%.100s, term %.32s",
			 ctl_sentence(name, ctl_get_string(from, "owner")),
			 ctl_get_string(from, "term"));
		ctl_line(what, text);
	}
	for (size_t i = 0; i < json_object_array_length(hosts); i++) {
		struct json_object *host = ctl_at(hosts, i);
		const char *key = ctl_get(host, "identity") ? "identity" : "machine_id";

		snprintf(what, sizeof(what), "%swaits for host", indent);
		snprintf(text, sizeof(text), "%.100s (%.32s): %.32s",
			 ctl_get(host, "name") ? ctl_sentence(name, ctl_get_string(host, "name"))
					       : "unknown",
			 ctl_get_string(host, key),
			 ctl_size(size, ctl, ctl_get_u64(from, "withheld")));
		ctl_line(what, text);
	}
}
