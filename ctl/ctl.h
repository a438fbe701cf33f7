/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl: what the commands of pmemarenactl share: the table of commands, options, calls to the daemon, and how things are
 * shown to people.
 */
#ifndef PMEMARENA_CTL_H
#define PMEMARENA_CTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Documented in pmemarenactl(1). */
enum ctl_status { CTL_DONE = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_DAEMON = 3, CTL_DIFFERENCES = 4 };

struct ctl {
	const char *socket;             /* NULL: the library's default, as the next */
	const char *admin_socket;
	bool json;                      /* print the daemon's answer as it is */
	bool human;                     /* sizes with units */
	const char *program;            /* argv[0] */
};

struct ctl_command {
	const char *name, *args, *summary;
	const char *help;               /* what its options are, or NULL */
	int (*run)(struct ctl *ctl, int argc, char **argv);     /* argv[0] is the command; returns enum ctl_status */
};

extern const struct ctl_command ctl_create, ctl_create_arena, ctl_check, ctl_check_memmap, ctl_format, ctl_info, ctl_list,
	ctl_list_arenas, ctl_log_level, ctl_map, ctl_ping, ctl_reload, ctl_repair, ctl_rm, ctl_sessions, ctl_stats, ctl_status_command,
	ctl_watch;

/* ---- options.c ---- */

struct ctl_option {
	const char *name;               /* without the dashes; NULL ends the list */
	const char **value;             /* it takes one; or NULL and */
	bool *flag;
};

/*
 * Take the options that all commands know and those of @options (NULL: none). Returns how many arguments are left, in
 * argv[1..]; -1: it was used wrongly, and that was said; -2: help was asked for and given.
 */
int ctl_parse(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv, const struct ctl_option *options);
/* The same, content with @least to @most arguments. false: end with *status. */
bool ctl_begin(int *status, struct ctl *ctl, const struct ctl_command *command, int argc, char **argv, const struct ctl_option *options,
	       int least, int most);
int ctl_usage(const struct ctl_command *command, const char *what);     /* says so, CTL_USAGE */

/* ---- call.c ---- */

/* One admin call; takes @params (NULL: none). CTL_DONE and *result, owned by the caller; else it was said why. */
int ctl_call(struct json_object **result, struct ctl *ctl, const char *method, struct json_object *params);
/* The same, but 0 or -errno, and nothing is said. *code: the daemon's error, 0 when it was not the daemon that refused. */
int ctl_call_quiet(struct json_object **result, int *code, struct ctl *ctl, const char *method, struct json_object *params);
int ctl_explain(int r);                 /* what pma_message() has; the status for it */
/* With --json: the object as one line, and true. */
bool ctl_print_json(const struct ctl *ctl, struct json_object *result);

/* Is the administrators' socket not for the caller? Then the clients' may be. */
bool ctl_is_not_admin(int r, int code);
struct pma;
int ctl_connect(struct pma **pma, const struct ctl *ctl);       /* to the clients' socket; CTL_DONE, or it was said why */

struct json_object *ctl_params(void);
void ctl_put(struct json_object *params, const char *key, const char *value);   /* NULL: nothing */
/* As "name" or, when it is no UTF-8, as "name_hex". */
void ctl_put_name(struct json_object *params, const char *name);

/* ---- daemon.c ---- */

/* Run the daemon's binary in a mode of its own; what it prints is in *out (owned; may be NULL). Returns its exit status, which is one of ours. */
int ctl_run_daemon(char **out, const char *const *argv);

/* ---- display.c ---- */

const char *ctl_get_string(struct json_object *from, const char *key);          /* "-" for null and absent */
uint64_t ctl_get_u64(struct json_object *from, const char *key);
bool ctl_get_bool(struct json_object *from, const char *key);
struct json_object *ctl_get(struct json_object *from, const char *key);
struct json_object *ctl_at(struct json_object *list, size_t i);

/* "64G", "1.5T", "4096". */
bool ctl_parse_size(uint64_t *out, const char *text);

#define CTL_TEXT 320
/* Each writes and returns @text. */
const char *ctl_size(char text[CTL_TEXT], const struct ctl *ctl, uint64_t bytes);
const char *ctl_number(char text[CTL_TEXT], uint64_t number);
const char *ctl_duration(char text[CTL_TEXT], uint64_t ns);
const char *ctl_name(char text[CTL_TEXT], struct json_object *shape);           /* of an allocation, printable */
const char *ctl_mode(char text[CTL_TEXT], uint64_t mode);                        /* 0640 */
const char *ctl_time(char text[CTL_TEXT], uint64_t realtime_ns);

/* Tables. A column's name that begins with '>' is right-aligned. */
struct ctl_table;
struct ctl_table *ctl_table_new(const char *const *columns);
void ctl_table_row(struct ctl_table *table);
void ctl_table_cell(struct ctl_table *table, const char *text);
void ctl_table_print(struct ctl_table *table);          /* and frees it */
/* A line of a list of properties. */
void ctl_line(const char *key, const char *value);

#endif
