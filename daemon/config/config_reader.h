/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_reader: reads files, drop-ins and settings of the command line into a struct config, one
 * key at a time, and says of each mistake where it stands. Whether the settings make sense together
 * is config.c's.
 */
#ifndef PMEMARENA_CONFIG_READER_H
#define PMEMARENA_CONFIG_READER_H

#include "daemon/config/config.h"

/*
 * Reads the configuration into @into, which has the defaults and [quota default] already. On
 * failure it is filled in part, and the caller still frees it.
 */
int config_read(struct config *into, const struct config_sources *sources,
		config_complain_fn *complain, void *arg, struct why *why);

/*
 * Reads @nr settings "KEY=VALUE" into a new arena of @into, which has none of that name yet.
 * -EINVAL, with the first mistake in *why; -ENOMEM.
 */
int config_read_arena(struct config *into, const char *name, const char *const *settings, size_t nr,
		      struct why *why);

#endif
