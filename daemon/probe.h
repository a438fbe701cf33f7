/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe: USDT probes of the provider `pmemarena`; doc/TRACING.md lists them. A build on a machine
 * without <sys/sdt.h> has none.
 *
 * A tracer that attaches to a probe has the kernel add one to the probe's semaphore, a counter in
 * the daemon. All probes share one, which is half of the word that trace_is_on() tests. So a probe
 * stands behind that test, with the lines of the trace, and costs nothing of its own.
 */
#ifndef PMEMARENA_PROBE_H
#define PMEMARENA_PROBE_H

#include "daemon/log.h"

#ifdef HAVE_SYS_SDT_H
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
/*
 * <sys/sdt.h> knows a semaphore for each probe, or none. This macro is where it writes the address
 * of the semaphore into the note of a probe: here the same word for all.
 */
#undef _SDT_SEMAPHORE
#define _SDT_SEMAPHORE(provider, name) _SDT_ASM_1(_SDT_ASM_ADDR log_steps + 2)
_Static_assert(offsetof(union log_steps, probed) == 2, "the address above");
/* Takes a name, and one to six integers or pointers. */
#define PROBE(name, ...) STAP_PROBEV(pmemarena, name, __VA_ARGS__)
#else
#define PROBE(name, ...) do { if (0) probe_ignore(0, __VA_ARGS__); } while (0)
static inline void probe_ignore(int none, ...) { (void)none; }
#endif

#endif
