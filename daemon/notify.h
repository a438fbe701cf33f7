/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify: the door to the service manager: readiness, status, watchdog, sockets that it opened for us. Without one everything
 * here does nothing.
 */
#ifndef PMEMARENA_NOTIFY_H
#define PMEMARENA_NOTIFY_H

#include <stdint.h>

#include "lib/why.h"

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *status);
void notify_watchdog(void);

/* How often notify_watchdog() is expected, half of what kills us, in ms; 0: not at all. */
uint64_t notify_watchdog_ms(void);

/*
 * The sockets passed by name ("client", "admin"; without names by their kind), -1 where there is none. The caller owns them.
 * -EINVAL for one that is neither.
 */
int notify_sockets(int *client, int *admin, struct why *why);

#endif
