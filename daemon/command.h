/* SPDX-License-Identifier: BSD-3-Clause */
/* command: what a process calls itself, for people to read. */
#ifndef PMEMARENA_COMMAND_H
#define PMEMARENA_COMMAND_H

#define COMMAND_SIZE 16

/*
 * Writes the name of process @pid, as /proc has it now: later the number may be another process's.
 * "": @pid is 0, or /proc does not tell (a unit with ProtectProc= shows the daemon its own
 * processes alone).
 */
void command_of(char command[COMMAND_SIZE], long pid);

#endif
