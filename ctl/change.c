/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * change: the commands that change what belongs to an allocation: its owner, mode, name, length.
 * They ask as a client, where the daemon lets the owner and root do so.
 */
#include <config.h>

#include <pmemarena.h>
#include <stdlib.h>

#include "ctl/ctl.h"

#define WHICH                                                                                      \
	"      --arena NAME          by name or UUID; default: the first\n"                        \
	"      --slot N --id N       instead of NAME: the allocation with this handle\n"

/* What to change it to. */
struct change {
	struct ctl_owner owner;
	unsigned long mode;
	struct ctl_bytes name;
	uint64_t len;
	bool replace;
};

/*
 * Reads the command line of a command with one argument beside NAME: *value. It stands before the
 * name if @is_first, as for chmod(1).
 */
static bool begin(int *status, struct ctl_target *target, const char **value, struct ctl *ctl,
		  const struct ctl_command *command, int argc, char **argv, bool is_first,
		  bool *replace)
{
	const struct ctl_option options[] = {
		{ "arena", &target->arena, NULL },
		{ "slot", &target->slot, NULL },
		{ "id", &target->id, NULL },
		{ replace ? "replace" : NULL, NULL, replace },
		{ NULL, NULL, NULL },
	};

	if (!ctl_begin(status, ctl, command, argc, argv, options, 1, 2))
		return false;
	*status = CTL_USAGE;
	*value = argv[argv[2] && !is_first ? 2 : 1];
	target->text = argv[2] ? argv[is_first ? 2 : 1] : NULL;
	return ctl_target_read(target, command);
}

/* ---- chown ---- */

static int set_owner(const struct ctl_target *target, void *arg)
{
	const struct ctl_owner *owner = &((struct change *)arg)->owner;

	return pma_set_owner(target->pma, target->handle, owner->has_uid ? owner->uid : UINT32_MAX,
			     owner->has_gid ? owner->gid : UINT32_MAX);
}

static int run_chown(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_target target = { .arena = NULL };
	struct change change;
	const char *value;
	int status;

	if (!begin(&status, &target, &value, ctl, &ctl_chown, argc, argv, true, NULL))
		return status;
	if (!ctl_read_owner(&change.owner, value))
		return CTL_USAGE;
	return ctl_target_act(ctl, &target, set_owner, &change);
}

const struct ctl_command ctl_chown = {
	"chown", "USER[:GROUP] NAME", "Give an allocation to another user or group",
	"Only root gives it to another user; its owner may choose among the own groups.\n\n" WHICH,
	run_chown
};

/* ---- chmod ---- */

static int set_mode(const struct ctl_target *target, void *arg)
{
	return pma_set_mode(target->pma, target->handle, (uint32_t)((struct change *)arg)->mode);
}

static int run_chmod(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_target target = { .arena = NULL };
	struct change change;
	const char *value;
	char *end;
	int status;

	if (!begin(&status, &target, &value, ctl, &ctl_chmod, argc, argv, true, NULL))
		return status;
	change.mode = strtoul(value, &end, 8);
	if (!*value || *end || change.mode > 0777)
		return ctl_usage(&ctl_chmod, "a mode is octal, like 640");
	return ctl_target_act(ctl, &target, set_mode, &change);
}

const struct ctl_command ctl_chmod = { "chmod", "MODE NAME", "Say who else may open an allocation",
				       "MODE is octal, of the bits 0666.\n\n" WHICH, run_chmod };

/* ---- rename ---- */

static int set_name(const struct ctl_target *target, void *arg)
{
	const struct change *change = arg;

	return pma_rename_flags(target->pma, target->handle,
				change->name.len ? change->name.bytes : NULL,
				change->replace ? PMA_REPLACE : 0);
}

static int run_rename(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_target target = { .arena = NULL };
	struct change change = { .replace = false };
	const char *value;
	int status;

	if (!begin(&status, &target, &value, ctl, &ctl_rename, argc, argv, false, &change.replace))
		return status;
	if (!ctl_read_name(&change.name, value))
		return CTL_USAGE;
	return ctl_target_act(ctl, &target, set_name, &change);
}

const struct ctl_command ctl_rename = {
	"rename", "NAME NEW [--replace]", "Give an allocation another name",
	"NEW may be '': then it has none.\n\n"
	"      --replace             frees the allocation that has the name NEW, in the same step\n"
	WHICH,
	run_rename
};

/* ---- resize ---- */

static int set_size(const struct ctl_target *target, void *arg)
{
	return pma_resize(target->pma, target->handle, ((struct change *)arg)->len);
}

static int run_resize(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_target target = { .arena = NULL };
	struct change change;
	const char *value;
	int status;

	if (!begin(&status, &target, &value, ctl, &ctl_resize, argc, argv, false, NULL))
		return status;
	if (!ctl_parse_size(&change.len, value))
		return ctl_usage(&ctl_resize, "a size is a number of bytes, or one with K, M, G or "
					      "T behind it");
	return ctl_target_act(ctl, &target, set_size, &change);
}

const struct ctl_command ctl_resize = {
	"resize", "NAME SIZE", "Make an allocation longer or shorter",
	"What is added reads as zeroes; what is cut off is gone.\n\n" WHICH, run_resize
};
