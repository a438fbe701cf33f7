/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_trace: the steps of sessions, each as a USDT probe and as a line of the trace.
 * doc/TRACING.md says what each step means.
 */
#ifndef PMEMARENA_SERVE_TRACE_H
#define PMEMARENA_SERVE_TRACE_H

#include "daemon/serve/session_internal.h"
#include "daemon/trace.h"

/*
 * Says in words why a session ended or was refused; @r is the -errno that session_end() or greet()
 * has.
 */
const char *serve_trace_reason(int r);
void serve_trace_session(const char *what, const struct session *session, const char *why)
	__attribute__((cold));

static inline void serve_trace_begun(const struct session *session)
{
	if (!trace_is_on())
		return;
	PROBE(session_begun, session->client.seat->number, session->client.uid, session->pid);
	serve_trace_session("serve.session_begun", session, NULL);
}

/* The client came back with a new connection, or (@kept) its old one went on with this daemon. */
static inline void serve_trace_resumed(const struct session *session, bool kept)
{
	if (!trace_is_on())
		return;
	PROBE(session_resumed, session->client.seat->number, session->client.uid, session->pid,
	      kept);
	serve_trace_session("serve.session_resumed", session,
			    kept ? "its connection was kept" : "it came back");
}

static inline void serve_trace_refused(const struct session *session, int r)
{
	if (!trace_is_on())
		return;
	PROBE(session_refused, session->client.uid, session->pid, r);
	serve_trace_session("serve.session_refused", session, serve_trace_reason(r));
}

static inline void serve_trace_over(const struct session *session, int r)
{
	if (!trace_is_on())
		return;
	PROBE(session_over, session->client.seat->number, session->client.uid, session->pid, r);
	serve_trace_session("serve.session_over", session, serve_trace_reason(r));
}

#endif
