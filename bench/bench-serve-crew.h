/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew: processes (and threads of theirs) that do the same work at once for a given time, each on
 * the processors it is told, and the times they noted, together.
 *
 *	open() in each process -> all are ready -> work() in each thread until time is up -> close()
 */
#ifndef PMEMARENA_BENCH_SERVE_CREW_H
#define PMEMARENA_BENCH_SERVE_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What is measured has up to three parts: there, back, and both. */
enum phase { PHASE_THERE, PHASE_BACK, PHASE_BOTH, NR_PHASES };

enum placement { PLACE_SAME_CORE, PLACE_CROSS_CORE, PLACE_ANYWHERE };
const char *placement_name(enum placement placement);
bool placement_is_possible(enum placement placement); /* this process may use as many processors */
/*
 * The first processor is the server's; what asks it has the same one, or all others, or, where it
 * asks nobody, all. 0 or -errno.
 */
int place_server(pid_t tid);
int place_client(enum placement placement);

struct turn;                                            /* one thread's share */
uint64_t turn_now(void);                                /* ns */
bool turn_goes_on(struct turn *turn);
/* It took until @to_ns for @nr operations: noted as the time of one. */
void turn_note(struct turn *turn, enum phase phase, uint64_t from_ns, uint64_t to_ns, unsigned nr);

struct crew_plan {
	unsigned nr, nr_threads;                        /* processes, threads in each */
	enum placement placement;
	double seconds;
	/*
	 * -errno: nothing is measured. open() is called once a process, by order @index; both NULL
	 * are fine.
	 */
	int (*open)(void **context, const void *arg, unsigned index);
	void (*close)(void *context);
	int (*work)(struct turn *turn, void *context, const void *arg);
	const void *arg;
};

struct timing {
	double p50_us, p99_us;
	double per_s;                                   /* operations, all together */
	uint64_t nr;                                    /* samples; 0: not measured */
};

/* 0 or -errno, of the first that failed. */
int crew_run(struct timing timings[NR_PHASES], const struct crew_plan *plan);

#endif
