/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config: what the operator wants, read from pmemarenad.conf, its drop-ins (pmemarenad.conf.d/
 * *.conf beside it, in the order of their names) and the command line (`-o`); later settings win
 * over earlier ones. A struct config was checked as a whole: every value is in range, defaults are
 * filled in, names are resolved.
 *
 *	[daemon]                one
 *	[arena NAME]            one for each arena; their order is that of the arena indices
 *	[quota default]         for users without a section of their own
 *	[quota USER]            a user's name or uid; what it does not set follows [quota default]
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

#include "daemon/config/config_list.h"
#include "daemon/log.h"
#include "lib/wire/why.h"

#define CONFIG_SOCKET_MAX 108                   /* as struct sockaddr_un has it */
#define CONFIG_HOSTS_MAX 176
#define CONFIG_NAME_MAX   64                    /* of an arena, a user or a group, with its NUL */
/* with its NUL: libinih reads lines up to 198 bytes, "metadata = PATH" included */
#define CONFIG_PATH_MAX   176

enum config_format { CONFIG_FORMAT_NEVER, CONFIG_FORMAT_IF_BLANK };
enum config_evict { CONFIG_EVICT_OWN, CONFIG_EVICT_ANY };
enum config_memmap { CONFIG_MEMMAP_DRAM, CONFIG_MEMMAP_DEVICE };

struct config_daemon {
	char     runtime_directory[CONFIG_SOCKET_MAX];
	/* if it was not set, a path in the runtime directory */
	char     socket[CONFIG_SOCKET_MAX];
	/* what outlives a boot: the identity of this host */
	char     state_directory[CONFIG_PATH_MAX];
	char     admin_socket[CONFIG_SOCKET_MAX];       /* as the one before */
	/* "" (off), "HOST:PORT" or an absolute path */
	char     metrics_listen[CONFIG_SOCKET_MAX];
	/* the group that may administer; on a host without it only root may */
	char     admin_group[CONFIG_NAME_MAX];
	uint32_t log_level;                             /* enum log_level */
	uint32_t scrub_threads;
	/* bytes a second, all threads together; 0: no limit */
	uint64_t scrub_rate;
	uint32_t verify_interval_s;                     /* 0: never */
	/* how long clients of the daemon before have to come back */
	uint32_t grace_s;
	uint32_t max_sessions;
	/* how long the loop polls after a request; 0: it never does */
	uint32_t busy_poll_us;
	uint32_t max_mappings;                          /* of the process; 0: vm.max_map_count */
};

struct config_arena {
	char     name[CONFIG_NAME_MAX];
	/* an absolute path, "uuid:UUID" or "auto" */
	char     device[CONFIG_PATH_MAX];
	/* a path, "device", or "auto": beside a file, else on the device */
	char     metadata[CONFIG_PATH_MAX];
	/* bytes of a file, which is created with this size if it is absent; 0: it must exist */
	uint64_t size;
	uint64_t page_size;                             /* 4096, 2 MiB or 1 GiB */
	uint32_t format;                                /* enum config_format */
	/* of a file: how many bytes of free space keep their blocks */
	uint64_t keep_blocks;
	uint32_t memmap;                                /* enum config_memmap */
	uint32_t evict;                                 /* enum config_evict */
	/* percent of the arena above which what is evictable is freed ahead of need; 0: never */
	uint32_t evict_above;
	/* so long what a process had through a window waits after the process is gone */
	uint32_t device_grace_s;
	uint64_t slots;                                 /* table slots; 0: chosen from the size */
	int32_t  numa_node;                             /* -1: that of the device */
	/* who may use it; everybody, if neither this nor `groups` was set */
	struct config_list users;
	struct config_list groups;                      /* as the one before */
	struct config_list readers;                     /* who may look and read */
	/* names of the hosts that share it, with blanks between them; "": none do */
	char     hosts[CONFIG_HOSTS_MAX];
	/* during reading: one of its lines was not understood */
	bool     has_errors;
};

/*
 * In the place of a limit: the part of an arena that one user may have, so that room is left for
 * others. Each arena computes it.
 */
#define CONFIG_SHARE UINT64_MAX

/* A limit of 0 means that there is none. */
struct config_quota {
	bool     is_default;
	uint32_t uid;                                   /* the user; means nothing if is_default */
	/* as it was written: "default", "postgres", "1000" */
	char     name[CONFIG_NAME_MAX];
	uint64_t bytes;
	/* allocations, sessions and leased bytes may each be CONFIG_SHARE */
	uint64_t allocations;
	uint64_t sessions;
	uint64_t leased_bytes;
	/* a bit for each key that was set; the others follow the default */
	uint64_t set;
};

struct config {
	struct config_daemon daemon;
	struct config_arena *arenas;                    /* owned */
	size_t               nr_arenas;
	/* owned; never empty: quotas[0] is the default */
	struct config_quota *quotas;
	size_t               nr_quotas;
};

struct config_sources {
	/* NULL: PMEMARENA_CONF, if it exists; a file that is named here must exist */
	const char  *file;
	/* "KEY=VALUE" for [daemon], "arena.NAME.KEY=VALUE" or "quota.USER.KEY=VALUE" */
	const char *const *overrides;
	size_t       nr_overrides;
};

/*
 * Reads and checks the configuration. -EINVAL: @why has file, line and what would be right, of the
 * first mistake; -ENOENT or another errno of a file; -ENOMEM. @out is written on success only; call
 * config_fini() on it.
 */
int config_load(struct config *out, const struct config_sources *sources, struct why *why);
/*
 * As config_load(); and @complain is told every mistake, in the order in which they are found, so
 * that all can be mended at once.
 */
typedef void config_complain_fn(void *arg, const char *what);
int config_load_all(struct config *out, const struct config_sources *sources,
		    config_complain_fn *complain, void *arg, struct why *why);
/* Frees what @config owns. A config that is all zero is fine. */
void config_fini(struct config *config);

/*
 * Makes @out, the section of an arena that shall come while the daemon runs, from @nr settings
 * "KEY=VALUE", which are checked together with the arenas of @running. -EEXIST: one of these has
 * that name; -EINVAL, with what would be right; -ENOMEM.
 */
int config_arena_new(struct config_arena *out, const struct config *running, const char *name,
		     const char *const *settings, size_t nr, struct why *why);
/* Writes the section as a file would have it, with those settings that are no defaults. */
void config_print_arena(const struct config_arena *arena, FILE *to);

/*
 * Writes all settings, defaults too, as a file would have them: what `--check-config` shows. Read
 * again, they give the same configuration.
 */
void config_print(const struct config *config, FILE *to);

/*
 * Counts the settings that differ between what runs (@now) and @next and that cannot change while
 * the daemon runs. Their names are in @text ("socket, arena main: page-size"), cut at its end. An
 * arena that only one of them has does not count, nor do places of @now without a name.
 */
size_t config_reload_diff(char *text, size_t size, const struct config *now,
			  const struct config *next);
/* Returns the section of the arena with that name; NULL: there is none. */
const struct config_arena *config_find_arena(const struct config *config, const char *name);
/* Moves the settings that can change from @next to @now; @next must still be freed. */
void config_reload(struct config *now, struct config *next);

/* Returns the limits of a user; never NULL. */
const struct config_quota *config_quota(const struct config *config, uint32_t uid);

#endif
