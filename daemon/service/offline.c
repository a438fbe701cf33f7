/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offline: formats, checks, repairs, renames or takes over an arena that no daemon serves, and
 * prints the result as JSON.
 */
#include <config.h>

#include "daemon/service/offline.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "daemon/arena/arena.h"
#include "daemon/arena/arena_check.h"
#include "daemon/log.h"
#include "daemon/service/host_shape.h"
#include "daemon/shape.h"
#include "lib/wire/escape.h"
#include "lib/wire/size.h"

#define SCHEMA       1
#define FINDINGS_MAX 1000

enum { EXIT_DIFFERENCES = 4 };

/* Says why on stderr, and returns an exit status. */
static int fail(int r, const struct why *why)
{
	const char *text = why->text[0] ? why->text : strerror(-r);
	char shown[ESCAPE_SIZE(sizeof(why->text))];

	escape_sentence(shown, sizeof(shown), text, strlen(text), escape_shows_text);
	fprintf(stderr, "pmemarenad: %s\n", shown);
	return EXIT_FAILURE;
}

/* Prints and frees @result. Returns @status, or a failure if it could not be printed. */
static int print(struct json_object *result, int status)
{
	char *text = shape_text(result);

	if (!text) {
		fprintf(stderr,
			"pmemarenad: it was done, but there is no memory to print the result\n");
		return EXIT_FAILURE;
	}
	fputs(text, stdout);
	free(text);
	return status;
}

static int read_number(uint64_t *out, const char *what, const char *text, struct why *why)
{
	if (!text || size_parse(out, text) == 0)
		return 0;
	return why_set(why, -EINVAL, "%s \"%s\" is not a number; 64G, 2M and 4096 are", what, text);
}

static int read_params(struct arena_params *params, const struct offline_request *request,
		       struct why *why)
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
	result = shape_object();
	shape_put_i64(result, "schema", SCHEMA);
	shape_put_string(result, "device", params->device);
	shape_put_string(result, "name", params->name);
	shape_put_bool(result, "formatted", true);
	return print(result, EXIT_SUCCESS);
}

/* ---- check and repair ---- */

static void note(void *arg, const char *what)
{
	struct json_object *list = arg;

	if (shape_length(list) < FINDINGS_MAX)
		shape_append_string(list, what);
}

static int report(const char *device, bool repaired, int64_t nr, uint64_t mended,
		  struct json_object *findings)
{
	struct json_object *result = shape_object();

	shape_put_i64(result, "schema", SCHEMA);
	shape_put_string(result, "device", device);
	shape_put_bool(result, "clean", nr == 0);
	shape_put_i64(result, "differences", nr);
	shape_put_bool(result, "repaired", repaired);
	shape_put_u64(result, "mended", mended);
	shape_put(result, "findings", findings);
	return print(result, nr == 0 || repaired ? EXIT_SUCCESS : EXIT_DIFFERENCES);
}

static int check_with(struct arena_params *params, bool repair)
{
	struct json_object *findings = shape_array();
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

/*
 * Runs @task with an empty runtime directory that is removed afterwards. No daemon was there before
 * whose ledger must be respected, and what the arena writes there is of no use later.
 */
static int with_own_directory(struct arena_params *params, int (*task)(struct arena_params *params))
{
	char path[] = "/tmp/pmemarena-repair.XXXXXX";
	int status;

	if (!mkdtemp(path)) {
		fprintf(stderr, "pmemarenad: %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	params->runtime_dir = path;
	status = task(params);
	remove_directory(path);
	return status;
}

static int repair(struct arena_params *params)
{
	return check_with(params, true);
}

/* ---- another UUID ---- */

static void add_uuid(struct json_object *result, const char *key, const uint8_t uuid[16])
{
	char text[37];

	uuid_unparse_lower(uuid, text);
	shape_put_string(result, key, text);
}

static int reidentify(struct arena_params *params)
{
	struct why why = { "" };
	uint8_t was[16], is[16];
	struct json_object *result;
	int r = quota_new(&params->quota);

	if (r == 0)
		r = scrubber_new(&params->scrubber, 0, 0);
	if (r == 0)
		r = arena_reidentify(was, is, params, &why);
	scrubber_free(params->scrubber);
	quota_free(params->quota);
	if (r < 0)
		return fail(r, &why);
	result = shape_object();
	shape_put_i64(result, "schema", SCHEMA);
	shape_put_string(result, "device", params->device);
	add_uuid(result, "was", was);
	add_uuid(result, "uuid", is);
	return print(result, EXIT_SUCCESS);
}

/* ---- from other hosts ---- */

static int take_over(struct arena_params *params, const char *fenced_by, bool dry_run)
{
	struct json_object *result;
	struct moves_hosts hosts;
	struct why why = { "" };
	int r;

	params->read_only = dry_run;
	r = arena_take_over(&hosts, params, &why);
	if (r < 0)
		return fail(r, &why);
	result = shape_object();
	shape_put_i64(result, "schema", SCHEMA);
	shape_put_string(result, "device", params->device);
	shape_put_string(result, "fenced_by", fenced_by);
	shape_put_bool(result, "dry_run", dry_run);
	shape_put(result, "taken_from", host_shape_list(&hosts));
	if (dry_run)
		return print(result, EXIT_SUCCESS);
	log_notice("%s: taken over from %u host(s), fenced by: %s", params->device, hosts.nr,
		   fenced_by);
	return print(result, EXIT_SUCCESS);
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
		return request->runtime_dir ? repair(&params) : with_own_directory(&params, repair);
	if (request->task == OFFLINE_TAKE_OVER)
		return take_over(&params, request->fenced_by, request->dry_run);
	/*
	 * The runtime directory is never that of the daemon, which may be serving the original of
	 * this copy.
	 */
	if (request->task == OFFLINE_REIDENTIFY)
		return with_own_directory(&params, reidentify);
	return check_with(&params, false);
}
