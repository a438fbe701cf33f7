/* SPDX-License-Identifier: BSD-3-Clause */
/* link_error: puts into words what went wrong with a connection. */
#include <config.h>

#include "lib/session/link_error.h"

#include <errno.h>
#include <string.h>

#include "lib/error.h"
#include "lib/session/relink.h"

int link_error_connect(const struct link *link, int err)
{
	const char *path = link->params.path;

	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return error_set(err, "no daemon at %s: %s; is pmemarenad running?", path,
				 strerror(-err));
	case -EACCES:
		return error_set(
			err, "not allowed to connect to %s: is this user in the group pmemarena?",
			path);
	case -EAGAIN:
	case -ETIMEDOUT:
		return error_set(-ENOTCONN, "the daemon at %s does not answer", path);
	case -ECONNRESET:
		return error_set(-ENOTCONN, "the daemon at %s hung up", path);
	default:
		return error_set(err, "%s: %s", path, link->why.text);
	}
}

int link_error(struct link *link, int err)
{
	const char *path = link->params.path;

	if (link->is_dead)
		return error_set(err, "%s", link->why.text);
	if (err == -ENOTCONN)
		return error_set(
			err,
			"the connection to %s is lost (%s) and could not be made again in %u ms, "
			"or %d daemons in a row "
			"ended while they had this request: whether it was done is not known",
			path, link->why.text, link->params.reconnect_ms, RELINK_MAX_SENT);
	if (err == -ESTALE)
		return error_set(err,
				 "the connection to %s was lost (%s) while this request was under "
				 "way, and the session with it, so that nobody can tell what "
				 "became of the request: look, and ask again if need be",
				 path, link->why.text);
	if (err == -EPROTO)
		return error_set(err, "%s does not keep the protocol of this library (version %d)",
				 path, WIRE_VERSION);
	/* The request was not sent, or its reply could not be received. */
	return error_set(err, "a request to %s: %s", path, error_text(err));
}

int link_error_down(struct link *link)
{
	if (link->is_dead)
		return error_set(-ENOTCONN, "%s", link->why.text);
	return error_set(-ENOTCONN,
			 "the connection to %s is lost (%s); it is made again by the next call, or "
			 "when the descriptor for the event loop says so",
			 link->params.path, link->why.text);
}
