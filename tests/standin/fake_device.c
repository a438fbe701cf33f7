/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h over a table; see fake_device.h. It does what the real one promises and nothing more, so
 * that a test of what stands above says nothing about real devices.
 */
#include <config.h>

#include "tests/standin/fake_device.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MARK_FIRST (UINT64_C(1) << 62)
#define MARK_LIMIT (UINT64_C(1) << 61)

struct device {
	struct fake_device *line;       /* of the table; borrowed */
	struct device_info  info;
	int  fd;                        /* owned */
	bool read_only;
};

static struct fake_device table[FAKE_DEVICE_MAX];
static size_t nr_devices;

struct fake_device *fake_device_add(enum device_kind kind, const char *path, uint64_t size,
				    uint64_t align)
{
	struct fake_device *line = &table[nr_devices];

	if (nr_devices == FAKE_DEVICE_MAX)
		errx(2, "more than %d fake devices", FAKE_DEVICE_MAX);
	*line = (struct fake_device){ .info = {
					      .kind = kind,
					      .size = size,
					      .align = kind == DEVICE_FILE ? 4096 : align,
					      .resource = UINT64_MAX,
					      .numa_node = -1,
					      .region_id = -1,
					      .persistence = "unknown",
					      .health = "unknown",
					      .unsafe_shutdowns = -1,
				      } };
	snprintf(line->info.path, sizeof(line->info.path), "%s", path);
	snprintf(line->info.mode, sizeof(line->info.mode), kind == DEVICE_FILE ? "file" : "devdax");
	if (kind == DEVICE_DAX)
		snprintf(line->info.chardev, sizeof(line->info.chardev), "dax%zu.0", nr_devices);
	line->fd = memfd_create("fake-device", MFD_CLOEXEC);
	if (line->fd < 0 || ftruncate(line->fd, (off_t)size) < 0)
		err(2, "fake device");
	nr_devices++;
	return line;
}

struct fake_device *fake_device_find(const char *path)
{
	for (size_t i = 0; i < nr_devices; i++)
		if (strcmp(table[i].info.path, path) == 0)
			return &table[i];
	return NULL;
}

void fake_device_reset(void)
{
	while (nr_devices)
		close(table[--nr_devices].fd);
}

static int open_again(int *fd, const struct fake_device *line, int flags)
{
	char link[32];
	int new;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", line->fd);
	new = open(link, (flags & O_ACCMODE) | O_CLOEXEC);
	if (new < 0)
		return -errno;
	*fd = new;
	return 0;
}

static int find_or_create(struct fake_device **out, const struct device_request *request,
			  struct why *why)
{
	struct fake_device *line = fake_device_find(request->spec);

	if (!line && request->size && !request->read_only)
		line = fake_device_add(DEVICE_FILE, request->spec, request->size, 0);
	if (!line)
		return why_set(why, -ENOENT, "there is no fake device %s", request->spec);
	if (line->open_err < 0)
		return why_set(why, line->open_err, "%s: %s", request->spec,
			       strerror(-line->open_err));
	if (line->is_open && !request->read_only)
		return why_set(why, -EBUSY, "%s is in use by another process", request->spec);
	*out = line;
	return 0;
}

int device_open(struct device **out, const struct device_request *request, struct why *why)
{
	struct fake_device *line = NULL;
	struct device *device;
	int fd = -1, r;

	r = find_or_create(&line, request, why);
	if (r < 0)
		return r;
	r = open_again(&fd, line, request->read_only ? O_RDONLY : O_RDWR);
	if (r < 0)
		return why_set(why, r, "%s: %s", request->spec, strerror(-r));
	device = calloc(1, sizeof(*device));
	if (!device) {
		close(fd);
		return why_set(why, -ENOMEM, "out of memory");
	}
	*device = (struct device){
		.line = line, .info = line->info, .fd = fd, .read_only = request->read_only
	};
	if (!request->read_only)
		line->is_open = true;
	*out = device;
	return 0;
}

/* Nothing of it is a file that was made. */
void device_keep(struct device *device)
{
	(void)device;
}

void device_close(struct device *device)
{
	if (!device)
		return;
	if (!device->read_only)
		device->line->is_open = false;
	close(device->fd);
	free(device);
}

const struct device_info *device_info(const struct device *device)
{
	return &device->info;
}

int device_fd(const struct device *device)
{
	return device->fd;
}

int device_reopen(int *fd, const struct device *device, int flags)
{
	if (device->line->reopen_err < 0)
		return device->line->reopen_err;
	if (device->read_only && flags & (O_WRONLY | O_RDWR))
		return -EROFS;
	return open_again(fd, device->line, flags);
}

int device_mark(int fd, uint64_t number)
{
	struct flock lock = { .l_type = F_RDLCK, .l_len = 1 };

	if (number >= MARK_LIMIT)
		return -EINVAL;
	lock.l_start = (off_t)(MARK_FIRST + number);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN ? -EBUSY : -errno;
}

int device_is_marked(struct device *device, uint64_t number)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };

	if (number >= MARK_LIMIT)
		return -EINVAL;
	for (size_t i = 0; i < device->line->nr_held; i++)
		if (device->line->held[i] == number)
			return 1;
	lock.l_start = (off_t)(MARK_FIRST + number);
	if (fcntl(device->fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

int device_claim_whole(struct device *device, struct why *why)
{
	(void)device, (void)why;
	return 0;
}

/* Nobody is hostile here. */
void device_look(struct device *device)
{
	(void)device;
}

void device_look_end(struct device *device)
{
	(void)device;
}

void device_watch(struct device *device)
{
	(void)device;
}

void device_blame(struct device *device, uint64_t number)
{
	(void)device, (void)number;
}

const struct device_stranger *device_stranger(const struct device *device)
{
	(void)device;
	return NULL;
}

uint64_t device_mark_byte(uint64_t number)
{
	return MARK_FIRST + number;
}

int device_has_marks(struct device *device)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_start = (off_t)MARK_FIRST,
			      .l_len = (off_t)MARK_LIMIT };

	if (device->line->nr_held)
		return 1;
	if (fcntl(device->fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

/* As the real one: device-dax only. */
int device_list(struct device_info **out, size_t *nr, struct why *why)
{
	struct device_info *list = calloc(nr_devices + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return why_set(why, -ENOMEM, "out of memory");
	for (size_t i = 0; i < nr_devices; i++)
		if (table[i].info.kind == DEVICE_DAX)
			list[n++] = table[i].info;
	*out = list;
	*nr = n;
	return 0;
}

int device_badblocks(const struct device *device, struct device_range **out, size_t *nr)
{
	size_t bytes = device->line->nr_bad * sizeof(**out);
	struct device_range *ranges = NULL;

	if (bytes) {
		ranges = malloc(bytes);
		if (!ranges)
			return -ENOMEM;
		memcpy(ranges, device->line->bad, bytes);
	}
	*out = ranges;
	*nr = device->line->nr_bad;
	return 0;
}

int device_find_foreign(const struct device *device, char *name, size_t len)
{
	if (!device->line->foreign[0])
		return 0;
	snprintf(name, len, "%s", device->line->foreign);
	return 1;
}

uint64_t device_cut(const struct device *device)
{
	(void)device;
	return 0;
}

bool device_is_present(const struct device *device)
{
	return !device->line->is_absent;
}
