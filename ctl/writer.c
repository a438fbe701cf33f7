/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * writer: fills a reservation from its beginning to its end and makes it durable, with little
 * memory. What is left out is zero, as all of a reservation is.
 */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ctl/ctl.h"

/* So much is written before it is made durable: smaller pieces would each wait for the device. */
#define DURABLE_STEP (16u << 20)
#define SMALL_HOLE   (1u << 20) /* is made durable with its neighbours, although nothing is in it */
#define PAGE_MASK    4095u

void ctl_writer_begin(struct ctl_writer *writer, struct pma_mapping *map, uint64_t len)
{
	*writer = (struct ctl_writer){ .map = map, .data = pma_map_address(map), .len = len };
}

static int make_durable(struct ctl_writer *writer, uint64_t next)
{
	uint64_t begin = writer->durable & ~(uint64_t)PAGE_MASK;
	int r = 0;

	if (writer->at > writer->durable)
		r = pma_persist(writer->map, writer->data + writer->durable,
				writer->at - writer->durable);
	/* What is durable need not stay in this process: it would count as its memory. */
	if (writer->at > begin)
		madvise(writer->data + begin, writer->at - begin, MADV_DONTNEED);
	writer->durable = next;
	return r;
}

int ctl_writer_put(struct ctl_writer *writer, uint64_t off, const void *data, size_t len)
{
	int r = 0;

	if (off < writer->at || off > writer->len || len > writer->len - off)
		return -EPROTO;
	if (off - writer->at > SMALL_HOLE || writer->at - writer->durable >= DURABLE_STEP)
		r = make_durable(writer, off);
	memcpy(writer->data + off, data, len);
	writer->at = off + len;
	return r;
}

int ctl_writer_end(struct ctl_writer *writer)
{
	return make_durable(writer, writer->at);
}
