/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: what requests need to know of one session: who it is, what it may, where it takes part,
 * which events it wants. It knows no socket and no message.
 */
#include <config.h>

#include "daemon/serve/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/arena/arena_event.h"
#include "daemon/arena/arena_holder.h"
#include "daemon/command.h"
#include "lib/wire/wire.h"

int client_init(struct client *client, const struct conn_peer *peer)
{
	memset(client, 0, sizeof(*client));
	SLIST_INIT(&client->subscriptions);
	client->uid = peer->uid;
	client->gid = peer->gid;
	client->pid = peer->pid;
	command_of(client->command, peer->pid);
	client->groups = malloc(((size_t)peer->nr_groups + 1) * sizeof(*client->groups));
	if (!client->groups)
		return -ENOMEM;
	client->groups[0] = peer->gid;
	if (peer->nr_groups > 0)
		memcpy(client->groups + 1, peer->groups,
		       (size_t)peer->nr_groups * sizeof(*client->groups));
	client->nr_groups = peer->nr_groups + 1;
	return 0;
}

void client_fini(struct client *client)
{
	while (!SLIST_EMPTY(&client->subscriptions))
		client_unsubscribe(client, SLIST_FIRST(&client->subscriptions)->arena);
	for (int i = 0; i < CLIENT_POSITIONS; i++)
		free(client->positions[i].name);
	free(client->holders);
	free(client->groups);
	memset(client, 0, sizeof(*client));
}

/* ---- what a client may do ---- */

void client_admit(struct client *client, const struct service *service)
{
	struct access_peer peer = { .uid = client->uid,
				    .groups = client->groups,
				    .nr_groups = client->nr_groups };

	for (uint32_t i = 0; i < service->nr_arenas; i++)
		client->access[i] = (uint8_t)access_of(&service->config.arenas[i], &peer);
}

int client_check(const struct client *client, const struct service *service, uint32_t index,
		 enum access needs, struct why *why)
{
	enum access has =
		index < service->nr_arenas ? (enum access)client->access[index] : ACCESS_NONE;

	if (has == ACCESS_NONE)
		return why_set(why, -ENOENT, "there is no arena %" PRIu32 " that this user may use",
			       index);
	if (has < needs)
		return why_set(why, -EACCES,
			       "uid %" PRIu32 " may read arena %s and change nothing in it: it is "
			       "one of its readers, and none of its users",
			       client->uid, service->arenas[index].name);
	return 0;
}

struct arena *client_arena(int *r, const struct client *client, const struct service *service,
			   uint32_t index, enum access needs, struct why *why)
{
	*r = client_check(client, service, index, needs, why);
	return *r < 0 ? NULL : service_arena(r, service, index, why);
}

/* ---- taking part in arenas ---- */

/*
 * The session left @arena, which a reload took from it, and now takes part again. Ends the
 * reservations of before first: it must not get them back with its new part.
 */
static void finish_leaving(struct arena *arena, uint64_t session)
{
	const struct holder *holder;

	while ((holder = arena_find_holder(arena, session)) && arena_holder_is_leaving(holder))
		arena_step(arena);
}

/* Makes `holders` as long as there are arenas: some may have come since it was made. */
static int make_room(struct client *client, const struct service *service)
{
	struct holder **grown;

	if (client->nr_holders >= service->nr_arenas)
		return 0;
	grown = reallocarray(client->holders, service->nr_arenas, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (uint32_t i = client->nr_holders; i < service->nr_arenas; i++)
		grown[i] = NULL;
	client->holders = grown;
	client->nr_holders = service->nr_arenas;
	return 0;
}

struct holder *client_holder(const struct client *client, uint32_t index)
{
	return index < client->nr_holders ? client->holders[index] : NULL;
}

void client_part(struct client *client, uint32_t index)
{
	if (client_holder(client, index))
		client->holders[index] = NULL;
	client_unsubscribe(client, index);
}

int client_join(struct client *client, struct service *service, uint32_t index)
{
	int r;

	r = make_room(client, service);
	if (r < 0 || client->holders[index])
		return r;
	finish_leaving(service->arenas[index].arena, client->seat->number);
	r = arena_join(&client->holders[index], service->arenas[index].arena, client->seat->number,
		       client->uid);
	if (r == 0)
		arena_introduce(client->holders[index], client->pid, client->command);
	return r;
}

/* Returns the holder of the session in arena @index; NULL: it takes no part there. */
static struct holder *find_holder(const struct client *client, const struct service *service,
				  uint32_t index)
{
	if (client_holder(client, index))
		return client_holder(client, index);
	/*
	 * The holder is of a session of the daemon before; this session may be that one, and has
	 * not joined yet.
	 */
	return arena_find_holder(service->arenas[index].arena, client->seat->number);
}

/*
 * May the session keep its part in arena @index? Not if it may only read there now and has
 * something open for writing: it could go on writing through its mapping. It loses its part and can
 * begin anew as a reader.
 */
static bool may_go_on(const struct client *client, const struct service *service, uint32_t index)
{
	const struct holder *holder = find_holder(client, service, index);

	if (client->access[index] != ACCESS_READ)
		return client->access[index] == ACCESS_WRITE;
	return !holder || !arena_holder_writes(holder);
}

int client_take_part(struct client *client, struct service *service, uint32_t index)
{
	if (may_go_on(client, service, index))
		return client_join(client, service, index);
	client_lose(client, service, index);
	return 0;
}

int client_rejoin(struct client *client, struct service *service)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < service->nr_arenas; i++) {
		if (service->arenas[i].arena)
			r = client_take_part(client, service, i);
	}
	client_await(client, service);
	return r;
}

bool client_lose(struct client *client, struct service *service, uint32_t index)
{
	struct holder *holder = service->arenas[index].arena && client->seat
					? find_holder(client, service, index)
					: NULL;

	client_unsubscribe(client, index);
	if (!holder)
		return false;
	if (client_holder(client, index))
		client->holders[index] = NULL;
	arena_expel(holder);
	service_settle(service, index);
	service_tell(service, index);
	return true;
}

uint64_t client_deed(const struct client *client, uint64_t tag, uint32_t item)
{
	return client->seat->features & WIRE_REPEATS ? tag * WIRE_MAX_ITEMS + item : 0;
}

void client_forget(struct client *client, struct service *service, uint64_t tag)
{
	for (uint32_t i = 0; i < client->nr_holders; i++) {
		if (client->holders[i])
			arena_forget_deeds(client->holders[i], tag * WIRE_MAX_ITEMS,
					   WIRE_MAX_ITEMS);
	}
}

void client_forget_told(struct client *client, struct service *service)
{
	for (uint32_t i = 0; i < client->nr_holders; i++) {
		if (client->holders[i])
			arena_forget_told_deeds(client->holders[i]);
	}
}

void client_await(struct client *client, struct service *service)
{
	for (uint32_t i = 0; i < client->nr_holders; i++) {
		if (client->holders[i])
			arena_await_deeds(client->holders[i]);
	}
}

void client_leave(struct client *client, struct service *service)
{
	for (uint32_t i = 0; i < client->nr_holders; i++) {
		if (!client->holders[i])
			continue;
		arena_leave(client->holders[i]);
		client->holders[i] = NULL;
		service_settle(service, i);
		service_tell(service, i);
	}
	/*
	 * The seat goes last. If the daemon is killed before, the next one finds the session in the
	 * roster and ends it; without a seat its reservations would stay for ever.
	 */
	roster_leave(service->roster, client->seat);
	client->seat = NULL;
}

struct caller client_caller(const struct client *client, uint32_t index)
{
	return (struct caller){
		.uid = client->uid,
		.gid = client->gid,
		.groups = client->groups,
		.nr_groups = client->nr_groups,
		.holder = client_holder(client, index),
		.lends = client->seat && (client->seat->features & WIRE_LENDS),
	};
}

bool client_holds(const struct client *client, uint32_t index, const struct alloc *alloc)
{
	const struct holder *holder = client_holder(client, index);
	const struct hold *hold;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc) {
		if (hold->holder == holder && holder)
			return true;
	}
	return false;
}

/* ---- events ---- */

int client_subscribe(struct client *client, struct service *service, uint32_t arena,
		     const char *prefix, uint8_t prefix_len, bool only_recalls)
{
	struct subscription *subscription = malloc(sizeof(*subscription) + prefix_len);

	if (!subscription)
		return -ENOMEM;
	client_unsubscribe(client, arena);
	subscription->nr_listeners = only_recalls ? NULL : &service->nr_listeners;
	if (subscription->nr_listeners)
		service->nr_listeners++;
	subscription->arena = arena;
	subscription->prefix_len = prefix_len;
	memcpy(subscription->prefix, prefix, prefix_len);
	SLIST_INSERT_HEAD(&client->subscriptions, subscription, link);
	return 0;
}

static struct subscription *find_subscription(const struct client *client, uint32_t arena)
{
	struct subscription *subscription;

	SLIST_FOREACH(subscription, &client->subscriptions, link) {
		if (subscription->arena == arena)
			return subscription;
	}
	return NULL;
}

void client_unsubscribe(struct client *client, uint32_t arena)
{
	struct subscription *subscription = find_subscription(client, arena);

	if (!subscription)
		return;
	SLIST_REMOVE(&client->subscriptions, subscription, subscription, link);
	if (subscription->nr_listeners)
		(*subscription->nr_listeners)--;
	free(subscription);
}

bool client_listens(const struct client *client, uint32_t arena)
{
	return find_subscription(client, arena) != NULL;
}

/*
 * Nobody can have subscribed to an arena that was not there. So whoever listens to any other one
 * hears of it, unless it does not know the word.
 */
static bool hears_of_arenas(const struct client *client, uint32_t arena)
{
	const struct subscription *subscription;

	if (!(client->seat->features & WIRE_SURVEYS) || client->access[arena] == ACCESS_NONE)
		return false;
	SLIST_FOREACH(subscription, &client->subscriptions, link) {
		if (subscription->nr_listeners)
			return true;
	}
	return false;
}

bool client_wants(const struct client *client, uint32_t arena, const struct arena_event *event)
{
	const struct subscription *subscription = find_subscription(client, arena);

	if (event->kind == ARENA_CAME)
		return hears_of_arenas(client, arena);
	if (!subscription || client->access[arena] == ACCESS_NONE)
		return false;
	/*
	 * Recalls and the end of the arena concern all who listen, whatever names they want to hear
	 * of.
	 */
	if (event->kind == ARENA_RECALL)
		return true;
	if (!subscription->nr_listeners)
		return false;
	if (event->kind == ARENA_WENT_OFFLINE || event->kind == ARENA_LEFT)
		return true;
	return event->name_len >= subscription->prefix_len &&
	       memcmp(event->name, subscription->prefix, subscription->prefix_len) == 0;
}

/* ---- listings ---- */

const struct position *client_find_position(const struct client *client, uint64_t cursor,
					    uint32_t arena)
{
	for (int i = 0; i < CLIENT_POSITIONS; i++) {
		if (client->positions[i].cursor == cursor && client->positions[i].arena == arena)
			return &client->positions[i];
	}
	return NULL;
}

/*
 * Remembers where a listing stands. A listing that has a position already keeps that place; else
 * the oldest of CLIENT_POSITIONS positions is overwritten.
 */
int client_remember(struct client *client, uint64_t before, uint64_t cursor, uint32_t arena,
		    const char *name, uint8_t name_len)
{
	const struct position *old = client_find_position(client, before, arena);
	struct position *position = &client->positions[client->next_position];
	char *copy = malloc((size_t)name_len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, name_len);
	copy[name_len] = '\0';
	if (before != 0 && old)
		position = &client->positions[old - client->positions];
	else
		client->next_position = (uint8_t)((client->next_position + 1) % CLIENT_POSITIONS);
	free(position->name);
	*position = (struct position){
		.cursor = cursor, .arena = arena, .name_len = name_len, .name = copy
	};
	return 0;
}
