/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timeout: a daemon that was stopped by a signal, or hangs, answers nothing and hangs up on nobody.
 * A program that waits for it ends after a while, with the status that says that there is no
 * daemon. A signal ends it, so that this holds for every call that may block, those of the library
 * too.
 */
#include <config.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "ctl/ctl.h"

/*
 * A daemon that is well answers most calls within a millisecond. One that is busy has ten seconds.
 */
#define DEFAULT_S 10.0

/*
 * What the handler writes. It is made before the signal can come, since snprintf() must not be
 * called in a handler.
 */
static char sentence[160];
static size_t length;
static void (*before)(void);

/*
 * Writes the sentence and ends the program. Only calls that are safe in a signal handler are made:
 * _exit() does not write out what stdio has, which ctl_await() flushed before.
 */
static void on_alarm(int sig)
{
	ssize_t n;

	if (before)
		before();
	n = write(STDERR_FILENO, sentence, length);
	(void)sig;
	(void)n;
	_exit(CTL_NO_DAEMON);
}

void ctl_before_timeout(void (*function)(void))
{
	before = function;
}

/*
 * Reads seconds, also parts of one. The text must begin with a digit: strtod() would take "inf" and
 * leading blanks too.
 */
bool ctl_timeout_parse(double *seconds, const char *text)
{
	char *end;

	*seconds = strtod(text, &end);
	return *text >= '0' && *text <= '9' && *end == '\0' && isfinite(*seconds) &&
	       *seconds <= 1e6;
}

/* Sets the timer; 0 stops it. */
static void set(double seconds)
{
	struct itimerval timer = { .it_value = { .tv_sec = (time_t)seconds } };

	timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
	setitimer(ITIMER_REAL, &timer, NULL);
}

void ctl_await(const struct ctl *ctl)
{
	double seconds = ctl->has_timeout      ? ctl->timeout_s
			 : ctl->patience_s > 0 ? ctl->patience_s
					       : DEFAULT_S;
	struct sigaction action = { .sa_handler = on_alarm };

	if (seconds <= 0)
		return;
	/*
	 * Flushes first: the signal that ends the program would lose what was printed and not
	 * written yet.
	 */
	ctl_flush();
	length = (size_t)snprintf(
		sentence, sizeof(sentence),
		"pmemarenactl: no answer from the daemon within %g s: it is stopped, or busy; "
		"--timeout SECONDS waits longer\n",
		seconds);
	sigaction(SIGALRM, &action, NULL);
	set(seconds < 1e-6 ? 1e-6 : seconds);
}

void ctl_await_no_more(void)
{
	set(0);
}
