/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_dax: the only user of libdaxctl and libndctl. Both keep what they have listed, so each
 * scan has contexts of its own; that also keeps threads apart, since the getters of a context share
 * buffers. Values that mean 'could not read' (0, ULONG_MAX, a negative number) become the value
 * that device.h has for 'not known'.
 *
 * libdaxctl knows devices; libndctl knows the NVDIMM namespace behind one. CXL and hmem devices
 * have none: what it would tell stays 'not known', which is no error.
 */
#include <config.h>

#include "daemon/device/device_internal.h"

#include <daxctl/libdaxctl.h>
#include <errno.h>
#include <fcntl.h>
#include <ndctl/libndctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/log.h"

#define SECTOR UINT64_C(512)

struct scan {
	struct daxctl_ctx *dax;
	struct ndctl_ctx  *nd;          /* NULL: nothing is known of namespaces */
};

/* Without a log function both libraries write to stderr, between the lines of the daemon. */
__attribute__((format(printf, 1, 0))) static void log_line(const char *format, va_list args)
{
	char line[256];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("libdaxctl: %s", line);
}

__attribute__((format(printf, 6, 0)))
static void log_dax(struct daxctl_ctx *ctx, int priority, const char *file, int line,
		    const char *fn, const char *format, va_list args)
{
	(void)ctx, (void)priority, (void)file, (void)line, (void)fn;
	log_line(format, args);
}

__attribute__((format(printf, 6, 0)))
static void log_nd(struct ndctl_ctx *ctx, int priority, const char *file, int line, const char *fn,
		   const char *format, va_list args)
{
	(void)ctx, (void)priority, (void)file, (void)line, (void)fn;
	log_line(format, args);
}

static int scan_init(struct scan *scan, struct why *why)
{
	int r;

	*scan = (struct scan){ 0 };
	r = daxctl_new(&scan->dax);
	if (r < 0) {
		scan->dax = NULL;
		return why_set(why, r, "libdaxctl cannot list devices: %s", strerror(-r));
	}
	daxctl_set_log_fn(scan->dax, log_dax);
	if (ndctl_new(&scan->nd) < 0)
		scan->nd = NULL;
	else
		ndctl_set_log_fn(scan->nd, log_nd);
	return 0;
}

static void scan_fini(struct scan *scan)
{
	if (scan->nd)
		ndctl_unref(scan->nd);
	if (scan->dax)
		daxctl_unref(scan->dax);
}

static void read_device(struct device_info *info, struct daxctl_dev *dev)
{
	unsigned long long resource = daxctl_dev_get_resource(dev);
	const char *name = daxctl_dev_get_devname(dev);

	info->kind = DEVICE_DAX;
	snprintf(info->chardev, sizeof(info->chardev), "%s", name);
	snprintf(info->path, sizeof(info->path), "/dev/%s", name);
	snprintf(info->mode, sizeof(info->mode),
		 daxctl_dev_get_memory(dev) ? "system-ram" : "devdax");
	info->size = daxctl_dev_get_size(dev);
	info->align = daxctl_dev_get_align(dev);
	info->resource = resource && resource != UINT64_MAX ? resource : UINT64_MAX;
	info->numa_node = device_numa_node("/sys", info->chardev, daxctl_dev_get_target_node(dev));
	info->region_id = daxctl_region_get_id(daxctl_dev_get_region(dev));
}

static int refuse_align(const struct device_info *info, struct why *why)
{
	if (!info->align)
		return why_set(why, -EINVAL,
			       "%s has no alignment that could be read; is /sys mounted?",
			       info->chardev);
	return why_set(why, -EINVAL,
		       "%s has %#llx bytes, no multiple of its alignment %#llx; make it anew with "
		       "'daxctl create-device'",
		       info->chardev, (unsigned long long)info->size,
		       (unsigned long long)info->align);
}

/* Returns 0, or an error with a sentence that says why the device cannot serve and what to do. */
static int check_device(const struct device_info *info, struct daxctl_dev *dev, struct why *why)
{
	const char *name = info->chardev;

	if (strcmp(info->mode, "system-ram") == 0)
		return why_set(why, -EINVAL,
			       "%s is in use as system memory; 'daxctl reconfigure-device "
			       "--mode=devdax %s' takes it back",
			       name, name);
	if (!info->size)
		return why_set(why, -EINVAL,
			       "%s has size 0 (the seed that its region makes devices from); "
			       "'daxctl create-device -r %d' makes one",
			       name, info->region_id);
	if (!daxctl_dev_is_enabled(dev))
		return why_set(why, -ENXIO,
			       "%s is not enabled; 'daxctl reconfigure-device --mode=devdax %s' "
			       "brings it up",
			       name, name);
	if (!info->align || info->size % info->align)
		return refuse_align(info, why);
	return 0;
}

static bool region_has_chardev(struct ndctl_region *region, const char *chardev)
{
	struct daxctl_region *dax_region;
	struct daxctl_dev *dev;
	struct ndctl_dax *dax;

	ndctl_dax_foreach(region, dax) {
		dax_region = ndctl_dax_get_daxctl_region(dax);
		if (!dax_region)
			continue;
		daxctl_dev_foreach(dax_region, dev)
			if (strcmp(daxctl_dev_get_devname(dev), chardev) == 0)
				return true;
	}
	return false;
}

static struct ndctl_region *find_nd_region(struct ndctl_ctx *nd, const char *chardev)
{
	struct ndctl_region *region;
	struct ndctl_bus *bus;

	if (!nd)
		return NULL;
	ndctl_bus_foreach(nd, bus)
		ndctl_region_foreach(bus, region)
			if (region_has_chardev(region, chardev))
				return region;
	return NULL;
}

static const char *persistence_name(enum ndctl_persistence_domain domain)
{
	switch (domain) {
	case PERSISTENCE_NONE:
		return "none";
	case PERSISTENCE_MEM_CTRL:
		return "memory-controller";
	case PERSISTENCE_CPU_CACHE:
		return "cpu-cache";
	default:
		return "unknown";
	}
}

/* Returns 0 ok, 1 non-critical, 2 critical, 3 fatal; -1: the DIMM does not say. */
static int dimm_health(struct ndctl_dimm *dimm)
{
	struct ndctl_cmd *smart = ndctl_dimm_cmd_new_smart(dimm);
	unsigned int health;
	int level = -1;

	if (!smart)
		return -1;
	if (ndctl_cmd_submit(smart) >= 0 &&
	    ndctl_cmd_smart_get_flags(smart) & ND_SMART_HEALTH_VALID) {
		health = ndctl_cmd_smart_get_health(smart);
		level = health & ND_SMART_FATAL_HEALTH ? 3 : health & ND_SMART_CRITICAL_HEALTH ? 2 :
			health & ND_SMART_NON_CRITICAL_HEALTH ? 1 : 0;
	}
	ndctl_cmd_unref(smart);
	return level;
}

/* An interleaved region is as healthy as its worst DIMM, and lost what any of its DIMMs lost. */
static void read_dimms(struct device_info *info, struct ndctl_region *region)
{
	static const char *const names[] = { "ok", "non-critical", "critical", "fatal" };
	struct ndctl_dimm *dimm;
	long long lost;
	int level, worst = -1;

	ndctl_dimm_foreach_in_region(region, dimm) {
		level = dimm_health(dimm);
		if (level > worst)
			worst = level;
		lost = ndctl_dimm_get_dirty_shutdown(dimm);
		if (lost >= 0)
			info->unsafe_shutdowns =
				(info->unsafe_shutdowns < 0 ? 0 : info->unsafe_shutdowns) + lost;
	}
	if (worst >= 0)
		snprintf(info->health, sizeof(info->health), "%s", names[worst]);
}

/*
 * The region counts bad blocks from its own start. Returns in *out the part of @bad that lies on
 * the device; false: none does.
 */
static bool clip_badblock(struct device_range *out, const struct device_info *info,
			  uint64_t region_start, const struct badblock *bad)
{
	uint64_t begin = region_start + bad->offset * SECTOR;
	uint64_t end = begin + bad->len * SECTOR;
	uint64_t first = info->resource, last = info->resource + info->size;

	if (begin < first)
		begin = first;
	if (end > last)
		end = last;
	if (begin >= end)
		return false;
	*out = (struct device_range){ begin - first, end - begin };
	return true;
}

static int add_range(struct device_range **ranges, size_t *nr, const struct device_range *range)
{
	struct device_range *grown = reallocarray(*ranges, *nr + 1, sizeof(**ranges));

	if (!grown)
		return -ENOMEM;
	*ranges = grown;
	grown[(*nr)++] = *range;
	return 0;
}

/*
 * Lists the bad ranges of the device. -ENODATA: the platform has no list, or only root may read the
 * addresses that it counts from; then nobody knows what is bad.
 */
static int list_badblocks(struct device_range **out, size_t *nr, const struct device_info *info,
			  struct ndctl_region *region)
{
	uint64_t start = region ? ndctl_region_get_resource(region) : UINT64_MAX;
	struct device_range *ranges = NULL, range;
	struct badblock *bad;
	size_t n = 0;
	int r = 0;

	if (start == UINT64_MAX || info->resource == UINT64_MAX)
		return -ENODATA;
	ndctl_region_badblock_foreach(region, bad) {
		if (!clip_badblock(&range, info, start, bad))
			continue;
		r = add_range(&ranges, &n, &range);
		if (r < 0)
			break;
	}
	if (r < 0) {
		free(ranges);
		return r;
	}
	*out = ranges;
	*nr = n;
	return 0;
}

static void read_platform(struct device_info *info, struct ndctl_ctx *nd)
{
	struct ndctl_region *region = find_nd_region(nd, info->chardev);
	struct device_range *bad = NULL;
	size_t nr = 0;

	if (!region)
		return;
	snprintf(info->persistence, sizeof(info->persistence), "%s",
		 persistence_name(ndctl_region_get_persistence_domain(region)));
	read_dimms(info, region);
	if (list_badblocks(&bad, &nr, info, region) < 0)
		return;
	info->nr_badblocks = 0;
	for (size_t i = 0; i < nr; i++)
		info->nr_badblocks += (int64_t)(bad[i].len / SECTOR);
	free(bad);
}

/* Finds a device by its number: a node that was made with mknod, or a symlink, has another name. */
static struct daxctl_dev *find_by_number(struct daxctl_ctx *ctx, dev_t number)
{
	struct daxctl_region *region;
	struct daxctl_dev *dev;

	daxctl_region_foreach(ctx, region)
		daxctl_dev_foreach(region, dev)
			if (daxctl_dev_get_major(dev) == (int)major(number) &&
			    daxctl_dev_get_minor(dev) == (int)minor(number))
				return dev;
	return NULL;
}

static int identify(struct device_info *info, struct scan *scan,
		    const struct device_request *request, dev_t *number, struct why *why)
{
	struct daxctl_dev *dev;
	struct stat st;
	int r;

	if (stat(request->spec, &st) < 0)
		return why_set(why, -errno, "%s: %s", request->spec, strerror(errno));
	dev = find_by_number(scan->dax, st.st_rdev);
	if (!dev)
		return why_set(why, -ENOTTY,
			       "%s is a character device, but no device-dax that libdaxctl knows; "
			       "'daxctl list -Di' shows what there is",
			       request->spec);
	read_device(info, dev);
	r = check_device(info, dev, why);
	if (r < 0)
		return r;
	read_platform(info, scan->nd);
	snprintf(info->path, sizeof(info->path), "%s", request->spec);
	*number = st.st_rdev;
	return 0;
}

int device_dax_open(struct device *device, const struct device_request *request, struct why *why)
{
	struct scan scan;
	struct stat st;
	dev_t number = 0;
	int r;

	r = scan_init(&scan, why);
	if (r < 0)
		return r;
	r = identify(&device->info, &scan, request, &number, why);
	scan_fini(&scan);
	if (r < 0)
		return r;
	r = device_node_open(&device->fd, request->spec, request->read_only, why);
	if (r < 0)
		return r;
	if (fstat(device->fd, &st) < 0 || st.st_rdev != number)
		return why_set(why, -EAGAIN, "%s changed while it was being opened; try again",
			       request->spec);
	return request->read_only ? 0 : claim_take(device, request->spec, request->is_private, why);
}

/*
 * The node goes when the device is destroyed, and the driver's link when it is disabled. A device
 * that was disabled and enabled again looks present; what was mapped before stays dead, and media
 * returns -EIO.
 */
bool device_dax_is_present(const struct device *device)
{
	char driver[64];
	struct stat st;

	snprintf(driver, sizeof(driver), "/sys/bus/dax/devices/%s/driver", device->info.chardev);
	/*
	 * An fstat() that fails for another reason (no memory, a signal) does not prove that the
	 * node is gone.
	 */
	if (fstat(device->fd, &st) == 0 && st.st_nlink == 0)
		return false;
	return access(driver, F_OK) == 0 || errno != ENOENT;
}

int device_dax_badblocks(const struct device *device, struct device_range **out, size_t *nr)
{
	struct scan scan;
	int r;

	r = scan_init(&scan, NULL);
	if (r < 0)
		return r;
	r = list_badblocks(out, nr, &device->info, find_nd_region(scan.nd, device->info.chardev));
	scan_fini(&scan);
	return r;
}

/*
 * Finds out what only opening the device can tell: there is no permission, or another daemon has
 * it.
 */
static int check_free(const struct device_info *info, struct why *why)
{
	int fd, r;

	r = device_node_open(&fd, info->path, true, why);
	if (r < 0)
		return r;
	r = claim_is_taken(fd);
	close(fd);
	if (r == 1)
		return why_set(why, -EBUSY,
			       "%s is in use by another process; 'fuser -v %s' tells which",
			       info->chardev, info->path);
	return r;
}

static void describe(struct device_info *info, struct scan *scan, struct daxctl_dev *dev)
{
	struct why why = { "" };

	device_node_info_init(info);
	read_device(info, dev);
	read_platform(info, scan->nd);
	if (check_device(info, dev, &why) < 0 || check_free(info, &why) < 0)
		snprintf(info->unusable, sizeof(info->unusable), "%.*s",
			 (int)sizeof(info->unusable) - 1, why.text);
}

static int list_devices(struct device_info **out, size_t *nr, struct scan *scan)
{
	struct device_info *list = NULL, *grown;
	struct daxctl_region *region;
	struct daxctl_dev *dev;
	size_t n = 0;

	daxctl_region_foreach(scan->dax, region)
		daxctl_dev_foreach(region, dev) {
			grown = reallocarray(list, n + 1, sizeof(*list));
			if (!grown) {
				free(list);
				return -ENOMEM;
			}
			list = grown;
			describe(&list[n++], scan, dev);
		}
	*out = list;
	*nr = n;
	return 0;
}

int device_dax_list(struct device_info **out, size_t *nr, struct why *why)
{
	struct scan scan;
	int r;

	r = scan_init(&scan, why);
	if (r < 0)
		return r;
	r = list_devices(out, nr, &scan);
	scan_fini(&scan);
	return r < 0 ? why_set(why, r, "out of memory") : 0;
}
