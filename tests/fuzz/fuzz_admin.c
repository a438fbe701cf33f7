/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_admin: any bytes as lines to the admin socket of a daemon that serves a small arena in a file. What comes back is always
 * one line of JSON-RPC, and the arena is whole afterwards.
 */
#include <config.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/admin/admin_internal.h"
#include "daemon/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : abort())

static char dir[128];
static char back[400];          /* a request that brings the arena back */
static struct event_base *base;
static struct service *service;
static struct sessions *sessions;

static void clean_up(void)
{
	char command[200];

	sessions_free(sessions);
	service_close(service);
	event_base_free(base);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	must(system(command) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char runtime[200], device[200];
	static const char *overrides[] = { runtime, device, "arena.main.size=64M", "arena.main.format=if-blank", "log-level=error" };
	static const struct config_sources sources = { "/dev/null", overrides, sizeof(overrides) / sizeof(*overrides) };
	const char *tmp = getenv("TMPDIR");
	struct config config;
	struct why why;

	snprintf(dir, sizeof(dir), "%s/fuzz_admin.XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(dir) != NULL);
	snprintf(runtime, sizeof(runtime), "runtime-directory=%s", dir);
	snprintf(device, sizeof(device), "arena.main.device=%s/arena", dir);
	snprintf(back, sizeof(back),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add-arena\",\"params\":{\"name\":\"main\",\"settings\":[\"device=%s/arena\"]}}", dir);
	must(config_load(&config, &sources, &why) == 0);
	log_set_level(LOG_LEVEL_ERROR);
	must(service_open(&service, &config, &sources, &why) == 0);
	base = event_base_new();
	must(base && sessions_new(&sessions, base, service) == 0);
	atexit(clean_up);
	return 0;
}

static void check_answer(const char *text)
{
	struct json_object *answer = json_tokener_parse(text), *value;

	must(answer && json_object_is_type(answer, json_type_object));
	must(strchr(text, '\n') == text + strlen(text) - 1);
	must(json_object_object_get_ex(answer, "jsonrpc", &value) && strcmp(json_object_get_string(value), "2.0") == 0);
	must(json_object_object_get_ex(answer, "id", &value));
	must(json_object_object_get_ex(answer, "result", &value) != json_object_object_get_ex(answer, "error", &value));
	json_object_put(answer);
}

/* Whatever is followed: a step is one that is, or is not, and has a shape. */
static void follow(struct admin_trace *trace)
{
	const struct trace_field fields[] = {
		TRACE_STRING("arena", "main"),
		TRACE_NUMBER("id", 1),
		TRACE_NUMBER("uid", 0),
		TRACE_BYTES("name", "\xff\0a", 3),
	};
	const struct trace_step step = { "arena.free", fields, 4 };

	if (trace && admin_trace_wants(trace, &step))
		must(admin_trace_wants(trace, &step));
	json_object_put(admin_trace_shape(&step));
	admin_trace_free(trace);
}

/* Is it a setting with which an arena outside of the directory, or a large one, would be made? */
static bool is_harmful(const char *setting)
{
	return setting && ((strncmp(setting, "device=", 7) == 0 && strncmp(setting + 7, dir, strlen(dir)) != 0) ||
	       strncmp(setting, "metadata=/", 10) == 0 || strncmp(setting, "size=", 5) == 0);
}

/* May the daemon do what the line asks for? It may not touch files of this machine. */
static bool is_allowed(const char *line, size_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *request = json_tokener_parse_ex(tokener, line, (int)length), *params, *list;
	bool allowed = true;

	if (json_object_object_get_ex(request, "params", &params) && json_object_object_get_ex(params, "settings", &list) &&
	    json_object_is_type(list, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(list); i++)
			allowed &= !is_harmful(json_object_get_string(json_object_array_get_idx(list, i)));
	}
	json_object_put(request);
	json_tokener_free(tokener);
	return allowed;
}

static void ask(const uint8_t *line, size_t length)
{
	static const struct conn_peer root = { .pid = 1 };
	struct admin_call call = { .service = service, .sessions = sessions, .peer = &root, .is_admin = true };
	char *copy = malloc(length + !length), *answer;

	/* As large as the line to the byte, so that the sanitizer sees a read behind its end. */
	must(copy != NULL);
	memcpy(copy, line, length);
	must(admin_rpc(&answer, &call, copy, length) == 0);
	if (answer)
		check_answer(answer);
	follow(call.trace);
	free(answer);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char check[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"check-memmap\"}";
	const uint8_t *end = data + size, *newline;

	for (; data < end; data = newline + 1) {
		newline = memchr(data, '\n', (size_t)(end - data));
		if (!newline)
			newline = end;
		if (is_allowed((const char *)data, (size_t)(newline - data)))
			ask(data, (size_t)(newline - data));
		log_set_level(LOG_LEVEL_ERROR);
	}
	/* An input may have removed it. */
	if (service->arenas[0].is_gone)
		ask((const uint8_t *)back, strlen(back));
	ask((const uint8_t *)check, strlen(check));
	return 0;
}
