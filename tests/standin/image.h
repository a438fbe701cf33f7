/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image: the bytes of a few devices, in memory, as copy-on-write pages. Copying an image costs next
 * to nothing however large the devices are, so that a test can keep one for every state that a
 * power cut may leave. What was never written is zero and takes no memory.
 *
 * For tests: running out of memory ends the process. One thread at a time for an image and all its
 * copies.
 */
#ifndef PMEMARENA_IMAGE_H
#define PMEMARENA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAX_DEVICES 4

struct image;

struct image *image_new(void);
struct image *image_copy(const struct image *image);
void image_free(struct image *image);           /* NULL is fine */

/* The number of the device with this path, made of zeroes when the image does not have it yet. */
unsigned image_device(struct image *image, const char *path, uint64_t size);
int image_find(const struct image *image, const char *path);    /* -1: none */
unsigned image_nr_devices(const struct image *image);
const char *image_path(const struct image *image, unsigned device);
uint64_t image_size(const struct image *image, unsigned device);

/* The caller checked the range. */
void image_read(const struct image *image, unsigned device, uint64_t off, void *dst, uint64_t len);
void image_write(struct image *image, unsigned device, uint64_t off, const void *src, uint64_t len);
void image_zero(struct image *image, unsigned device, uint64_t off, uint64_t len);
/* Every byte pseudo-random: a device that somebody used before. */
void image_scribble(struct image *image, unsigned device, uint64_t off, uint64_t len,
		    uint64_t seed);

/*
 * The first nonzero byte in [off, off + len), or off + len. Skips what was never written in big
 * steps.
 */
uint64_t image_find_nonzero(const struct image *image, unsigned device, uint64_t off, uint64_t len);
bool image_equal(const struct image *a, const struct image *b);

/* To look at with other tools, and to put back: sparse files. 0 or -errno. */
int image_save(const struct image *image, unsigned device, const char *file);
int image_load(struct image *image, unsigned device, const char *file);

#endif
