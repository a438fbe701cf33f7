/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create-arena: makes a device-dax of its own from a slice of a dax region that can be divided (CXL
 * memory, HBM), and formats it as an arena, apart from all others. This is done by the tool, as
 * root: the daemon is confined and makes no devices. It is the only file of the tool that calls
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
	"      --force               even if something of before lives in the slice; it is gone "
	"then\n"
	"\n"
	"Root only. A slice of a region lasts until the machine reboots; made again in the same "
	"order it has the same contents.\n";

/* Says what failed and, if @r is an errno, why. Returns the status of the command. */
static int fail(const char *what, int r)
{
	ctl_say("%s%s%s", what, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	return CTL_FAILED;
}

/*
 * Finds a region by its number; regions have no names. "3x" is not taken for 3: a slice of the
 * wrong region would be formatted.
 */
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

/* Returns the device of size 0 that the region keeps for the next slice, or makes one. */
static struct daxctl_dev *new_device(struct daxctl_region *region)
{
	if (daxctl_region_create_dev(region) < 0)
		return NULL;
	return daxctl_region_get_dev_seed(region);
}

/*
 * Removes a device that could not be formatted: it is no use to anybody, and would take the space
 * that the next attempt needs.
 */
static void remove_device(struct daxctl_region *region, struct daxctl_dev *dev)
{
	daxctl_dev_disable(dev);
	if (daxctl_dev_set_size(dev, 0) < 0)
		ctl_say("the slice %s could not be given back; `daxctl destroy-device %s` does it",
			daxctl_dev_get_devname(dev), daxctl_dev_get_devname(dev));
	else
		/* The last device of a region stays, with size 0, for the next slice. */
		daxctl_region_destroy_dev(region, dev);
}

/*
 * A device gets its size while it is disabled. Once it is enabled it has a node in /dev, and can be
 * formatted.
 */
static int enable(struct daxctl_dev *dev, uint64_t size)
{
	int r = daxctl_dev_set_size(dev, size);

	if (r < 0)
		return fail("the slice did not get its size; a multiple of the region's alignment "
			    "is needed",
			    r);
	r = daxctl_dev_enable_devdax(dev);
	if (r < 0)
		return fail("the new device cannot be enabled; is the module device_dax loaded?",
			    r);
	return CTL_DONE;
}

/*
 * Makes a device of @size_text bytes, or of all that the region has left. A device that could not
 * be enabled is removed again.
 */
static int make_device(struct daxctl_dev **out, struct daxctl_region *region, const char *size_text)
{
	uint64_t available = daxctl_region_get_available_size(region), size = available;
	struct daxctl_dev *dev;
	char text[128];
	int status;

	if (size_text && !ctl_parse_size(&size, size_text))
		return fail("--size is not a size: a number of bytes, or one with K, M, G or T "
			    "behind it",
			    0);
	if (size == 0 || size > available) {
		snprintf(text, sizeof(text), "region %d has %" PRIu64 " MiB free",
			 daxctl_region_get_id(region), available >> 20);
		return fail(text, 0);
	}
	dev = new_device(region);
	if (!dev)
		return fail("the region cannot be divided, or not by you", errno ? -errno : 0);
	status = enable(dev, size);
	if (status == CTL_DONE)
		*out = dev;
	else
		remove_device(region, dev);
	return status;
}

/*
 * Formats the new device by the daemon's program, which knows the format of arenas; the tool does
 * not. The arena has the device's name unless it was given one.
 */
static int format(const struct ctl *ctl, const char *device, const char *name,
		  const char *page_size, bool force)
{
	const char *args[9] = { "pmemarenad", "--format", NULL, "--name", name };
	struct json_object *result;
	char path[80], *out = NULL;
	size_t n = 5;
	int status;

	snprintf(path, sizeof(path), "/dev/%s", device);
	args[2] = path;
	if (page_size) {
		args[n++] = "--page-size";
		args[n++] = page_size;
	}
	if (force)
		args[n++] = "--force";
	status = ctl_run_daemon(&out, args);
	result = status == CTL_DONE && out ? json_tokener_parse(out) : NULL;
	if (result && !ctl_print_json(ctl, result))
		printf("%s is arena %s; to serve it, add to pmemarenad.conf and restart the "
		       "daemon:\n\n[arena %s]\ndevice = %s\n",
		       path, name, name, path);
	json_object_put(result);
	free(out);
	return status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *number = NULL, *size = NULL, *name = NULL, *page_size = NULL, *device;
	bool force = false;
	const struct ctl_option options[] = {
		{ "region", &number, NULL }, { "size", &size, NULL },
		{ "name", &name, NULL },     { "page-size", &page_size, NULL },
		{ "force", NULL, &force },   { NULL, NULL, NULL },
	};
	struct daxctl_region *region;
	struct daxctl_ctx *ctx;
	struct daxctl_dev *dev;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_create_arena, argc, argv, options, 0, 0))
		return status;
	if (!number)
		return ctl_usage(&ctl_create_arena, "--region is needed");
	if (daxctl_new(&ctx) < 0)
		return fail("libdaxctl cannot be used", -ENOMEM);
	region = find_region(ctx, number);
	status = region ? make_device(&dev, region, size)
			: fail("there is no such dax region; `daxctl list -R` shows them", 0);
	if (status == CTL_DONE) {
		device = daxctl_dev_get_devname(dev);
		status = format(ctl, device, name ? name : device, page_size, force);
		if (status != CTL_DONE)
			remove_device(region, dev);
	}
	daxctl_unref(ctx);
	return status;
}

const struct ctl_command ctl_create_arena = { "create-arena", "--region R [--size SIZE]",
					      "Make a slice of a dax region an arena of its own",
					      help, run };
