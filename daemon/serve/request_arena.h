/* SPDX-License-Identifier: BSD-3-Clause */
/* request_arena: requests that are answered about a whole arena, and how it is described. */
#ifndef PMEMARENA_REQUEST_ARENA_H
#define PMEMARENA_REQUEST_ARENA_H

#include "daemon/serve/job.h"

/* Each carries out the one item of its message, and writes the whole reply. */
enum outcome request_run_attach(struct job *job, struct wire_reader *reader);
enum outcome request_run_window(struct job *job, struct wire_reader *reader);
enum outcome request_run_usage(struct job *job, struct wire_reader *reader);
enum outcome request_run_survey(struct job *job);

/*
 * Describes arena number @index for WELCOME, ATTACHED and SURVEYED. If there is no such
 * arena, or @client may not use it, the description is all zeros, so that both look the same.
 */
void request_describe_arena(struct wire_arena *out, const struct client *client,
			    const struct service *service, uint32_t index);

#endif
