/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create: makes a published allocation. It asks the administrators' socket or, if that is closed to
 * this user, the clients' socket, as any program would.
 */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

/*
 * How many times, and how often, the command asks again when there is no clean space: what was just
 * freed may have to be scrubbed first.
 */
#define TRIES    600
#define EACH_US  100000

static const char help[] =
	"In NAME \\xHH is a byte, \\\\ a backslash, as they are shown.\n"
	"\n"
	"      --arena NAME          by name or UUID; default: the first\n"
	"      --mode MODE           who else may open it, in octal as for chmod; default: 600\n"
	"      --contiguous          in one extent, or not at all\n"
	"      --evictable           the daemon may free it to make room for others\n"
	"      --attributes HEX      at most 256 bytes of your own to keep with it, in "
	"hexadecimal\n"
	"      --uid N, --gid N      its owner, if it is not to be you; for administrators\n";

/*
 * What is to be made, as it stands in the command line; NULL: it was not given. The texts are
 * borrowed from argv.
 */
struct wish {
	struct ctl_bytes name;
	const char *size, *arena, *mode, *uid, *gid, *attributes;
	bool contiguous, evictable;
};

/*
 * Makes the parameters of the request. The size goes as it was typed: the daemon reads K, M and the
 * like itself, so that every tool takes the same sizes. The mode was typed in octal, which JSON
 * does not have, and goes as a number.
 */
static struct json_object *params_for(const struct wish *wish, unsigned long mode)
{
	struct json_object *params = ctl_params();

	ctl_put(params, "arena", wish->arena);
	ctl_put_bytes(params, "name", &wish->name);
	ctl_put(params, "size", wish->size);
	ctl_put(params, "uid", wish->uid);
	ctl_put(params, "gid", wish->gid);
	ctl_put(params, "attributes_hex", wish->attributes);
	json_object_object_add(params, "mode", json_object_new_int64((int64_t)mode));
	json_object_object_add(params, "contiguous", json_object_new_boolean(wish->contiguous));
	json_object_object_add(params, "evictable", json_object_new_boolean(wish->evictable));
	return params;
}

/*
 * Asks again while the daemon answers that space is being scrubbed: it does not make administrators
 * wait, as it does with clients. Each attempt needs parameters of its own, since a call takes them
 * over.
 */
static int ask_admin(struct json_object **result, int *code, struct ctl *ctl,
		     const struct wish *wish, unsigned long mode)
{
	int r = 0;

	for (int i = 0; i < TRIES; i++) {
		r = ctl_call_quiet(result, code, ctl, "create", params_for(wish, mode));
		if (r != -EREMOTE || *code != EAGAIN)
			return r;
		usleep(EACH_US);
	}
	return r;
}

/*
 * Creates the allocation over the clients' socket, as any program does. The size is read here,
 * since the library takes a number of bytes. The daemon makes a client wait while space is
 * scrubbed, so that this asks once only.
 */
static int create_as_client(struct pma *pma, const struct wish *wish, unsigned long mode)
{
	uint8_t attributes[PMA_MAX_ATTRIBUTES];
	struct pma_op op = {
		.opcode = PMA_OP_CREATE,
		.name = wish->name.bytes,
		.mode = (uint32_t)mode,
		.flags = (wish->contiguous ? PMA_CONTIGUOUS : 0u) |
			 (wish->evictable ? PMA_EVICTABLE : 0u),
		.attributes = attributes,
		.attributes_len = ctl_from_hex(attributes, wish->attributes),
	};
	int r = 0;

	if (!ctl_parse_size(&op.len, wish->size)) {
		ctl_say("\"%s\" is not a size: a number of bytes, or one with K, M, G or T behind "
			"it",
			wish->size);
		return CTL_FAILED;
	}
	if (wish->arena)
		r = pma_arena_find(&op.handle.arena, pma, wish->arena);
	if (r == 0)
		r = pma_run(pma, &op, 1);
	if (r == 0)
		r = op.result;
	return r < 0 ? ctl_refused(r) : CTL_DONE;
}

/*
 * Connects as a client for one call. What was created is published, so that it stays when the
 * session ends.
 */
static int ask_as_client(struct ctl *ctl, const struct wish *wish, unsigned long mode)
{
	struct pma *pma;
	int r, status = ctl_connect(&pma, ctl);

	if (status != CTL_DONE)
		return status;
	ctl_await(ctl);
	r = create_as_client(pma, wish, mode);
	ctl_await_no_more();
	pma_disconnect(pma);
	return r;
}

/* Reads a mode as chmod(1) does; the daemon drops the bits that mean nothing for an allocation. */
static bool read_mode(unsigned long *mode, const char *text)
{
	char *end;

	*mode = text ? strtoul(text, &end, 8) : 0600;
	return !text || (*text && !*end && *mode <= 0777);
}

/*
 * Are the attributes whole pairs of digits, and no more than an allocation can keep? If a part was
 * dropped without a word, somebody would miss data.
 */
static bool is_hex(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return !text || (len > 0 && len % 2 == 0 && len <= 2 * PMA_MAX_ATTRIBUTES &&
			 strspn(text, "0123456789abcdefABCDEF") == len);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct ctl_option options[] = {
		{ "arena", &wish.arena, NULL },
		{ "mode", &wish.mode, NULL },
		{ "contiguous", NULL, &wish.contiguous },
		{ "evictable", NULL, &wish.evictable },
		{ "uid", &wish.uid, NULL },
		{ "gid", &wish.gid, NULL },
		{ "attributes", &wish.attributes, NULL },
		{ NULL, NULL, NULL },
	};
	struct json_object *result;
	unsigned long mode;
	int code, status, r;

	if (!ctl_begin(&status, ctl, &ctl_create, argc, argv, options, 2, 2))
		return status;
	if (!read_mode(&mode, wish.mode))
		return ctl_usage(&ctl_create, "a mode is octal, like 640");
	if (!is_hex(wish.attributes))
		return ctl_usage(&ctl_create,
				 "attributes are 1 to 256 pairs of hexadecimal digits");
	if (!ctl_read_name(&wish.name, argv[1]))
		return CTL_USAGE;
	wish.size = argv[2];
	r = ask_admin(&result, &code, ctl, &wish, mode);
	if (ctl_is_not_admin(r, code) && !wish.uid && !wish.gid)
		return ask_as_client(ctl, &wish, mode);
	if (r < 0)
		return ctl_explain(r);
	ctl_print_json(ctl, result);
	json_object_put(result);
	return CTL_DONE;
}

const struct ctl_command ctl_create = { "create",
					"NAME SIZE [--mode MODE] [--arena NAME] [--contiguous] "
					"[--evictable] [--attributes HEX]",
					"Make a named allocation", help, run };
