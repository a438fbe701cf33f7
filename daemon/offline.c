/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offline: the arena without a server around it.
 */
#include <config.h>

#include "daemon/offline.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arena/arena.h"
#include "lib/size.h"

#define SCHEMA       1
#define FINDINGS_MAX 1000

enum { EXIT_DIFFERENCES = 4 };

static int fail(int r, const struct why *why)
{
	fprintf(stderr, "pmemarenad: %s\n", why->text[0] ? why->text : strerror(-r));
	return EXIT_FAILURE;
}

static void print(struct json_object *result)
{
	puts(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(result);
}

static int read_number(uint64_t *out, const char *what, const char *text, struct why *why)
{
	if (!text || size_parse(out, text) == 0)
		return 0;
	return why_set(why, -EINVAL, "%s \"%s\" is not a number; 64G, 2M and 4096 are", what, text);
}

static int read_params(struct arena_params *params, const struct offline_request *request, struct why *why)
{
	int r;

	*params = (struct arena_params){
		.name = request->name ? request->name : "main",
		.device = request->device,
		.metadata = request->metadata,
		.memmap = request->memmap_on_device ? MEMMAP_DEVICE : MEMMAP_DRAM,
		.numa_node = -1,
		.force = request->force,
		.runtime_dir = request->runtime_dir,
	};
	r = read_number(&params->size, "size", request->size, why);
	if (r == 0)
		r = read_number(&params->page_size, "page size", request->page_size, why);
	if (r == 0)
		r = read_number(&params->nr_slots, "number of slots", request->slots, why);
	return r;
}

/* ---- format ---- */

static int run_format(const struct arena_params *params)
{
	struct json_object *result;
	struct why why = { "" };
	int r;

	r = arena_format(params, &why);
	if (r < 0)
		return fail(r, &why);
	result = json_object_new_object();
	json_object_object_add(result, "schema", json_object_new_int(SCHEMA));
	json_object_object_add(result, "device", json_object_new_string(params->device));
	json_object_object_add(result, "name", json_object_new_string(params->name));
	json_object_object_add(result, "formatted", json_object_new_boolean(true));
	print(result);
	return EXIT_SUCCESS;
}

/* ---- check and repair ---- */

static void note(void *arg, const char *what)
{
	struct json_object *list = arg;

	if (json_object_array_length(list) < FINDINGS_MAX)
		json_object_array_add(list, json_object_new_string(what));
}

static int report(const char *device, bool repaired, int64_t nr, uint64_t mended, struct json_object *findings)
{
	struct json_object *result = json_object_new_object();

	json_object_object_add(result, "schema", json_object_new_int(SCHEMA));
	json_object_object_add(result, "device", json_object_new_string(device));
	json_object_object_add(result, "clean", json_object_new_boolean(nr == 0));
	json_object_object_add(result, "differences", json_object_new_int64(nr));
	json_object_object_add(result, "repaired", json_object_new_boolean(repaired));
	json_object_object_add(result, "mended", json_object_new_uint64(mended));
	json_object_object_add(result, "findings", findings);
	print(result);
	return nr == 0 || repaired ? EXIT_SUCCESS : EXIT_DIFFERENCES;
}

static int check_with(struct arena_params *params, bool repair)
{
	struct json_object *findings = json_object_new_array();
	struct why why = { "" };
	uint64_t mended = 0;
	int64_t nr;
	int r;

	r = quota_new(&params->quota);
	if (r == 0)
		r = scrubber_new(&params->scrubber, 0, 0);
	nr = r < 0 ? r : arena_check_device(params, repair, &mended, note, findings, &why);
	scrubber_free(params->scrubber);
	quota_free(params->quota);
	if (nr < 0) {
		json_object_put(findings);
		return fail((int)nr, &why);
	}
	return report(params->device, repair, nr, mended, findings);
}

static void remove_directory(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

/* Without a daemon of before there is nothing to be respected; what the arena writes there is of no use afterwards. */
static int repair_with_own_directory(struct arena_params *params)
{
	char path[] = "/tmp/pmemarena-repair.XXXXXX";
	int status;

	if (!mkdtemp(path)) {
		fprintf(stderr, "pmemarenad: %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	params->runtime_dir = path;
	status = check_with(params, true);
	remove_directory(path);
	return status;
}

int offline_run(const struct offline_request *request)
{
	struct arena_params params;
	struct why why = { "" };
	int r;

	r = read_params(&params, request, &why);
	if (r < 0)
		return fail(r, &why);
	if (request->task == OFFLINE_FORMAT)
		return run_format(&params);
	if (request->task == OFFLINE_REPAIR && !request->dry_run)
		return request->runtime_dir ? check_with(&params, true) : repair_with_own_directory(&params);
	return check_with(&params, false);
}
