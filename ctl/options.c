/* SPDX-License-Identifier: BSD-3-Clause */
/* options: reads the options that every command has, and each command's own. */
#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* The most options that a command may have of its own; the table for getopt has so much room. */
#define OWN_MAX 16

enum { OPT_JSON = 256, OPT_SOCKET, OPT_ADMIN_SOCKET, OPT_TIMEOUT, OPT_HELP, OPT_OWN };

/*
 * The options that every command has. They may stand before the command or behind it; main.c reads
 * those before it, since getopt does not know where the options of the command begin.
 */
static const struct option common[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "human", no_argument, NULL, 'u' },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "admin-socket", required_argument, NULL, OPT_ADMIN_SOCKET },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "help", no_argument, NULL, OPT_HELP },
};

#define NR_COMMON (sizeof(common) / sizeof(*common))

/* Prints the short usage of the command, not its help: the mistake stays on the screen. */
int ctl_usage(const struct ctl_command *command, const char *what)
{
	ctl_say("%s", what);
	fprintf(stderr, "usage: pmemarenactl %s %s\n", command->name, command->args);
	return CTL_USAGE;
}

bool ctl_set_timeout(struct ctl *ctl, const char *text)
{
	ctl->has_timeout = ctl_timeout_parse(&ctl->timeout_s, text);
	if (!ctl->has_timeout)
		ctl_say("a time-out is a number of seconds, not \"%s\"", text);
	return ctl->has_timeout;
}

static void print_help(const struct ctl_command *command)
{
	printf("usage: pmemarenactl %s %s\n\n%s.\n", command->name, command->args,
	       command->summary);
	if (command->help)
		printf("\n%s", command->help);
}

/* Makes one table of the common options and the command's own, as getopt wants it. */
static void fill(struct option all[NR_COMMON + OWN_MAX + 1], const struct ctl_option *own)
{
	size_t n = NR_COMMON;

	memcpy(all, common, sizeof(common));
	for (int i = 0; own && own[i].name && i < OWN_MAX; i++)
		all[n++] = (struct option){ own[i].name,
					    own[i].value ? required_argument : no_argument, NULL,
					    OPT_OWN + i };
	all[n] = (struct option){ NULL, 0, NULL, 0 };
}

/* Notes the value of an option. It points into argv, and lives as long as the program. */
static void take_own(const struct ctl_option *own, char *value)
{
	if (own->value)
		*own->value = value;
	else
		*own->flag = true;
}

static void say_unknown(const struct ctl_command *command, const char *typed,
			const struct option *all)
{
	struct ctl_suggestion suggestion = { .typed = typed + strspn(typed, "-") };

	for (; all->name; all++)
		ctl_suggest(&suggestion, all->name);
	/* What is an option already lacks its value. */
	if (suggestion.best && suggestion.distance > 0)
		ctl_say("\"%s\" is no option of %s; did you mean \"--%s\"?", typed, command->name,
			suggestion.best);
	else
		ctl_say("\"%s\" is no option of %s, or its value is missing", typed,
			command->name);
}

/*
 * Reads the options. argv[0] is the name of the command. getopt moves the other arguments to the
 * end of argv; here they are moved to the front, so that a command finds them from argv[1] on
 * wherever the options stood.
 */
int ctl_parse(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv,
	      const struct ctl_option *options)
{
	struct option all[NR_COMMON + OWN_MAX + 1];
	int option;

	fill(all, options);
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "u", all, NULL)) != -1) {
		if (option >= OPT_OWN)
			take_own(&options[option - OPT_OWN], optarg);
		else if (option == 'u')
			ctl->human = true;
		else if (option == OPT_JSON)
			ctl->json = true;
		else if (option == OPT_SOCKET)
			ctl->socket = optarg;
		else if (option == OPT_ADMIN_SOCKET)
			ctl->admin_socket = optarg;
		else if (option == OPT_TIMEOUT && !ctl_set_timeout(ctl, optarg))
			return -1;
		else if (option == OPT_TIMEOUT)
			continue;
		else if (option == OPT_HELP)
			return print_help(command), -2;
		else
			return say_unknown(command, argv[optind - 1], all), -1;
	}
	for (int i = optind; i < argc; i++)
		argv[1 + i - optind] = argv[i];
	return argc - optind;
}

/*
 * Reads the options and checks the number of arguments. These end with a NULL, so that a command
 * finds an optional one missing without counting.
 */
bool ctl_begin(int *status, struct ctl *ctl, const struct ctl_command *command, int argc,
	       char **argv, const struct ctl_option *options, int least, int most)
{
	int nr = ctl_parse(ctl, command, argc, argv, options);

	*status = nr == -2 ? CTL_DONE : CTL_USAGE;
	if (nr < 0)
		return false;
	if (nr < least || nr > most) {
		ctl_usage(command,
			  nr < least ? "something is missing" : "there are too many arguments");
		return false;
	}
	argv[1 + nr] = NULL;
	return true;
}
