/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox: what the daemon gives up before it opens anything. A second line behind the service manager's: a daemon started by hand has it too.
 */
#ifndef PMEMARENA_SANDBOX_H
#define PMEMARENA_SANDBOX_H

/*
 * Never to gain privileges again, no capabilities but to open any file and to give its sockets to a group, no other program. What this
 * kernel does not offer is left out; nothing here can fail the start.
 */
void sandbox_enter(void);

#endif
