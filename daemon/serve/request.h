/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request: one message of a client, from its bytes to the bytes of the reply. All items of the
 * message are carried out, then all their changes are made durable together, then the reply is
 * complete. The reply never comes before: a client that has it may rely on it after a power cut.
 *
 * Words. A job is one message being carried out. A desk is the set of message buffers; the daemon
 * has one, since it carries out one job at a time. A tag is the client's number for a message; a
 * message that a client sends once more after its connection broke has a new tag and names the
 * first one. Scrubbing is zeroing freed space. A lease is space that a client reserved ahead of
 * need.
 */
#ifndef PMEMARENA_REQUEST_H
#define PMEMARENA_REQUEST_H

#include "daemon/serve/job.h"

/*
 * Carries out @job, from its begin or from where it stopped. Every failure of an item becomes a
 * refusal in the reply; nothing is left for the caller to report.
 */
enum outcome request_run(struct job *job);
/*
 * Tells all listeners of the events that @job caused in its arenas. Call it after the reply is
 * sent: the client that asked should hear its own reply first.
 */
void request_tell(const struct job *job);

#endif
