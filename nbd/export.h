/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * export: the allocation that is served, and the session that holds it while a client of nbdkit is
 * connected. A failure was said by nbdkit_error() when a function returns it.
 */
#ifndef PMEMARENA_NBD_EXPORT_H
#define PMEMARENA_NBD_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

/* What the command line says; strings are borrowed, and live as long as the plugin. */
struct export_config {
	const char *name;
	const char *arena;              /* NULL: arena number 0 */
	const char *socket;             /* NULL: the library's default */
	uint64_t create_size;           /* 0: it must be there */
};

struct pma_mapping;

/* One client's view of the allocation. Other threads may use it at the same time. */
struct view {
	struct pma_mapping *map;        /* owned */
	bool is_read_only;              /* asked for so, or the mode allows no more */
	/* stores stay in the page cache until they are flushed: an arena in a file */
	bool needs_flush;
};

/*
 * Looks whether @config can be served, and creates the allocation if it says so. It leaves no
 * session and no thread behind, since nbdkit forks after it.
 */
int export_prepare(const struct export_config *config);
/*
 * Opens and maps the allocation for one client; the first one's session is that of all. All that
 * are connected at a time get the same allocation, or are refused: a client with several
 * connections would else write one disk to two.
 */
int export_connect(struct view *out, const struct export_config *config, bool read_only);
/* Ends what export_connect() began; after the last one nothing is held. */
void export_disconnect(struct view *view);

#endif
