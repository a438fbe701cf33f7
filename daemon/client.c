/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client: the state of one session that requests need. It knows no socket and no message.
 */
#include <config.h>

#include "daemon/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire.h"

int client_init(struct client *client, const struct conn_peer *peer)
{
	memset(client, 0, sizeof(*client));
	SLIST_INIT(&client->subscriptions);
	client->uid = peer->uid;
	client->gid = peer->gid;
	client->groups = malloc(((size_t)peer->nr_groups + 1) * sizeof(*client->groups));
	if (!client->groups)
		return -ENOMEM;
	client->groups[0] = peer->gid;
	memcpy(client->groups + 1, peer->groups, (size_t)peer->nr_groups * sizeof(*client->groups));
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

/* ---- taking part ---- */

int client_join(struct client *client, struct service *service, uint32_t index)
{
	if (!client->holders) {
		client->holders = calloc(service->nr_arenas, sizeof(struct holder *));
		if (!client->holders)
			return -ENOMEM;
	}
	if (client->holders[index])
		return 0;
	return arena_join(&client->holders[index], service->arenas[index].arena, client->seat->number, client->uid);
}

uint64_t client_deed(const struct client *client, uint64_t tag, uint32_t item)
{
	return client->seat->features & WIRE_REPEATS ? tag * WIRE_MAX_ITEMS + item : 0;
}

void client_forget(struct client *client, struct service *service, uint64_t tag)
{
	for (uint32_t i = 0; client->holders && i < service->nr_arenas; i++) {
		if (client->holders[i])
			arena_forget_deeds(client->holders[i], tag * WIRE_MAX_ITEMS, WIRE_MAX_ITEMS);
	}
}

void client_forget_told(struct client *client, struct service *service)
{
	for (uint32_t i = 0; client->holders && i < service->nr_arenas; i++) {
		if (client->holders[i])
			arena_forget_told_deeds(client->holders[i]);
	}
}

void client_await(struct client *client, struct service *service)
{
	for (uint32_t i = 0; client->holders && i < service->nr_arenas; i++) {
		if (client->holders[i])
			arena_await_deeds(client->holders[i]);
	}
}

void client_leave(struct client *client, struct service *service)
{
	for (uint32_t i = 0; client->holders && i < service->nr_arenas; i++) {
		if (!client->holders[i])
			continue;
		arena_leave(client->holders[i]);
		client->holders[i] = NULL;
		service_settle(service, i);
		service_tell(service, i);
	}
	/* The seat last: until then a daemon that comes after us finds the session and ends it. */
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
		.holder = client->holders ? client->holders[index] : NULL,
	};
}

bool client_holds(const struct client *client, uint32_t index, const struct alloc *alloc)
{
	const struct holder *holder = client->holders ? client->holders[index] : NULL;
	const struct hold *hold;

	TAILQ_FOREACH(hold, &alloc->holds, by_alloc) {
		if (hold->holder == holder && holder)
			return true;
	}
	return false;
}

/* ---- events ---- */

int client_subscribe(struct client *client, struct service *service, uint32_t arena, const char *prefix, uint8_t prefix_len,
		     bool only_recalls)
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

bool client_wants(const struct client *client, uint32_t arena, const struct arena_event *event)
{
	const struct subscription *subscription = find_subscription(client, arena);

	if (!subscription)
		return false;
	/* What concerns the whole arena concerns everyone who listens. */
	if (event->kind == ARENA_RECALL)
		return true;
	if (!subscription->nr_listeners)
		return false;
	if (event->kind == ARENA_WENT_OFFLINE)
		return true;
	return event->name_len >= subscription->prefix_len && memcmp(event->name, subscription->prefix, subscription->prefix_len) == 0;
}

/* ---- listings ---- */

const struct position *client_find_position(const struct client *client, uint64_t cursor, uint32_t arena)
{
	for (int i = 0; i < CLIENT_POSITIONS; i++) {
		if (client->positions[i].cursor == cursor && client->positions[i].arena == arena)
			return &client->positions[i];
	}
	return NULL;
}

int client_remember(struct client *client, uint64_t before, uint64_t cursor, uint32_t arena, const char *name, uint8_t name_len)
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
	*position = (struct position){ .cursor = cursor, .arena = arena, .name_len = name_len, .name = copy };
	return 0;
}
