/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream: a connected stream socket in the loop, with what was received and not used yet, and what
 * is to be sent. Not a bufferevent of libevent: one that has no memory ends the process, or drops
 * what it was to wait for and tells nobody.
 */
#ifndef PMEMARENA_STREAM_H
#define PMEMARENA_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>

/* Each may close the stream: whoever calls one does not use the stream afterwards. */
struct stream_handler {
	/*
	 * There is more input, or the other side has ended its own (stream.has_ended), or
	 * stream_call() asked for the call.
	 */
	void (*on_input)(void *arg);
	/* The kernel has all that stream_send() took. */
	void (*on_sent)(void *arg);
	/* The stream is broken: nothing can be received or sent any more. @err: -errno. */
	void (*on_broken)(void *arg, int err);
};

struct stream {
	int    sock;                    /* owned */
	struct event readable, writable;
	const struct stream_handler *handler; /* borrowed */
	void  *arg;                     /* for the handler */
	char  *in;                      /* owned; input that was not used yet */
	size_t in_len, in_max;
	char  *out;                     /* owned; what was not sent yet, from out_at on */
	size_t out_at, out_len, out_size;
	bool   has_ended;               /* the other side has ended its side of the connection */
	bool   is_deaf;                 /* stream_deafen() was called */
};

/*
 * Begins to receive; at most @in_max bytes wait for their use. Takes over @sock, also on failure.
 * -errno.
 */
int stream_open(struct stream *stream, struct event_base *base, int sock, size_t in_max,
		const struct stream_handler *handler, void *arg);
/*
 * Closes the socket and frees what the stream owns; bytes that were not sent yet are lost. No
 * handler is called afterwards.
 */
void stream_close(struct stream *stream);

/* Queues all @len bytes to be sent, or none: -ENOMEM. */
int stream_send(struct stream *stream, const char *bytes, size_t len);
/*
 * Returns how many bytes wait for the kernel to take them. Whoever sends more looks at this first:
 * a peer that does not read would make the queue grow without end.
 */
size_t stream_unsent(const struct stream *stream);

/* Drops the first @len bytes of stream.in, which were used. */
void stream_use(struct stream *stream, size_t len);
/* Receives nothing any more, and drops what was received. */
void stream_deafen(struct stream *stream);
/* Makes the loop call on_input() once more, when others have had their turn. */
void stream_call(struct stream *stream);

/*
 * Call it every few seconds: waits for the socket again, where the loop had no memory for that, and
 * finds out who hung up while nothing was to be sent. May call on_broken().
 */
void stream_tick(struct stream *stream);

#endif
