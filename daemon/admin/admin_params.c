/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin_params: reads the parameters of a request, and finds what they name: an arena, an
 * allocation. It says what is wrong with them, and hides arenas that the caller may not see.
 */
#include <config.h>

#include "daemon/admin/admin_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/arena/arena_find.h"
#include "daemon/service/access.h"
#include "lib/wire/escape.h"
#include "lib/wire/size.h"

int admin_get_string(const char **out, struct admin_call *call, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(call->params, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return why_set(&call->why, -EBADMSG, "\"%s\" must be a text without zero bytes",
			       key);
	*out = json_object_get_string(value);
	return 1;
}

int admin_get_size(uint64_t *out, struct admin_call *call, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(call->params, key, &value) || !value)
		return 0;
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0) {
		*out = json_object_get_uint64(value);
		return 1;
	}
	if (json_object_is_type(value, json_type_string)) {
		if (size_parse(out, json_object_get_string(value)) == 0)
			return 1;
		return why_set(&call->why, -EINVAL,
			       "\"%s\" is not a size: a number of bytes, or one with K, M, G or T "
			       "behind it (powers of 1024)",
			       json_object_get_string(value));
	}
	return why_set(&call->why, -EBADMSG,
		       "\"%s\" must be a number that is not negative, or a text like \"2M\"", key);
}

int admin_get_bool(bool *out, struct admin_call *call, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(call->params, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return why_set(&call->why, -EBADMSG, "\"%s\" must be true or false", key);
	*out = json_object_get_boolean(value);
	return 1;
}

/*
 * A client may connect with all its groups or with its primary one alone: an arena is shown if
 * either way opens it.
 */
bool admin_may_see(const struct service *service, const struct conn_peer *peer, bool is_admin,
		   uint32_t index)
{
	struct access_peer by_groups = { .uid = peer->uid,
					 .groups = peer->groups,
					 .nr_groups = peer->nr_groups };
	struct access_peer by_primary = { .uid = peer->uid, .groups = &peer->gid, .nr_groups = 1 };
	const struct config_arena *arena = &service->config.arenas[index];

	return is_admin || access_of(arena, &by_groups) != ACCESS_NONE ||
	       access_of(arena, &by_primary) != ACCESS_NONE;
}

bool admin_shows(const struct admin_call *call, uint32_t index)
{
	return !call->service->arenas[index].is_gone &&
	       admin_may_see(call->service, call->peer, call->is_admin, index);
}

/* Returns the lowest number that has an arena; 0: none has. */
static uint32_t first_arena(const struct service *service)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		if (!service->arenas[i].is_gone)
			return i;
	}
	return 0;
}

/*
 * An arena that the caller may not see is refused in the words for one that does not exist: nobody
 * learns its name by asking.
 */
int admin_arena(uint32_t *index, struct arena **arena, struct admin_call *call)
{
	const char *name = NULL;
	int r;

	*index = first_arena(call->service);
	r = admin_get_string(&name, call, "arena");
	if (r > 0)
		r = service_find_arena(index, call->service, name, &call->why);
	if (r < 0)
		return r;
	if (!admin_shows(call, *index))
		return name ? service_no_arena(name, &call->why)
			    : why_set(&call->why, -ENOENT,
				      "the first arena is none that uid %" PRIu32
				      " may use; say which: \"arena\"",
				      call->uid);
	*arena = service_arena(&r, call->service, *index, &call->why);
	return r;
}

/* Returns the value of a hexadecimal digit, -1 for another character. */
static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

void admin_unhex(char *to, const char *hex, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		to[i] = (char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
}

int admin_get_hex(void *to, size_t *len, size_t max, struct admin_call *call, const char *key)
{
	const char *hex = NULL;
	int r = admin_get_string(&hex, call, key);

	if (r <= 0)
		return r;
	if (strlen(hex) % 2 || strlen(hex) > 2 * max ||
	    strspn(hex, "0123456789abcdefABCDEF") != strlen(hex))
		return why_set(&call->why, -EBADMSG,
			       "\"%s\" must be at most %zu pairs of hexadecimal digits", key,
			       max);
	*len = strlen(hex) / 2;
	admin_unhex(to, hex, *len);
	return 1;
}

int admin_get_bytes(struct admin_bytes *bytes, struct admin_call *call, const char *key)
{
	const char *text = NULL;
	char hex_key[32];
	size_t len = 0;
	int r;

	r = admin_get_string(&text, call, key);
	if (r > 0 && strlen(text) > ALLOC_MAX_NAME)
		return why_set(&call->why, -ENAMETOOLONG, "a name has at most %d bytes",
			       ALLOC_MAX_NAME);
	if (r > 0) {
		bytes->len = (uint8_t)strlen(text);
		memcpy(bytes->bytes, text, strlen(text) + 1);
		return 1;
	}
	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	if (r == 0)
		r = admin_get_hex(bytes->bytes, &len, ALLOC_MAX_NAME, call, hex_key);
	if (r <= 0)
		return r;
	bytes->len = (uint8_t)len;
	bytes->bytes[bytes->len] = '\0';
	/*
	 * No name has a zero byte, and a caller that takes the result for a text would read less
	 * than was asked for.
	 */
	if (memchr(bytes->bytes, '\0', bytes->len))
		return why_set(&call->why, -EBADMSG, "a name has no zero bytes");
	return 1;
}

/* Finds the allocation with @id in the slot that the parameter "slot" names. */
static int find_handle(struct alloc **alloc, const struct arena *arena, struct admin_call *call,
		       uint64_t id)
{
	uint64_t slot = 0;
	int r = admin_get_size(&slot, call, "slot");

	if (r < 0)
		return r;
	/*
	 * A freeing allocation is found too: the administrator wants to know why its space does not
	 * come back.
	 */
	*alloc = slot <= UINT32_MAX ? arena_next_object(arena, (uint32_t)slot) : NULL;
	return *alloc && (*alloc)->slot == slot && (*alloc)->id == id
		       ? 0
		       : why_set(&call->why, -ENOENT,
				 "there is no allocation with id %" PRIu64 " in slot %" PRIu64, id,
				 slot);
}

static int find_alloc(struct alloc **alloc, const struct arena *arena, uint32_t index,
		      struct admin_call *call)
{
	char text[ESCAPE_SIZE(ALLOC_MAX_NAME)];
	struct admin_bytes name;
	uint64_t number;
	int r;

	r = admin_get_bytes(&name, call, "name");
	if (r > 0) {
		*alloc = arena_find_name(arena, name.bytes, name.len);
		escape_name(text, sizeof(text), name.bytes, name.len, escape_shows_text);
		return *alloc ? 0
			      : why_set(&call->why, -ENOENT,
					"in arena %s there is no allocation named \"%s\"",
					call->service->arenas[index].name, text);
	}
	if (r == 0)
		r = admin_get_size(&number, call, "id");
	if (r > 0)
		return find_handle(alloc, arena, call, number);
	if (r == 0)
		r = admin_get_size(&number, call, "offset");
	if (r > 0) {
		*alloc = arena_find_offset(arena, number);
		return *alloc ? 0
			      : why_set(&call->why, -ENOENT,
					"no allocation covers offset %" PRIu64
					" of the device of arena %s",
					number, call->service->arenas[index].name);
	}
	return r < 0 ? r
		     : why_set(&call->why, -EBADMSG,
			       "say which allocation: \"name\", \"offset\", or \"slot\" and "
			       "\"id\"");
}

int admin_alloc(struct alloc **alloc, uint32_t *index, struct admin_call *call)
{
	struct why why = { "" };
	struct arena *arena;
	int r = admin_arena(index, &arena, call), known;

	if (r < 0)
		return r;
	r = find_alloc(alloc, arena, *index, call);
	if (r != 0 && r != -ENOENT)
		return r;
	known = arena_check_known(arena, r == 0 ? *alloc : NULL, &why);
	if (known < 0)
		call->why = why;
	return known < 0 ? known : r;
}
