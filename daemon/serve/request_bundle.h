/* SPDX-License-Identifier: BSD-3-Clause */
/* request_bundle: a message whose items are done all or none. */
#ifndef PMEMARENA_REQUEST_BUNDLE_H
#define PMEMARENA_REQUEST_BUNDLE_H

#include "daemon/serve/job.h"

/* Does the message at the start of @reader ask for this, and has it more items than one? */
bool request_is_bundle(uint16_t opcode, const struct wire_reader *reader);
/*
 * Carries all items out, or none, and adds their results to the reply; *arena_out is the number of
 * the arena that the caller then settles. -EAGAIN, -EINPROGRESS: as of operation_run(); nothing was
 * done, and the reply is empty.
 */
int request_run_bundle(struct job *job, const struct wire_reader *reader, uint32_t *arena_out);

#endif
