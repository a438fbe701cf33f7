/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config: what the operator wants, as read from pmemarenad.conf, its drop-ins (pmemarenad.conf.d/ *.conf beside it, in the
 * order of their names) and the command line (`-o`), the later winning over the earlier. Whoever has a struct
 * config has one that was checked: every value is in range, defaults are filled in, names are resolved.
 *
 *	[daemon]                one
 *	[arena NAME]            one an arena; the order is the order of arena indices
 *	[quota default]         for everyone without a section of his own
 *	[quota USER]            a user's name or uid; keys that it does not set follow [quota default]
 *
 * Nothing here opens a device or a socket.
 */
#ifndef PMEMARENA_CONFIG_H
#define PMEMARENA_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/log.h"
#include "lib/why.h"

#define CONFIG_SOCKET_MAX 108                   /* struct sockaddr_un */
#define CONFIG_NAME_MAX   64                    /* an arena, a user or a group, with its end */
#define CONFIG_PATH_MAX   176                   /* with its end: "metadata = PATH" is a line that libinih (198 bytes) reads back */

enum config_format { CONFIG_FORMAT_NEVER, CONFIG_FORMAT_IF_BLANK };
enum config_memmap { CONFIG_MEMMAP_DRAM, CONFIG_MEMMAP_DEVICE };

struct config_daemon {
	char     runtime_directory[CONFIG_SOCKET_MAX];
	char     socket[CONFIG_SOCKET_MAX];             /* filled in from runtime_directory when it was not set */
	char     admin_socket[CONFIG_SOCKET_MAX];       /* likewise */
	char     metrics_listen[CONFIG_SOCKET_MAX];     /* "" off, "HOST:PORT" or an absolute path */
	char     admin_group[CONFIG_NAME_MAX];          /* may not exist on this host: then only root administers */
	uint32_t log_level;                             /* enum log_level */
	uint32_t scrub_threads;
	uint64_t scrub_rate;                            /* bytes a second, all threads together; 0 unlimited */
	uint32_t verify_interval_s;                     /* 0: never */
	uint32_t max_sessions;
	uint32_t busy_poll_us;                          /* 0: never spin */
	uint32_t max_mappings;                          /* of the process; 0: vm.max_map_count */
};

struct config_arena {
	char     name[CONFIG_NAME_MAX];
	char     device[CONFIG_PATH_MAX];               /* absolute path, "uuid:UUID" or "auto" */
	char     metadata[CONFIG_PATH_MAX];             /* "auto" (apart for files, else on the device), "device", or a path */
	uint64_t size;                                  /* regular files: bytes when created; 0: the file must exist */
	uint64_t page_size;                             /* 4K, 2M or 1G */
	uint32_t format;                                /* enum config_format */
	uint64_t keep_blocks;                           /* files: bytes of free space */
	uint32_t memmap;                                /* enum config_memmap */
	uint64_t slots;                                 /* table entries; 0: from the size */
	int32_t  numa_node;                             /* -1: the device's own */
};

/* A limit of 0 is none. */
struct config_quota {
	bool     is_default;
	uint32_t uid;                                   /* unless is_default */
	char     name[CONFIG_NAME_MAX];                 /* as written: "default", "postgres", "1000" */
	uint64_t bytes;
	uint64_t allocations;
	uint64_t sessions;
	uint64_t leased_bytes;
	uint32_t set;                                   /* bit a key that was written, the others follow the default */
};

struct config {
	struct config_daemon daemon;
	struct config_arena *arenas;                    /* owned */
	size_t               nr_arenas;
	struct config_quota *quotas;                    /* owned; never empty: [0] is the default */
	size_t               nr_quotas;
};

struct config_sources {
	const char  *file;              /* NULL: PMEMARENA_CONF, which may be absent; a file that is named must exist */
	const char *const *overrides;   /* "KEY=VALUE" of [daemon], "arena.NAME.KEY=VALUE", "quota.USER.KEY=VALUE" */
	size_t       nr_overrides;
};

/*
 * Read and check. The first thing wrong ends it: -EINVAL with file, line and what would be right, -ENOENT or another
 * errno of a file, -ENOMEM. @out is written on success only; config_fini() it.
 */
int config_load(struct config *out, const struct config_sources *sources, struct why *why);
void config_fini(struct config *config);        /* also a zeroed one */

/* The whole of it in the syntax of the file, defaults included: what `--check-config` shows. Reads back as the same. */
void config_print(const struct config *config, FILE *to);

/*
 * How many settings differ between what runs and @next and cannot change while the daemon runs; their names are in
 * @text ("socket, arena main: page-size"), cut at its end.
 */
size_t config_reload_diff(char *text, size_t size, const struct config *now, const struct config *next);
/* Move the settings that can change from @next, which stays valid to be freed, into @now. */
void config_reload(struct config *now, struct config *next);

/* The quota that holds for a user: never NULL. */
const struct config_quota *config_quota(const struct config *config, uint32_t uid);

#endif
