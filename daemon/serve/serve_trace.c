/* SPDX-License-Identifier: BSD-3-Clause */
/* serve_trace: turns a session into fields of the trace. */
#include <config.h>

#include "daemon/serve/serve_trace.h"

#include <errno.h>
#include <string.h>

const char *serve_trace_reason(int r)
{
	switch (-r) {
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
	case ESHUTDOWN:
		return "its client hung up or died";
	case EPROTO:
	case EMSGSIZE:
		return "it does not keep the protocol";
	case EPROTONOSUPPORT:
		return "it speaks another version of the protocol";
	case ENOMEM:
		return "the daemon is out of memory";
	case EDQUOT:
		return "its user has as many sessions as the quota allows";
	case EBUSY:
		return "there are as many sessions as the configuration allows";
	default:
		return strerror(-r);
	}
}

void serve_trace_session(const char *what, const struct session *session, const char *why)
{
	const struct seat *seat = session->client.seat;

	trace_fields(what, TRACE_NUMBER(seat ? "session" : NULL, seat ? seat->number : 0),
		     TRACE_NUMBER("uid", session->client.uid), TRACE_NUMBER("pid", session->pid),
		     TRACE_STRING(why ? "why" : NULL, why ? why : ""));
}
