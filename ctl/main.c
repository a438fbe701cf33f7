/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main: the table of commands of pmemarenactl, and which one runs.
 */
#include <config.h>

#include <pmemarena.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const struct ctl_command *const commands[] = {
	&ctl_status_command, &ctl_stats, &ctl_list_arenas, &ctl_list, &ctl_info, &ctl_create, &ctl_rm, &ctl_sessions, &ctl_watch, &ctl_map,
	&ctl_check, &ctl_check_memmap, &ctl_repair, &ctl_format, &ctl_create_arena, &ctl_reload, &ctl_log_level, &ctl_ping,
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: pmemarenactl [OPTION]... COMMAND [ARGUMENT]...\n\nLooks after persistent-memory arenas.\n\nCommands:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		char call[96];

		snprintf(call, sizeof(call), "%s %s", commands[i]->name, commands[i]->args);
		fprintf(to, "  %-34s %s\n", call, commands[i]->summary);
	}
	fprintf(to, "\n"
		"Options, before or behind the command:\n"
		"      --json                print what the daemon answers, one JSON object\n"
		"  -u, --human               sizes with units instead of bytes\n"
		"      --admin-socket PATH   default: $PMEMARENA_ADMIN_SOCKET, or /run/pmemarena/admin.sock\n"
		"      --socket PATH         the clients' socket, for create and rm without administrator's rights;\n"
		"                            default: $PMEMARENA_SOCKET, or /run/pmemarena/pmemarena.sock\n"
		"      --help                print this, or what a command takes\n"
		"      --version             print the version\n"
		"\n"
		"Sizes may have K, M, G, T behind them (powers of 1024).\n"
		"Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 no daemon, 4 differences were found.\n");
}

static const struct ctl_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

/* The options in front of the command. */
static int skip_options(struct ctl *ctl, int argc, char **argv)
{
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
		else
			break;
	}
	return i;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .program = argv[0] };
	const struct ctl_command *command;
	int first = skip_options(&ctl, argc, argv);

	/* A daemon that hangs up, or a pager that was left, is an error of a call. */
	signal(SIGPIPE, SIG_IGN);
	if (first < argc && strcmp(argv[first], "--version") == 0) {
		printf("pmemarenactl %s\n", pma_version());
		return CTL_DONE;
	}
	if (first < argc && (strcmp(argv[first], "--help") == 0 || strcmp(argv[first], "help") == 0)) {
		print_usage(stdout);
		return CTL_DONE;
	}
	if (first >= argc) {
		print_usage(stderr);
		return CTL_USAGE;
	}
	command = find_command(argv[first]);
	if (!command) {
		fprintf(stderr, "pmemarenactl: there is no command \"%s\"; `pmemarenactl --help` lists them\n", argv[first]);
		return CTL_USAGE;
	}
	return command->run(&ctl, argc - first, argv + first);
}
