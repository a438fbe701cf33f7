/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/admin: calls on the admin socket: what pmemarenactl uses. A program includes
 * <pmemarena.h>, which includes this.
 */
#ifndef PMA_ADMIN_H
#define PMA_ADMIN_H

#include <stdbool.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Does one call on the admin socket (@socket NULL: $PMEMARENA_ADMIN_SOCKET, else
 * /run/pmemarena/admin.sock): JSON-RPC 2.0, @params is a JSON object as text or NULL. Returns 0,
 * and *result has the result as JSON text, which the caller frees with free(). -EREMOTE the daemon
 * answered with an error: its code is in *code when @code is not NULL, its message in
 * pma_message(), and *result has the error's data as JSON text, to be freed too. After any other
 * error *result is NULL: those of pma_connect(), or -ENOTCONN the daemon hung up or does not
 * accept, -EINVAL @params is no JSON object, -EPROTO the answer is no JSON-RPC. Blocks until the
 * daemon answers, without a limit if the daemon is stopped.
 */
PMA_PUBLIC int pma_admin_call(char **result, int *code, const char *socket, const char *method,
			      const char *params);
/*
 * As pma_admin_call(), for a method that goes on sending: after its reply, @line is called with the
 * params of each notification as JSON text, which is valid during the call, until @line returns
 * false (this function returns 0) or the daemon goes away (-ENOTCONN).
 */
PMA_PUBLIC int pma_admin_watch(const char *socket, const char *method, const char *params,
			       bool (*line)(const char *json, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
