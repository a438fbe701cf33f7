/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection: options, connecting, restoring a session after a lost connection, disconnecting. This
 * file knows which parts of a client must be restored or released then: holdings, arenas,
 * subscriptions, mappings. How messages travel is the link's business.
 */
#include <config.h>

#include "lib/session/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/session/client.h"
#include "lib/session/event.h"
#include "lib/session/reopen.h"

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
		return error_set(-ENAMETOOLONG, "the socket's path has %zu bytes; %zu are possible",
				 len, sizeof(params->path) - 1);
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
		return error_memory();
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

/* ---- what the link reports ---- */

static struct pma *owner_pma(struct link_owner *owner)
{
	return (struct pma *)((char *)owner - offsetof(struct pma, owner));
}

static int revive_all(struct pma *pma)
{
	struct client_revival *revival;
	int r = 0;

	LIST_FOREACH(revival, &pma->revivals, link) {
		r = revival->revive(revival);
		if (r < 0)
			break;
	}
	return r;
}

static int welcomed(struct link_owner *owner, const struct wire_welcome *welcome,
		    struct wire_reader *reader, struct why *why)
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
	if (r == 0)
		r = revive_all(pma);
	return r;
}

static int arrived(struct link_owner *owner, struct wire_reader *reader)
{
	return event_arrived(owner_pma(owner), reader);
}

/* ---- connecting ---- */

static int connection_open(struct pma *pma, const struct link_params *params)
{
	pma->owner = (struct link_owner){ .welcomed = welcomed, .event = arrived };
	RB_INIT(&pma->holdings);
	TAILQ_INIT(&pma->events);
	LIST_INIT(&pma->ties);
	LIST_INIT(&pma->revivals);
	site_init(&pma->sites);
	pma->process = process_number();
	return link_init(&pma->link, params, &pma->owner);
}

/*
 * Mappings outlive the connection. Each forgets the connection, so that its later pma_unmap() only
 * unmaps and reports to nobody.
 */
static void cut_ties(struct pma *pma)
{
	struct client_tie *tie;

	while ((tie = LIST_FIRST(&pma->ties))) {
		LIST_REMOVE(tie, link);
		tie->pma = NULL;
	}
}

static void connection_close(struct pma *pma)
{
	/*
	 * link_fini() takes no lock, so that a forked child may come here too: a lock that another
	 * thread of the parent had at the time of the fork would never be released in the child. A
	 * child closes and frees its copies alone. It leaves the ties uncut: they link its copies
	 * of mappings, and each of them notices by its process number that it is a copy.
	 */
	link_fini(&pma->link);
	if (process_is(pma->process))
		cut_ties(pma);
	event_drop_all(pma);
	holding_remove_all(&pma->holdings);
	site_fini(&pma->sites);
	free(pma);
}

static int open_session(struct pma **out, const struct link_params *params)
{
	struct pma *pma;
	int r = process_init();

	if (r < 0)
		return r;
	pma = calloc(1, sizeof(*pma));
	if (!pma)
		return error_memory();
	r = connection_open(pma, params);
	if (r < 0) {
		connection_close(pma);
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

int connection_twin(struct pma **out, struct pma *pma)
{
	/*
	 * The new session gets the same options, with one difference: no thread waits for its
	 * replies, so looking for them before sleeping would only cost time.
	 */
	struct link_params params = pma->link.params;

	params.busy_poll_us = 0;
	return open_session(out, &params);
}

void pma_disconnect(struct pma *pma)
{
	if (pma)
		connection_close(pma);
}
