/* SPDX-License-Identifier: BSD-3-Clause */
/* trace: shows the steps that the daemon takes, as it takes them, until it is interrupted. */
#include <config.h>

#include <pmemarena.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"With no option all steps are shown. With several options, those that match all of them:\n"
	"      --uid N        what is, or is done, for this user\n"
	"      --session N    what this session does, and what becomes of what it had\n"
	"      --name NAME    what happens to the allocation of that name, also after it lost it\n"
	"\n"
	"What each step and field means: TRACING.md, installed beside this program's "
	"documentation.\n";

/* Is @key one that every line has, and not a field of the step? */
static bool is_frame(const char *key)
{
	return strcmp(key, "schema") == 0 || strcmp(key, "event") == 0 ||
	       strcmp(key, "time_ns") == 0 || strcmp(key, "name_hex") == 0;
}

/*
 * Prints a field. Text stands in quotes, so that a blank in it does not end it; a number stands as
 * it is.
 */
static void show_field(const char *key, struct json_object *value, struct json_object *step)
{
	char text[CTL_TEXT];

	if (strcmp(key, "name") == 0)
		printf(" name=\"%s\"", ctl_name(text, step));
	else if (json_object_is_type(value, json_type_string))
		printf(" %s=\"%s\"", key, ctl_sentence(text, json_object_get_string(value)));
	else
		printf(" %s=%s", key, json_object_get_string(value));
}

/*
 * Prints a step. The time has microseconds: steps of one request follow each other within some of
 * them.
 */
static void show(struct json_object *step)
{
	uint64_t time_ns = ctl_get_u64(step, "time_ns");
	char text[CTL_TEXT];

	if (strcmp(ctl_get_string(step, "event"), "lost") == 0) {
		printf("(%s steps are missing here: they came faster than they were read)\n",
		       ctl_get_string(step, "steps"));
		return;
	}
	printf("%s.%06u %s", ctl_time(text, time_ns), (unsigned)(time_ns / 1000 % 1000000),
	       ctl_get_string(step, "event"));
	json_object_object_foreach(step, key, value) {
		if (!is_frame(key))
			show_field(key, value, step);
	}
	putchar('\n');
}

/* Called for each step by pma_admin_watch(); false ends the command. */
static bool take(const char *json, void *arg)
{
	const struct ctl *ctl = arg;
	struct json_object *step;

	if (ctl->json) {
		ctl_put_json(json);
		putchar('\n');
	} else {
		step = json_tokener_parse(json);
		show(step);
		json_object_put(step);
	}
	/*
	 * Flushes after each step, so that a reader behind a pipe gets it at once. When the reader
	 * is gone this fails, and the command ends.
	 */
	return ctl_flush() == 0;
}

static int follow(struct ctl *ctl, struct json_object *params)
{
	struct json_object *result;
	/*
	 * First asks whether the daemon is there, within the timeout. After that no step may come
	 * for days, so the wait for steps has no timeout.
	 */
	int status = ctl_call(&result, ctl, "ping", NULL), r;

	if (status != CTL_DONE)
		return status;
	json_object_put(result);
	r = pma_admin_watch(ctl->admin_socket, "trace",
			    json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN), take,
			    ctl);
	return r < 0 ? ctl_explain(r) : CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *uid = NULL, *session = NULL, *name = NULL;
	const struct ctl_option options[] = { { "uid", &uid, NULL },
					      { "session", &session, NULL },
					      { "name", &name, NULL },
					      { NULL, NULL, NULL } };
	struct json_object *params;
	struct ctl_bytes bytes;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_trace, argc, argv, options, 0, 0))
		return status;
	if (name && !ctl_read_name(&bytes, name))
		return CTL_USAGE;
	params = ctl_params();
	ctl_put(params, "uid", uid);
	ctl_put(params, "session", session);
	if (name)
		ctl_put_bytes(params, "name", &bytes);
	status = follow(ctl, params);
	json_object_put(params);
	return status;
}

const struct ctl_command ctl_trace = { "trace", "[--uid N] [--session N] [--name NAME]",
				       "Show each step that the daemon takes, as it takes it", help,
				       run };
