/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_reader: files, drop-ins and command-line settings into a struct config, one key at a time. It knows where
 * each came from and says so; whether they make sense together is config.c's.
 */
#ifndef PMEMARENA_CONFIG_READER_H
#define PMEMARENA_CONFIG_READER_H

#include "daemon/config.h"

/* @into holds the defaults and [quota default]; on failure it is half filled, and still the caller's to free. */
int config_read(struct config *into, const struct config_sources *sources, struct why *why);

#endif
