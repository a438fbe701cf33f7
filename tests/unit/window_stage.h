/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window_stage: a fake daemon that serves one window over a memfd that stands in for the device. It
 * counts what it is asked, so that a test can tell a hit from a miss, and does what `script` says.
 */
#ifndef PMEMARENA_WINDOW_STAGE_H
#define PMEMARENA_WINDOW_STAGE_H

#include <pmemarena.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/standin/fake_daemon.h"
#include "tests/unit/window_fixture.h"

#define NUMBER  99u
#define NR_PINS 32u
#define ASKED_SLOT 200u         /* of what the daemon is asked for, and its id */
#define ASKED_ID   5000u

extern struct fake_daemon *fake;
extern struct pma *pma;
extern struct pma_window *window;
extern struct paper paper, next_paper;
extern struct pins_header *pins;
extern int pins_fd;

/* What the script does, and what it saw; set before a call of the library, read after it. */
extern struct script {
	int pin_result, window_result;
	int nr_hang_ups;                /* so many PINs are not answered, and the connection ends */
	bool fills_in;                  /* before that the word is filled in */
	bool resumes;                   /* what the next session says */
	bool has_next_paper;            /* the catalog is another file now */
	bool has_window;                /* this session has it */
	uint32_t nr_extents;            /* of what is asked for; 0: 1 */
	uint64_t version, extents_version;
	_Atomic uint32_t nr_windows, nr_again, nr_pin_messages, nr_pins;
	_Atomic uint32_t nr_bad_first;  /* so many PINs are answered with -EBADF */
	_Atomic uint32_t last_flags;
} script;

/*
 * Before each case: the daemon runs and the program is connected; with stage_begin_open() it has
 * the window open too. stage_end() is for both.
 */
void stage_begin(void);
void stage_begin_open(void);
void stage_end(void);

void stage_serve(struct fake_daemon *daemon);
void stage_begin_with(uint64_t features);
void stage_reopen(unsigned flags);
int stage_get(struct pma_pin *pin, const char *name, unsigned flags);
uint32_t stage_nr_in_use(void);
char *stage_at(uint64_t off);

#endif
