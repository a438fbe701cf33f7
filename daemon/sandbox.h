/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox: what the daemon gives up before it opens anything. The service manager takes the same
 * from it; a daemon that is started by hand has only this.
 */
#ifndef PMEMARENA_SANDBOX_H
#define PMEMARENA_SANDBOX_H

/*
 * Gives up for good: new privileges, all capabilities but opening any file and giving sockets to a
 * group, and starting other programs. What this kernel does not offer is left out; nothing here can
 * make the start fail.
 */
void sandbox_enter(void);

#endif
