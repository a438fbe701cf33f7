/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create-arena: a slice of a dax region that can be divided (CXL memory, HBM) becomes a device-dax of its own, formatted as an arena:
 * a trust domain apart from the others. In the tool, as root: the daemon is confined and makes no devices. The tool's only door to
 * libdaxctl.
 */
#include <config.h>

#include <daxctl/libdaxctl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static const char help[] =
	"      --region R            number of the dax region; `daxctl list -R` shows them\n"
	"      --size SIZE           of the slice; default: all that is free\n"
	"      --name NAME           of the arena; default: the name of the new device\n"
	"      --page-size SIZE      4K, 2M (default) or 1G\n"
	"\n"
	"Root only. A slice of a region lasts until the machine reboots; made again in the same order it has the same contents.\n";

static int fail(const char *what, int r)
{
	fprintf(stderr, "pmemarenactl: %s%s%s\n", what, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	return CTL_FAILED;
}

static struct daxctl_region *find_region(struct daxctl_ctx *ctx, const char *number)
{
	struct daxctl_region *region;
	char *end;
	long id = strtol(number, &end, 10);

	daxctl_region_foreach(ctx, region) {
		if (*number && !*end && daxctl_region_get_id(region) == id)
			return region;
	}
	return NULL;
}

/* The device of size 0 that the region keeps for the next slice, or a new one. */
static struct daxctl_dev *new_device(struct daxctl_region *region)
{
	if (daxctl_region_create_dev(region) < 0)
		return NULL;
	return daxctl_region_get_dev_seed(region);
}

static int make_device(char name[64], struct daxctl_region *region, const char *size_text)
{
	uint64_t available = daxctl_region_get_available_size(region), size = available;
	struct daxctl_dev *dev;
	char text[128];
	int r;

	if (size_text && !ctl_parse_size(&size, size_text))
		return fail("--size is not a size: a number of bytes, or one with K, M, G or T behind it", 0);
	if (size == 0 || size > available) {
		snprintf(text, sizeof(text), "region %d has %" PRIu64 " MiB free", daxctl_region_get_id(region), available >> 20);
		return fail(text, 0);
	}
	dev = new_device(region);
	if (!dev)
		return fail("the region cannot be divided, or not by you", errno ? -errno : 0);
	r = daxctl_dev_set_size(dev, size);
	if (r < 0)
		return fail("the slice did not get its size; a multiple of the region's alignment is needed", r);
	r = daxctl_dev_enable_devdax(dev);
	if (r < 0)
		return fail("the new device cannot be enabled; is the module device_dax loaded?", r);
	snprintf(name, 64, "%s", daxctl_dev_get_devname(dev));
	return CTL_DONE;
}

static int format(const struct ctl *ctl, const char *device, const char *name, const char *page_size)
{
	const char *args[] = { "pmemarenad", "--format", NULL, "--name", name, page_size ? "--page-size" : NULL, page_size, NULL };
	struct json_object *result;
	char path[80], *out = NULL;
	int status;

	snprintf(path, sizeof(path), "/dev/%s", device);
	args[2] = path;
	status = ctl_run_daemon(&out, args);
	result = status == CTL_DONE && out ? json_tokener_parse(out) : NULL;
	if (result && !ctl_print_json(ctl, result))
		printf("%s is arena %s; to serve it, add to pmemarenad.conf and restart the daemon:\n\n[arena %s]\ndevice = %s\n", path, name,
		       name, path);
	json_object_put(result);
	free(out);
	return status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *number = NULL, *size = NULL, *name = NULL, *page_size = NULL;
	const struct ctl_option options[] = {
		{ "region", &number, NULL }, { "size", &size, NULL }, { "name", &name, NULL }, { "page-size", &page_size, NULL }, { NULL, NULL, NULL },
	};
	struct daxctl_region *region;
	struct daxctl_ctx *ctx;
	char device[64];
	int status;

	if (!ctl_begin(&status, ctl, &ctl_create_arena, argc, argv, options, 0, 0))
		return status;
	if (!number)
		return ctl_usage(&ctl_create_arena, "--region is needed");
	if (daxctl_new(&ctx) < 0)
		return fail("libdaxctl cannot be used", -ENOMEM);
	region = find_region(ctx, number);
	status = region ? make_device(device, region, size) : fail("there is no such dax region; `daxctl list -R` shows them", 0);
	daxctl_unref(ctx);
	return status == CTL_DONE ? format(ctl, device, name ? name : device, page_size) : status;
}

const struct ctl_command ctl_create_arena = {
	"create-arena", "--region R [--size SIZE]", "Make a slice of a dax region an arena of its own", help, run
};
