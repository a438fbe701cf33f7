/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * injury: an arena at rest as an image, with all that is known about it; ways to damage its
 * metadata; and what must be left of it afterwards, told from the bytes alone.
 */
#ifndef PMEMARENA_INJURY_H
#define PMEMARENA_INJURY_H

#include "daemon/media/superblock.h"
#include "tests/crash/model.h"
#include "tests/crash/world.h"

/* A patient; of one world. */
struct patient {
	struct image *image, *older;    /* owned; older: an arena that was on the devices before */
	struct model model;             /* owned; all of it acknowledged */
	uint64_t now;
	struct superblock sb;           /* of the device with the metadata */
	unsigned meta_device;
	uint32_t nr_slots;              /* that exist */
	int32_t *object_of_slot;        /* owned; by its place in the model; -1: nobody's */
};

void patient_init(struct patient *patient, struct world *world, uint64_t seed);
void patient_fini(struct patient *patient);

/* What must be true of an injured image. */
struct prognosis {
	bool     mixed;                 /* a superblock is another arena's */
	/* both superblocks of a device are gone: it must not open */
	bool dead;
	bool     forgets_bad;           /* the record of a bad page is lost */
	uint64_t nr_damaged;            /* slots of which both copies are bad */
	/* owned; as judge() wants it: NEVER for allocations that are lost */
	size_t *seen;
};

/* One injury, to one copy of something or to both. Returns how many single bits it flipped. */
unsigned injure(struct image *image, const struct patient *patient, uint64_t *seed);
/*
 * A bit that damage set in both copies of the zero map cannot be told from a true one: take it
 * back.
 */
void spare_zero_map(struct image *image, const struct patient *patient);
/* A record, or a superblock, with a right checksum and wrong contents, in both copies. */
void forge(struct image *image, const struct patient *patient, uint64_t *seed);

void prognosis_make(struct prognosis *prognosis, struct image *image,
		    const struct patient *patient);
void prognosis_fini(struct prognosis *prognosis);

#endif
