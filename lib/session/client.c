/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: decides whether this process may use a connection, and sends one call and waits for it.
 * How a connection begins and ends is connection.c's business.
 */
#include <config.h>

#include "lib/session/client.h"

#include <errno.h>

#include "lib/session/call.h"
#include "lib/session/link_error.h"
#include "lib/error.h"

int client_check(struct pma *pma)
{
	if (!pma)
		return error_set(-EINVAL, "not connected");
	if (!process_is(pma->process))
		return error_set(-EPERM, "this connection is the parent process's: a child of "
					 "fork() must connect for itself");
	return 0;
}

int client_call(struct pma *pma, struct call *call)
{
	struct waiter waiter = WAITER_INIT;
	int r = 0;

	call->waiter = &waiter;
	client_lock(pma);
	call_submit(&pma->link, call);
	link_wait(&pma->link, &waiter);
	if (call->result < 0)
		r = link_error(&pma->link, call->result);
	client_unlock(pma);
	return r;
}

bool client_knows_attributes(struct pma *pma)
{
	bool knows;

	client_lock(pma);
	knows = pma->link.attributes;
	client_unlock(pma);
	return knows;
}
