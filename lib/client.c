/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: connecting and disconnecting, options, and taking up a session again. It knows that there are holdings,
 * arenas and subscriptions to bring back; how calls travel is the link's.
 */
#include <config.h>

#include "lib/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/event.h"
#include "lib/map.h"
#include "lib/reopen.h"

#define DEFAULT_SOCKET "/run/pmemarena/pmemarena.sock"
#define DEFAULT_RECONNECT_MS 5000

/* ---- options ---- */

struct pma_options {
	struct link_params params;
};

static int set_path(struct link_params *params, const char *path)
{
	size_t len = strlen(path);

	if (len >= sizeof(params->path))
		return error_set(-ENAMETOOLONG, "the socket's path has %zu bytes; %zu are possible", len, sizeof(params->path) - 1);
	memcpy(params->path, path, len + 1);
	return 0;
}

static int set_defaults(struct link_params *params)
{
	const char *path = secure_getenv("PMEMARENA_SOCKET");

	*params = (struct link_params){ .reconnect_ms = DEFAULT_RECONNECT_MS };
	return set_path(params, path && *path ? path : DEFAULT_SOCKET);
}

int pma_options_new(struct pma_options **out)
{
	struct pma_options *options = malloc(sizeof(*options));
	int r;

	if (!options)
		return error_set(-ENOMEM, "out of memory");
	r = set_defaults(&options->params);
	if (r < 0) {
		free(options);
		return r;
	}
	*out = options;
	return 0;
}

void pma_options_free(struct pma_options *options)
{
	free(options);
}

int pma_options_set_socket(struct pma_options *options, const char *path)
{
	return set_path(&options->params, path);
}

int pma_options_set_reconnect_ms(struct pma_options *options, uint32_t timeout_ms)
{
	options->params.reconnect_ms = timeout_ms;
	return 0;
}

int pma_options_set_busy_poll_us(struct pma_options *options, uint32_t busy_poll_us)
{
	options->params.busy_poll_us = busy_poll_us;
	return 0;
}

/* ---- what the link tells ---- */

static struct pma *owner_pma(struct link_owner *owner)
{
	return (struct pma *)((char *)owner - offsetof(struct pma, owner));
}

static int welcomed(struct link_owner *owner, const struct wire_welcome *welcome, struct wire_reader *reader, struct why *why)
{
	struct pma *pma = owner_pma(owner);
	int r;

	if (!welcome->resumed) {
		site_forget(&pma->sites);
		reopen_mark(pma);
	}
	r = site_welcome(&pma->sites, reader, why);
	if (r == 0)
		r = event_resubscribe(pma);
	if (r == 0)
		r = reopen_send(pma);
	return r;
}

static int arrived(struct link_owner *owner, struct wire_reader *reader)
{
	return event_arrived(owner_pma(owner), reader);
}

/* ---- connecting ---- */

static int client_open(struct pma *pma, const struct link_params *params)
{
	pma->owner = (struct link_owner){ .welcomed = welcomed, .event = arrived };
	RB_INIT(&pma->holdings);
	TAILQ_INIT(&pma->events);
	LIST_INIT(&pma->maps);
	pma->process = process_token();
	return link_init(&pma->link, params, &pma->owner);
}

static void client_close(struct pma *pma)
{
	/* In a child this closes the child's copies only, and does not lock: what another thread held at the fork is held for ever. */
	link_fini(&pma->link);
	if (process_is(pma->process))
		map_orphan_all(pma);
	event_drop_all(pma);
	holding_remove_all(&pma->holdings);
	site_fini(&pma->sites);
	free(pma);
}

static int open_session(struct pma **out, const struct link_params *params)
{
	struct pma *pma = calloc(1, sizeof(*pma));
	int r;

	if (!pma || process_token() == 0) {
		free(pma);
		return error_set(-ENOMEM, "out of memory");
	}
	r = client_open(pma, params);
	if (r < 0) {
		client_close(pma);
		return r;
	}
	*out = pma;
	return 0;
}

int pma_connect(struct pma **out, const struct pma_options *options)
{
	struct link_params params;
	int r = 0;

	if (options)
		params = options->params;
	else
		r = set_defaults(&params);
	return r < 0 ? r : open_session(out, &params);
}

int client_twin(struct pma **out, struct pma *pma)
{
	/* Constant, and nobody waits for its answers. */
	struct link_params params = pma->link.params;

	params.busy_poll_us = 0;
	return open_session(out, &params);
}

void pma_disconnect(struct pma *pma)
{
	if (pma)
		client_close(pma);
}

int client_check(struct pma *pma)
{
	if (!pma)
		return error_set(-EINVAL, "not connected");
	if (!process_is(pma->process))
		return error_set(-EPERM, "this connection is the parent process's: a child of fork() must connect for itself");
	return 0;
}

int client_call(struct pma *pma, struct call *call)
{
	struct waiter waiter = WAITER_INIT;
	int r = 0;

	call->waiter = &waiter;
	client_lock(pma);
	link_submit(&pma->link, call);
	link_wait(&pma->link, &waiter);
	if (call->result < 0)
		r = link_error(&pma->link, call->result);
	client_unlock(pma);
	return r;
}
