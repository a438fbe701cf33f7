/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/session: connect to the daemon, and end it. A program includes <pmemarena.h>, which
 * includes this.
 */
#ifndef PMA_SESSION_H
#define PMA_SESSION_H

#include <stdint.h>

#include <pmemarena/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes options that have their defaults; the caller frees them with pma_options_free(). -ENOMEM.
 */
PMA_PUBLIC int pma_options_new(struct pma_options **out);
PMA_PUBLIC void pma_options_free(struct pma_options *options);
/*
 * Sets where the daemon listens. Default: $PMEMARENA_SOCKET, else /run/pmemarena/pmemarena.sock.
 * The text is copied. -ENOMEM, -ENAMETOOLONG.
 */
PMA_PUBLIC int pma_options_set_socket(struct pma_options *options, const char *path);
/*
 * Sets how long a call waits, in milliseconds, for a lost daemon to come back before the call fails
 * with -ENOTCONN. Default 5000; 0: not at all.
 */
PMA_PUBLIC int pma_options_set_reconnect_ms(struct pma_options *options, uint32_t timeout_ms);
/*
 * Sets for how long, in microseconds, a call looks for its reply again and again before it sleeps.
 * That saves the time of a wake-up and costs processor time. Default 0.
 */
PMA_PUBLIC int pma_options_set_busy_poll_us(struct pma_options *options, uint32_t busy_poll_us);

/*
 * Connects and opens a session. The caller ends it with pma_disconnect(). @options may be NULL and
 * may be freed afterwards. -ENOENT or -ECONNREFUSED no daemon at the socket, -EACCES this user may
 * not connect (group pmemarena), -EDQUOT this user has too many sessions, -EPROTONOSUPPORT the
 * daemon and the library have no protocol version in common, -EINVAL the kernel is too old (before
 * Linux 4.14). -ENOMEM, -EMFILE, -ENFILE and -EAGAIN are about this process. After an error there
 * is nothing to disconnect.
 */
PMA_PUBLIC int pma_connect(struct pma **out, const struct pma_options *options);
/*
 * Ends the session: its reservations are aborted, what it has open is closed. Mappings should have
 * been unmapped before; one that was not stays mapped, and its space is not given to others before
 * it is unmapped. @pma may be NULL.
 */
PMA_PUBLIC void pma_disconnect(struct pma *pma);

/*
 * The sentence that explains the last failed call of this thread; "" if there was none. Valid until
 * the thread's next call; not to be freed.
 */
PMA_PUBLIC const char *pma_message(void);

/*
 * For a program's own event loop. pma_get_fd() returns a descriptor that becomes readable when
 * pma_dispatch() has something to do; it stays the same when the connection is made anew, and the
 * library closes it. -EMFILE, -ENFILE, -ENOMEM, or -ENOSPC this user watches as many descriptors
 * with epoll(7) as it may (fs.epoll.max_user_watches). pma_dispatch() handles what has arrived and
 * never blocks; 0, or -ENOTCONN the connection is lost: it is made again by the next call, or by
 * pma_dispatch() when the descriptor is readable.
 */
PMA_PUBLIC int pma_get_fd(struct pma *pma);
PMA_PUBLIC int pma_dispatch(struct pma *pma);

/* The version of the library: "0.1.0". */
PMA_PUBLIC const char *pma_version(void);

#ifdef __cplusplus
}
#endif

#endif
