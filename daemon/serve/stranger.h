/* SPDX-License-Identifier: BSD-3-Clause */
/* stranger: descriptors that clients sent, and how to be rid of them. */
#ifndef PMEMARENA_STRANGER_H
#define PMEMARENA_STRANGER_H

#include <stdbool.h>

/* May a descriptor of a client be received? false: too many that came before cannot be closed. */
bool stranger_is_welcome(void);
/* Closes @fd, without waiting for whoever serves the file. */
void stranger_close(int fd);

#endif
