/* SPDX-License-Identifier: BSD-3-Clause */
/* main: has the table of the commands of pmemarenactl, and runs the one that was asked for. */
#include <config.h>

#include <errno.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

/* The commands, in the order in which --help shows them. */
static const struct ctl_command *const commands[] = {
	&ctl_status_command, &ctl_stats,  &ctl_list_arenas, &ctl_list,
	&ctl_info,	     &ctl_create, &ctl_rm,	    &ctl_sessions,
	&ctl_watch,	     &ctl_trace,  &ctl_map,	    &ctl_check,
	&ctl_check_memmap,   &ctl_repair, &ctl_reidentify,  &ctl_format,
	&ctl_take_over,	     &ctl_hand_over,
	&ctl_create_arena,   &ctl_reload, &ctl_log_level,   &ctl_ping,
	&ctl_holders,	     &ctl_df,	  &ctl_users,	    &ctl_complete,
	&ctl_export,	     &ctl_import, &ctl_put_command, &ctl_get_command,
	&ctl_wait,	     &ctl_chown,  &ctl_chmod,	    &ctl_rename,
	&ctl_resize,	     &ctl_du,	  &ctl_quota,	    &ctl_top,
	&ctl_add_arena,	     &ctl_drain,  &ctl_remove_arena, &ctl_move,
};

/*
 * Prints the usage: to standard output when it was asked for, so that it can be piped into a pager;
 * to standard error when the command line is wrong.
 */
static void print_usage(FILE *to)
{
	fprintf(to, "usage: pmemarenactl [OPTION]... COMMAND [ARGUMENT]...\n\nLooks after "
		    "persistent-memory arenas.\n\nCommands:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		char call[96];

		snprintf(call, sizeof(call), "%s %s", commands[i]->name, commands[i]->args);
		fprintf(to, "  %-34s %s\n", call, commands[i]->summary);
		/* All of it is more than stdio keeps: it would write by itself, and lose errno. */
		ctl_flush();
	}
	fprintf(to, "\n"
		    "Options, before or behind the command:\n"
		    "      --json                print what the daemon answers, one JSON object\n"
		    "  -u, --human               sizes with units instead of bytes\n"
		    "      --admin-socket PATH   default: $PMEMARENA_ADMIN_SOCKET, or "
		    "/run/pmemarena/admin.sock\n"
		    "      --socket PATH         the clients' socket, for create, rm, list and "
		    "info without administrator's rights;\n"
		    "                            default: $PMEMARENA_SOCKET, or "
		    "/run/pmemarena/pmemarena.sock\n"
		    "      --timeout SECONDS     wait so long for the daemon's answer; 0: for "
		    "ever; default: 10, and 600 for checks and repair\n"
		    "      --help                print this, or what a command takes\n"
		    "      --version             print the version\n"
		    "\n"
		    "Sizes may have K, M, G, T behind them (powers of 1024).\n"
		    "Names are shown, and taken, with \\xHH for a byte that cannot be seen and "
		    "\\\\ for a backslash.\n"
		    "Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 no daemon or no "
		    "answer, 4 differences were found.\n");
}

/*
 * Finds a command by its whole name. Beginnings are not taken: a script that says "re" would run
 * another command after the next release.
 */
static const struct ctl_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

/* Says that there is no such command, and which one may have been meant. */
static int say_unknown(const char *name)
{
	struct ctl_suggestion suggestion = { .typed = name };

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		ctl_suggest(&suggestion, commands[i]->name);
	if (suggestion.best)
		ctl_say("there is no command \"%s\"; did you mean \"%s\"? `pmemarenactl --help` "
			"lists them",
			name, suggestion.best);
	else
		ctl_say("there is no command \"%s\"; `pmemarenactl --help` lists them", name);
	return CTL_USAGE;
}

/* `help COMMAND` is `COMMAND --help`. */
static int help(struct ctl *ctl, char **argv)
{
	char option[] = "--help";
	char *args[] = { argv[1], option, NULL };
	const struct ctl_command *command;

	if (!argv[1] || strcmp(argv[0], "--help") == 0) {
		print_usage(stdout);
		return CTL_DONE;
	}
	command = find_command(argv[1]);
	return command ? command->run(ctl, 2, args) : say_unknown(argv[1]);
}

/* Takes the options that stand before the command. Returns 0 if one was wrong, and says so. */
static int skip_options(struct ctl *ctl, int argc, char **argv)
{
	const char *timeout = NULL;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ctl->json = true;
		else if (strcmp(argv[i], "-u") == 0 || strcmp(argv[i], "--human") == 0)
			ctl->human = true;
		else if (strcmp(argv[i], "--admin-socket") == 0 && i + 1 < argc)
			ctl->admin_socket = argv[++i];
		else if (strncmp(argv[i], "--admin-socket=", 15) == 0)
			ctl->admin_socket = argv[i] + 15;
		else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc)
			ctl->socket = argv[++i];
		else if (strncmp(argv[i], "--socket=", 9) == 0)
			ctl->socket = argv[i] + 9;
		else if (strcmp(argv[i], "--timeout") == 0 && i + 1 < argc)
			timeout = argv[++i];
		else if (strncmp(argv[i], "--timeout=", 10) == 0)
			timeout = argv[i] + 10;
		else
			break;
	}
	return timeout && !ctl_set_timeout(ctl, timeout) ? 0 : i;
}

/*
 * Makes sure that the output was written: a full disk is a failure, and the caller must hear of it.
 * If a pager was left, the program ends without a word.
 */
static int finish(int status)
{
	int r = ctl_flush();

	if (r == 0)
		return status;
	if (r != EPIPE)
		ctl_say("standard output: %s", strerror(r));
	return status == CTL_DONE || status == CTL_DIFFERENCES ? CTL_FAILED : status;
}

/* Runs the command, which takes the rest of the command line, its own name first. */
static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_command *command;
	int first = skip_options(ctl, argc, argv);

	if (first == 0)
		return CTL_USAGE;
	if (first < argc && strcmp(argv[first], "--version") == 0) {
		printf("pmemarenactl %s\n", pma_version());
		return CTL_DONE;
	}
	if (first < argc &&
	    (strcmp(argv[first], "--help") == 0 || strcmp(argv[first], "help") == 0))
		return help(ctl, argv + first);
	if (first >= argc) {
		print_usage(stderr);
		return CTL_USAGE;
	}
	command = find_command(argv[first]);
	return command ? command->run(ctl, argc - first, argv + first) : say_unknown(argv[first]);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .program = argv[0] };
	int status;

	/*
	 * A write to a daemon that hung up, or to a pager that was left, shall be an error and no
	 * signal.
	 */
	signal(SIGPIPE, SIG_IGN);
	ctl_text_init();
	status = finish(run(&ctl, argc, argv));
	json_object_put(ctl.errors);
	return status;
}
