/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_screen: the terminal while `top` runs. Whatever ends the program gives it back as it was: a
 * signal too, and a daemon that does not answer.
 */
#include <config.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/top.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct termios before;
static bool is_taken;

/* Only calls that a handler of signals may make. */
void top_screen_end(void)
{
	ssize_t n;

	if (!is_taken)
		return;
	is_taken = false;
	n = write(STDOUT_FILENO, LEAVE, strlen(LEAVE));
	(void)n;
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_signal(int sig)
{
	top_screen_end();
	_exit(sig == SIGINT ? CTL_DONE : CTL_FAILED);
}

bool top_screen_begin(void)
{
	struct termios raw;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return false;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	is_taken = true;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	ctl_before_timeout(top_screen_end);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(ENTER, stdout);
	return true;
}

void top_screen_size(unsigned *rows, unsigned *width)
{
	struct winsize size;

	*rows = 24;
	*width = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		return;
	*rows = size.ws_row;
	*width = size.ws_col;
}

void top_screen_home(void)
{
	if (is_taken)
		fputs("\033[H", stdout);
}

void top_screen_rest(void)
{
	if (is_taken)
		fputs("\033[J", stdout);
}

char top_screen_key(double seconds)
{
	struct pollfd ready = { .fd = STDIN_FILENO, .events = POLLIN };
	char key = '\0';

	/* Without a screen nobody types, and standard input may be anything. */
	if (poll(&ready, is_taken ? 1 : 0, (int)(seconds * 1000)) > 0 &&
	    read(STDIN_FILENO, &key, 1) != 1)
		key = 'q';
	return key;
}
