/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream: a connected stream socket in the loop. It knows no lines and no requests.
 */
#include <config.h>

#include "daemon/admin/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A buffer of at most this size is kept when all of it was sent. */
#define KEPT_BYTES 4096

static bool may_receive(const struct stream *stream)
{
	return !stream->has_ended && !stream->is_deaf && stream->in_len < stream->in_max;
}

/* Tells the loop what to wait for. On failure stream_tick() does it again. */
static int wait_for(struct stream *stream)
{
	int r = 0;

	errno = 0;
	if (!may_receive(stream))
		event_del(&stream->readable);
	else if (event_add(&stream->readable, NULL) < 0)
		r = errno ? -errno : -ENOMEM;
	if (stream_unsent(stream) == 0)
		event_del(&stream->writable);
	else if (event_add(&stream->writable, NULL) < 0)
		r = errno ? -errno : -ENOMEM;
	return r;
}

/*
 * Is @err an error that passes? When the kernel has no memory, it says again and again that the
 * socket is ready, and the loop would spin: the loop does not wait for @event then until
 * stream_tick().
 */
static bool is_passing(int err, struct event *event)
{
	if (err == ENOMEM || err == ENOBUFS)
		event_del(event);
	return err == EAGAIN || err == EINTR || err == ENOMEM || err == ENOBUFS;
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct stream *stream = arg;
	ssize_t n = 0;

	if (may_receive(stream)) {
		n = recv(sock, stream->in + stream->in_len, stream->in_max - stream->in_len,
			 MSG_DONTWAIT);
		if (n < 0 && !is_passing(errno, &stream->readable)) {
			stream->handler->on_broken(stream->arg, -errno);
			return; /* the stream may be gone */
		}
		stream->has_ended = n == 0;
		if (n > 0)
			stream->in_len += (size_t)n;
		if (n >= 0)
			wait_for(stream);
	}
	stream->handler->on_input(stream->arg);
	/* The stream may be gone here. */
}

/*
 * All was sent: empties the buffer, and frees it if it has grown, so that one large answer does not
 * keep its memory.
 */
static void forget_sent(struct stream *stream)
{
	stream->out_at = stream->out_len = 0;
	if (stream->out_size <= KEPT_BYTES)
		return;
	free(stream->out);
	stream->out = NULL;
	stream->out_size = 0;
}

static void on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct stream *stream = arg;
	ssize_t n = send(sock, stream->out + stream->out_at, stream_unsent(stream),
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0) {
		if (!is_passing(errno, &stream->writable))
			stream->handler->on_broken(stream->arg, -errno);
		return; /* the stream may be gone */
	}
	stream->out_at += (size_t)n;
	if (stream_unsent(stream) > 0)
		return;
	forget_sent(stream);
	wait_for(stream);
	stream->handler->on_sent(stream->arg);
	/* The stream may be gone here. */
}

int stream_open(struct stream *stream, struct event_base *base, int sock, size_t in_max,
		const struct stream_handler *handler, void *arg)
{
	int r = -ENOMEM;

	*stream = (struct stream){ .sock = sock, .in_max = in_max, .handler = handler, .arg = arg };
	event_assign(&stream->readable, base, sock, EV_READ | EV_PERSIST, on_readable, stream);
	event_assign(&stream->writable, base, sock, EV_WRITE | EV_PERSIST, on_writable, stream);
	stream->in = malloc(in_max);
	if (stream->in)
		r = wait_for(stream);
	if (r < 0)
		stream_close(stream);
	return r;
}

void stream_close(struct stream *stream)
{
	event_del(&stream->readable);
	event_del(&stream->writable);
	close(stream->sock);
	free(stream->in);
	free(stream->out);
}

/*
 * Makes room for @len bytes more: moves what was not sent to the front of the buffer, and grows it.
 */
static int make_room(struct stream *stream, size_t len)
{
	size_t size = stream->out_size ? stream->out_size : KEPT_BYTES;
	char *grown;

	if (stream->out_at > 0) {
		stream->out_len = stream_unsent(stream);
		memmove(stream->out, stream->out + stream->out_at, stream->out_len);
		stream->out_at = 0;
	}
	while (size - stream->out_len < len)
		size *= 2;
	if (size <= stream->out_size)
		return 0;
	grown = realloc(stream->out, size);
	if (!grown)
		return -ENOMEM;
	stream->out = grown;
	stream->out_size = size;
	return 0;
}

int stream_send(struct stream *stream, const char *bytes, size_t len)
{
	int r = stream->out_size - stream->out_len < len ? make_room(stream, len) : 0;

	if (r < 0)
		return r;
	memcpy(stream->out + stream->out_len, bytes, len);
	stream->out_len += len;
	wait_for(stream);
	return 0;
}

size_t stream_unsent(const struct stream *stream)
{
	return stream->out_len - stream->out_at;
}

void stream_use(struct stream *stream, size_t len)
{
	stream->in_len -= len;
	memmove(stream->in, stream->in + len, stream->in_len);
	wait_for(stream);
}

void stream_deafen(struct stream *stream)
{
	stream->is_deaf = true;
	stream_use(stream, stream->in_len);
}

void stream_call(struct stream *stream)
{
	event_active(&stream->readable, EV_READ, 0);
}

/*
 * Has the other side gone in both directions? A peer that only sends no more may still read what it
 * is told.
 */
static bool has_hung_up(const struct stream *stream)
{
	struct pollfd both = { .fd = stream->sock };

	return stream->has_ended && poll(&both, 1, 0) > 0 && (both.revents & POLLHUP);
}

void stream_tick(struct stream *stream)
{
	if (has_hung_up(stream))
		stream->handler->on_broken(stream->arg, -EPIPE);
	else
		wait_for(stream);
	/* The stream may be gone here. */
}
