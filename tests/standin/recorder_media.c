/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder_media: media.h over an image, each operation by way of the log.
 */
#include <config.h>

#include "tests/standin/recorder_internal.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

const char *media_granularity_name(enum media_granularity granularity)
{
	return granularity == MEDIA_BYTE	 ? "byte"
	       : granularity == MEDIA_CACHE_LINE ? "cache-line"
						 : "page";
}

static int check_open(const struct device_info *info, uint64_t off, uint64_t len, struct why *why)
{
	if (!len || off % info->align || len % info->align)
		return why_set(why, -EINVAL, "%s: range is not aligned", info->path);
	if (off > info->size || len > info->size - off)
		return why_set(why, -EINVAL, "%s: range ends beyond the device", info->path);
	return 0;
}

int media_open(struct media **out, struct device *device, uint64_t off, uint64_t len,
	       struct why *why)
{
	const struct device_info *info = device_info(device);
	struct recorder *rec = recorder_current;
	struct media *media;
	int r, flags;

	if (!rec)
		errx(2, "media_open() without a recorder");
	r = check_open(info, off, len, why);
	if (r < 0)
		return r;
	flags = fcntl(device_fd(device), F_GETFL);
	media = recorder_must(calloc(1, sizeof(*media)));
	pthread_mutex_lock(&rec->lock);
	*media = (struct media){
		.rec = rec,
		.device = image_device(rec->now, info->path, info->size),
		.off = off,
		.len = len,
		.is_file = info->kind == DEVICE_FILE,
		.writable = (flags & O_ACCMODE) == O_RDWR,
	};
	image_device(rec->base, info->path, info->size);
	rec->nr_media++;
	pthread_mutex_unlock(&rec->lock);
	*out = media;
	return 0;
}

void media_close(struct media *media)
{
	if (!media)
		return;
	media->rec->nr_media--;
	free(media);
}

uint64_t media_len(const struct media *media)
{
	return media->len;
}

enum media_granularity media_granularity(const struct media *media)
{
	return media->rec->granularity;
}

static int check_read(const struct media *media, uint64_t off, uint64_t len)
{
	return off > media->len || len > media->len - off ? -EINVAL : 0;
}

static int check_write(const struct media *media, uint64_t off, uint64_t len)
{
	int r = check_read(media, off, len);

	return r == 0 && !media->writable ? -EROFS : r;
}

int media_read(struct media *media, void *dst, uint64_t off, uint64_t len)
{
	struct recorder *rec = media->rec;
	int r = check_read(media, off, len);

	if (r < 0)
		return r;
	pthread_mutex_lock(&rec->lock);
	r = recorder_consult(rec, RECORDER_READ, media->device, media->off + off, len);
	if (r == 0)
		image_read(rec->now, media->device, media->off + off, dst, len);
	pthread_mutex_unlock(&rec->lock);
	return r;
}

void media_invalidate(struct media *media, uint64_t off, uint64_t len)
{
	(void)media;
	(void)off;
	(void)len;
}

int media_peek(struct media *media, void *dst, uint64_t off, uint64_t len)
{
	return media_read(media, dst, off, len);
}

int media_store(struct media *media, uint64_t off, const void *src, uint64_t len)
{
	int r = check_write(media, off, len);

	return r < 0 ? r : recorder_change(media, RECORDER_STORE, off, src, len);
}

int media_store64(struct media *media, uint64_t off, uint64_t value)
{
	int r = check_write(media, off, sizeof(value));

	if (r < 0)
		return r;
	if (off % sizeof(value))
		return -EINVAL;
	return recorder_change(media, RECORDER_STORE, off, &value, sizeof(value));
}

int media_flush(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	return r < 0 || !len ? r : recorder_change(media, RECORDER_FLUSH, off, NULL, len);
}

int media_fence(struct media *media)
{
	return recorder_change(media, RECORDER_FENCE, 0, NULL, 0);
}

/* Nothing is written back: what fails here fails at once, unless a test says otherwise. */
int media_broken(const struct media *media)
{
	return media->rec->broken;
}

int media_persist(struct media *media, uint64_t off, uint64_t len)
{
	int r = media_flush(media, off, len);

	return r < 0 ? r : media_fence(media);
}

int media_zero(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	return r < 0 || !len ? r : recorder_change(media, RECORDER_ZERO, off, NULL, len);
}

int media_punch(struct media *media, uint64_t off, uint64_t len)
{
	int r = check_write(media, off, len);

	if (r < 0 || !len)
		return r;
	if (!media->is_file)
		return -EOPNOTSUPP;
	return recorder_change(media, RECORDER_PUNCH, off, NULL, len);
}

int media_allocate(struct media *media, uint64_t off, uint64_t len)
{
	struct recorder *rec = media->rec;
	int r = check_write(media, off, len);

	if (r < 0 || !len || !media->is_file)
		return r;
	pthread_mutex_lock(&rec->lock);
	r = recorder_consult(rec, RECORDER_ALLOCATE, media->device, media->off + off, len);
	pthread_mutex_unlock(&rec->lock);
	return r;
}

bool media_take_poison(struct media *media, uint64_t *off, uint64_t *len)
{
	struct recorder *rec = media->rec;

	for (unsigned i = 0; i < rec->nr_notices; i++) {
		struct poison notice = rec->notices[i];

		if (notice.device != media->device || notice.off < media->off ||
		    notice.off - media->off >= media->len)
			continue;
		rec->notices[i] = rec->notices[--rec->nr_notices];
		*off = notice.off - media->off;
		*len = notice.len;
		return true;
	}
	return false;
}
