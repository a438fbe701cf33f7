/* SPDX-License-Identifier: BSD-3-Clause */
/* config_values: the types of the values that keys can have. */
#ifndef PMEMARENA_CONFIG_VALUES_H
#define PMEMARENA_CONFIG_VALUES_H

#include "daemon/config/config_keys.h"

extern const struct config_type config_value_directory; /* an absolute path */
/* an absolute path, @NAME, or "" for a name in the runtime directory */
extern const struct config_type config_value_socket;
extern const struct config_type config_value_listen;    /* off, ADDRESS:PORT or an absolute path */
extern const struct config_type config_value_group;     /* the name of a group */
extern const struct config_type config_value_device;    /* a path, uuid:UUID or auto */
extern const struct config_type config_value_metadata;  /* auto, device or an absolute path */
extern const struct config_type config_value_users;     /* a list of users */
extern const struct config_type config_value_groups;    /* a list of groups */
extern const struct config_type config_value_hosts;     /* names of hosts */
extern const struct config_type config_value_readers;   /* a list of users and @groups */
extern const struct config_type config_value_u32;       /* a whole number, in 32 bits */
extern const struct config_type config_value_u64;       /* a whole number, in 64 bits */
extern const struct config_type config_value_node;      /* auto (-1) or a NUMA node */
extern const struct config_type config_value_seconds;   /* a time: 90s, 5min, 1h */
extern const struct config_type config_value_size;      /* bytes: 512K, 2M, 64G */
extern const struct config_type config_value_share_u64; /* share, or a whole number */
extern const struct config_type config_value_share_size;/* share, or a size */
extern const struct config_type config_value_page_size; /* 4K, 2M or 1G */
/* one of key->choices, stored as key->min and up */
extern const struct config_type config_value_choice;

#endif
