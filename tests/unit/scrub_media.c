/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub_media: one lock, under which everything happens.
 */
#include <config.h>

#include "tests/unit/scrub_media.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/media/media.h"

struct media *new_media(bool can_punch)
{
	struct media *media = calloc(1, sizeof(*media));

	ck_assert_ptr_nonnull(media);
	pthread_mutex_init(&media->mutex, NULL);
	pthread_cond_init(&media->moved, NULL);
	media->can_punch = can_punch;
	media->zero_fails_at = UINT64_MAX;
	media->admitted = UINT32_MAX;
	return media;
}

void free_media(struct media *media)
{
	pthread_cond_destroy(&media->moved);
	pthread_mutex_destroy(&media->mutex);
	free(media);
}

static void pass_gate(struct media *media)
{
	unsigned mine = media->entered++;

	pthread_cond_broadcast(&media->moved);
	while (mine >= media->admitted)
		pthread_cond_wait(&media->moved, &media->mutex);
}

void admit(struct media *media, unsigned nr)
{
	pthread_mutex_lock(&media->mutex);
	media->admitted = nr;
	pthread_cond_broadcast(&media->moved);
	pthread_mutex_unlock(&media->mutex);
}

void wait_entered(struct media *media, unsigned nr)
{
	pthread_mutex_lock(&media->mutex);
	while (media->entered < nr)
		pthread_cond_wait(&media->moved, &media->mutex);
	pthread_mutex_unlock(&media->mutex);
}

/* The last block may be touched in part only. */
static void set_blocks(struct media *media, uint64_t off, uint64_t len, enum block state)
{
	for (uint64_t i = off / BLOCK; i < (off + len + BLOCK - 1) / BLOCK; i++) {
		media->block[i] = state;
		media->zeroed_by[i] = pthread_self();
	}
}

int media_punch(struct media *media, uint64_t off, uint64_t len)
{
	int r = 0;

	pthread_mutex_lock(&media->mutex);
	if (!media->can_punch)
		r = -EOPNOTSUPP;
	else if (media->punch_error)
		r = media->punch_error;
	else
		set_blocks(media, off, len, DURABLE);
	pthread_mutex_unlock(&media->mutex);
	return r;
}

int media_zero(struct media *media, uint64_t off, uint64_t len)
{
	int r = 0;

	pthread_mutex_lock(&media->mutex);
	pass_gate(media);
	pthread_sigmask(SIG_SETMASK, NULL, &media->mask);
	if (len > media->longest)
		media->longest = len;
	if (media->zero_fails_at - off < len)
		r = -EIO;
	else
		set_blocks(media, off, len, ZEROED);
	pthread_mutex_unlock(&media->mutex);
	return r;
}

/* A fence: what this thread zeroed is durable. */
int media_persist(struct media *media, uint64_t off, uint64_t len)
{
	int r;

	pthread_mutex_lock(&media->mutex);
	r = media->persist_error;
	for (uint64_t i = 0; r == 0 && i < NR_BLOCKS; i++)
		if (media->block[i] == ZEROED && pthread_equal(media->zeroed_by[i], pthread_self()))
			media->block[i] = DURABLE;
	pthread_mutex_unlock(&media->mutex);
	return r;
}

bool is_durable(struct media *media, uint64_t off, uint64_t len)
{
	bool durable = true;

	pthread_mutex_lock(&media->mutex);
	for (uint64_t i = off / BLOCK; i < (off + len + BLOCK - 1) / BLOCK; i++)
		durable = durable && media->block[i] == DURABLE;
	pthread_mutex_unlock(&media->mutex);
	return durable;
}
