/* SPDX-License-Identifier: BSD-3-Clause */
/* request_result: the result of one item in the reply. */
#ifndef PMEMARENA_REQUEST_RESULT_H
#define PMEMARENA_REQUEST_RESULT_H

#include "daemon/serve/job.h"
#include "daemon/serve/operation.h"

/*
 * Adds the result of an item that was carried out. @nr_after items follow; room for theirs is left.
 */
void result_success(struct job *job, const struct operation *op, uint32_t nr_after);
/* Adds the refusal of @item: the error @r and a sentence @text for a person. */
void result_refusal(struct job *job, const struct wire_request *item, int r, const char *text,
		    uint32_t nr_after);

#endif
