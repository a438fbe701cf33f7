/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop: the event loop of the daemon, how something is added to it, and timers. What is added, and
 * what is done then, is the server's.
 *
 * Timers are descriptors (timerfd) and not timers of the loop: while the loop has no timers of its
 * own it reads no clock on the way of a request.
 */
#ifndef PMEMARENA_LOOP_H
#define PMEMARENA_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

/* Makes a loop for one thread. The caller frees it with event_base_free(). Returns 0 or -errno. */
int loop_open(struct event_base **out);
/*
 * Has the loop call @handler with @arg whenever @fd can be read. @event and @fd stay the caller's,
 * who ends it with loop_remove() or loop_close(). A failure must be seen: the loop would not hear
 * of that event ever, and the daemon would look well.
 */
int loop_add(struct event *event, struct event_base *base, int fd, event_callback_fn handler,
	     void *arg);
/* Makes a timer of @ms milliseconds and adds it; *fd is the caller's, also after a failure. */
int loop_add_timer(struct event *event, struct event_base *base, int *fd, uint64_t ms,
		   event_callback_fn handler, void *arg);
/* Lets the timer @fd expire in @ms milliseconds, and then each @ms milliseconds. */
int loop_set_timer(int fd, uint64_t ms);
/* To be called by the handler of a timer: else the descriptor stays readable. */
void loop_drain_timer(int fd);
/* Removes an event from its loop; one that was never added is left alone. */
void loop_remove(struct event *event);
/* As loop_remove(), and closes @fd, unless it is -1. */
void loop_close(int fd, struct event *event);

#endif
