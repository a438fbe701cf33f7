/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event: a queue of events, with a bound. The thread that receives a message appends its events.
 * pma_dispatch() alone takes them out and calls the program's callback, without the lock. If the
 * queue is full, or the daemon was away for a while, the program gets one PMA_EVENT_LOST for
 * everything that it missed.
 */
#include <config.h>

#include "lib/session/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/session/call.h"
#include "lib/session/client.h"
#include "lib/session/link_error.h"
#include "lib/error.h"

#define MAX_EVENTS 4096

struct event {
	TAILQ_ENTRY(event) link;        /* in pma.events */
	uint32_t to;                    /* the arena whose subscriber gets it */
	struct pma_event event;
	char name[];                    /* ends in a NUL */
};

struct subscription {
	void (*callback)(const struct pma_event *event, void *arg);
	void *arg;
	bool only_recalls;
	size_t prefix_len;
	char prefix[WIRE_MAX_NAME];
};

/* ---- arriving ---- */

static bool is_sound(const struct pma *pma, const struct wire_result *result)
{
	uint32_t nr = result->flags == PMA_EVENT_ARENA_ADDED ? MAX_SITES : pma->sites.nr;

	return result->result == 0 && result->arena < nr &&
	       result->flags >= PMA_EVENT_PUBLISHED && result->flags <= PMA_EVENT_MOVED;
}

static void lose(struct pma *pma, struct site *site)
{
	site->has_lost_events = true;
	link_signal(&pma->link, true);
}

/*
 * The daemon dropped events because this client did not read them in time. It does not say of which
 * arena, so each subscriber is told.
 */
static void lose_all(struct pma *pma)
{
	for (uint32_t i = 0; i < pma->sites.nr; i++) {
		if (pma->sites.all[i].subscription)
			lose(pma, &pma->sites.all[i]);
	}
}

/*
 * Nobody has subscribed to an arena that was not there: the first subscriber of any other one is
 * told of it.
 */
static uint32_t find_listener(const struct pma *pma)
{
	uint32_t i = 0;

	while (i + 1 < pma->sites.nr &&
	       (!pma->sites.all[i].subscription || pma->sites.all[i].subscription->only_recalls))
		i++;
	return i;
}

static void keep(struct pma *pma, const struct wire_result *result, const char *name)
{
	uint32_t to = result->flags == PMA_EVENT_ARENA_ADDED ? find_listener(pma) : result->arena;
	struct site *site = &pma->sites.all[to];
	struct event *event;

	if (!site->subscription)
		return;
	event = pma->nr_events < MAX_EVENTS ? malloc(sizeof(*event) + result->text_len + 1u) : NULL;
	if (!event) {
		lose(pma, site);
		return;
	}
	memcpy(event->name, name, result->text_len);
	event->name[result->text_len] = '\0';
	event->to = to;
	event->event = (struct pma_event){
		.kind = (enum pma_event_kind)result->flags,
		.handle = { result->arena, result->slot, result->id },
		.len = result->len,
		.uid = result->uid,
		.gid = result->gid,
		.mode = result->mode,
		.name = event->name,
	};
	if (result->flags == PMA_EVENT_MOVED)
		event->event.to = (struct pma_handle){ result->nr_extents,
						       (uint32_t)result->version, result->cursor };
	TAILQ_INSERT_TAIL(&pma->events, event, link);
	pma->nr_events++;
	link_signal(&pma->link, true);
}

int event_arrived(struct pma *pma, struct wire_reader *reader)
{
	const struct wire_extent *extents;
	struct wire_result result;
	const char *text;
	int r;

	while ((r = wire_next_result(reader, &result, &extents, &text)) == 1) {
		if (!is_sound(pma, &result))
			return -EPROTO;
		if (result.flags == PMA_EVENT_ARENA_ADDED)
			site_came(&pma->sites, result.arena);
		if (result.flags == PMA_EVENT_ARENA_REMOVED)
			site_went(&pma->sites, result.arena);
		if (result.flags == PMA_EVENT_LOST)
			lose_all(pma);
		else
			keep(pma, &result, text);
	}
	return r;
}

void event_drop_all(struct pma *pma)
{
	struct event *event;

	while ((event = TAILQ_FIRST(&pma->events))) {
		TAILQ_REMOVE(&pma->events, event, link);
		free(event);
	}
	pma->nr_events = 0;
}

/* ---- subscribing ---- */

struct ask {
	struct call call;
	struct wire_result result;
	char text[WIRE_MAX_TEXT];
	uint8_t message[sizeof(struct wire_header) + sizeof(struct wire_request) + WIRE_MAX_NAME +
			1] __attribute__((aligned(8)));
};

static int absorb(struct call *call, struct wire_reader *reader, int *fds, int nr_fds)
{
	struct ask *ask = (struct ask *)call;
	const struct wire_extent *extents;
	const char *text;

	if (wire_next_result(reader, &ask->result, &extents, &text) != 1)
		return -EPROTO;
	memcpy(ask->text, text, ask->result.text_len);
	return 0;
}

static void ask_fill(struct ask *ask, uint32_t arena, const struct subscription *subscription)
{
	struct wire_request request = { .arena = arena };
	struct wire_writer writer;

	if (!subscription)
		request.flags = WIRE_UNSUBSCRIBE;
	else if (subscription->only_recalls)
		request.flags = WIRE_RECALLS;

	wire_begin(&writer, ask->message, WIRE_SUBSCRIBE, 0);
	wire_add_request(&writer, &request, subscription ? subscription->prefix : NULL,
			 subscription ? subscription->prefix_len : 0);
	ask->call = (struct call){ .opcode = WIRE_SUBSCRIBE,
				   .message = ask->message,
				   .length = (uint32_t)wire_end(&writer),
				   .absorb = absorb };
}

static void finished(struct call *call)
{
	free(call);
}

int event_resubscribe(struct pma *pma)
{
	for (uint32_t i = 0; i < pma->sites.nr; i++) {
		struct site *site = &pma->sites.all[i];
		struct ask *ask;

		if (!site->subscription)
			continue;
		ask = malloc(sizeof(*ask));
		if (!ask)
			return -ENOMEM;
		ask_fill(ask, i, site->subscription);
		ask->call.finished = finished;
		call_submit_first(&pma->link, &ask->call);
		lose(pma, site);
	}
	return 0;
}

/*
 * Takes the lock. Puts @subscription (may be NULL) in the arena's place and returns what was there
 * before, which the caller owns from here on.
 */
static struct subscription *exchange(struct pma *pma, uint32_t arena,
				     struct subscription *subscription)
{
	struct site *site = &pma->sites.all[arena];
	struct subscription *old;

	client_lock(pma);
	old = site->subscription;
	site->subscription = subscription;
	client_unlock(pma);
	return old;
}

static int ask_daemon(struct pma *pma, struct ask *ask)
{
	int r = client_call(pma, &ask->call);

	if (r < 0)
		return r;
	return ask->result.result < 0
		       ? error_copy(ask->result.result, ask->text, ask->result.text_len)
		       : 0;
}

static int subscription_new(struct subscription **out, const char *prefix,
			    void (*callback)(const struct pma_event *event, void *arg), void *arg)
{
	size_t len = prefix ? strlen(prefix) : 0;
	struct subscription *subscription;

	if (len > WIRE_MAX_NAME)
		return error_set(-EINVAL, "a prefix of %zu bytes; names have at most %d", len,
				 PMA_MAX_NAME);
	subscription = malloc(sizeof(*subscription));
	if (!subscription)
		return error_memory();
	subscription->callback = callback;
	subscription->arg = arg;
	subscription->only_recalls = false;
	subscription->prefix_len = len;
	if (len)
		memcpy(subscription->prefix, prefix, len);
	*out = subscription;
	return 0;
}

/*
 * Tells the daemon and replaces the arena's subscription. Takes ownership of @new, also when it
 * fails; NULL ends the subscription.
 */
static int subscribe(struct pma *pma, uint32_t arena, struct subscription *new)
{
	struct subscription *old;
	struct ask ask;
	int r;

	/*
	 * The new subscription is in place before the request is sent, since events may come before
	 * the reply. From here on the receiving thread may use it, under the lock: whoever wants to
	 * free a subscription must first take it out with exchange().
	 */
	ask_fill(&ask, arena, new);
	old = exchange(pma, arena, new);
	r = ask_daemon(pma, &ask);
	free(r < 0 ? exchange(pma, arena, old) : old);
	return r;
}

int event_subscribe_recalls(struct pma *pma, uint32_t arena,
			    void (*callback)(const struct pma_event *event, void *arg), void *arg)
{
	struct subscription *new = NULL;
	int r;

	if (arena >= pma->sites.nr)
		return site_refuse(arena);
	r = subscription_new(&new, NULL, callback, arg);
	if (r < 0)
		return r;
	new->only_recalls = true;
	return subscribe(pma, arena, new);
}

int pma_subscribe(struct pma *pma, uint32_t arena, const char *prefix,
		  void (*callback)(const struct pma_event *event, void *arg), void *arg)
{
	struct subscription *new = NULL;
	int r = client_check(pma);

	if (r < 0)
		return r;
	if (arena >= pma->sites.nr)
		return site_refuse(arena);
	if (callback && (r = subscription_new(&new, prefix, callback, arg)) < 0)
		return r;
	return subscribe(pma, arena, new);
}

/* ---- dispatching ---- */

static struct event *take_event(struct pma *pma)
{
	struct event *event = TAILQ_FIRST(&pma->events);

	if (event) {
		TAILQ_REMOVE(&pma->events, event, link);
		pma->nr_events--;
	}
	return event;
}

/* Calls the callback without the lock, because the callback may call the library. */
static void deliver(struct pma *pma, uint32_t to, const struct pma_event *event)
{
	struct subscription subscription = { .callback = NULL };
	struct site *site = &pma->sites.all[to];

	client_lock(pma);
	if (site->subscription)
		subscription = *site->subscription;
	client_unlock(pma);
	if (subscription.callback)
		subscription.callback(event, subscription.arg);
}

static void deliver_losses(struct pma *pma)
{
	for (uint32_t i = 0; i < pma->sites.nr; i++) {
		struct pma_event event = { .kind = PMA_EVENT_LOST,
					   .handle = { .arena = i },
					   .name = "" };
		bool has_lost;

		client_lock(pma);
		has_lost = pma->sites.all[i].has_lost_events;
		pma->sites.all[i].has_lost_events = false;
		client_unlock(pma);
		if (has_lost)
			deliver(pma, i, &event);
	}
}

/*
 * Delivers at most @nr events: those that were in the queue when the caller looked. Otherwise
 * callbacks that cause new events would keep this thread here for ever.
 */
static void deliver_events(struct pma *pma, uint32_t nr)
{
	for (; nr > 0; nr--) {
		struct event *event;

		client_lock(pma);
		event = take_event(pma);
		client_unlock(pma);
		if (!event)
			return;
		deliver(pma, event->to, &event->event);
		free(event);
	}
}

int pma_dispatch(struct pma *pma)
{
	uint32_t nr;
	int r, err = client_check(pma);

	if (err < 0)
		return err;
	client_lock(pma);
	r = link_poll(&pma->link);
	/*
	 * The signal is cleared before the events are taken. An event that arrives in between sets
	 * it again, so none is left in the queue without a signal.
	 */
	link_signal(&pma->link, false);
	nr = pma->nr_events;
	client_unlock(pma);
	deliver_events(pma, nr);
	deliver_losses(pma);
	if (r < 0) {
		client_lock(pma);
		link_error_down(&pma->link);
		client_unlock(pma);
	}
	return r;
}

/*
 * Is there an event, or the news of a loss, for the callback of some arena? The caller has
 * link.lock.
 */
static bool has_something_to_deliver(const struct pma *pma)
{
	bool has_lost = false;

	for (uint32_t i = 0; i < pma->sites.nr; i++)
		has_lost |= pma->sites.all[i].has_lost_events;
	return has_lost || pma->nr_events > 0;
}

int pma_get_fd(struct pma *pma)
{
	struct why why;
	int r = client_check(pma);

	if (r < 0)
		return r;
	client_lock(pma);
	r = link_fd(&pma->link, &why);
	/*
	 * Events that arrived before there was a descriptor have signalled nobody: without this the
	 * program would wait for them for ever.
	 */
	if (r >= 0 && has_something_to_deliver(pma))
		link_signal(&pma->link, true);
	client_unlock(pma);
	return r < 0 ? error_set(r, "no descriptor for an event loop: %s", why.text) : r;
}
