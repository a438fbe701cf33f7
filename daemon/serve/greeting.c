/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greeting: reads the HELLO of a client and writes the WELCOME. It knows the roster and no socket.
 * When a session is resumed, the caller has closed its earlier connection before.
 */
#include <config.h>

#include "daemon/serve/greeting.h"

#include <errno.h>
#include <string.h>

#include "daemon/serve/request_arena.h"

int greeting_read(struct wire_hello *hello, const void *message, size_t length)
{
	struct wire_reader reader;
	int r;

	r = wire_open(&reader, message, length);
	if (r < 0 || reader.header.opcode != WIRE_HELLO)
		return -EPROTO;
	r = wire_next_raw(&reader, hello, sizeof(*hello));
	if (r == 1)
		r = wire_next_raw(&reader, &(struct wire_hello){ 0 }, sizeof(*hello));
	return r == 0 ? 0 : -EPROTO;
}

bool greeting_is_understood(const struct wire_hello *hello)
{
	return hello->min_version <= WIRE_VERSION && hello->max_version >= WIRE_VERSION;
}

static void count(struct counters *counters, int r, bool resumed)
{
	if (r < 0)
		counters->sessions_refused++;
	else if (resumed)
		counters->sessions_resumed++;
	else
		counters->sessions_begun++;
}

/* Gives the client a seat in the roster, or its old part in each arena back. */
static int seat(struct service *service, struct client *client, bool resumed)
{
	return resumed ? client_rejoin(client, service)
		       : roster_enter(&client->seat, service->roster, client->uid);
}

size_t greeting_answer(int *r, uint8_t *buf, struct service *service, struct client *client,
		       const struct wire_hello *hello, bool resumed, int unwelcome)
{
	struct wire_welcome welcome = { .version = WIRE_VERSION, .max_items = WIRE_MAX_ITEMS };
	struct wire_arena arena;
	struct wire_writer w;

	*r = unwelcome ? unwelcome : seat(service, client, resumed);
	count(&service->counters, *r, resumed);
	welcome.result = *r;
	if (*r == 0) {
		if (hello)
			client->seat->features =
				hello->features & (WIRE_REPEATS | WIRE_CARVES | WIRE_LENDS |
						   WIRE_WINDOWS | WIRE_USAGES | WIRE_REPLACES |
						   WIRE_WAITS | WIRE_ATTRIBUTES |
						   WIRE_EVICTS | WIRE_CONTENTS | WIRE_BUNDLES |
						   WIRE_SURVEYS);
		welcome.nr_arenas = (uint16_t)service->nr_arenas;
		welcome.session = client->seat->number;
		memcpy(welcome.secret, client->seat->secret, sizeof(welcome.secret));
		welcome.last_tag = client->seat->last_tag;
		welcome.read_tag = client->seat->read_tag;
		welcome.resumed = resumed;
		welcome.features = client->seat->features;
	}
	wire_begin(&w, buf, WIRE_WELCOME, 0);
	wire_add_raw(&w, &welcome, sizeof(welcome));
	for (uint32_t i = 0; i < welcome.nr_arenas; i++) {
		request_describe_arena(&arena, client, service, i);
		wire_add_raw(&w, &arena, sizeof(arena));
	}
	return wire_end(&w);
}
