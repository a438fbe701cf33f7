/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl: what the commands of pmemarenactl share: the table of commands, options, calls to the
 * daemon, and how things are shown to people.
 */
#ifndef PMEMARENA_CTL_H
#define PMEMARENA_CTL_H

#include <json-c/json.h>
#include <pmemarena.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The exit status; pmemarenactl(1) lists them. */
enum ctl_status {
	CTL_DONE = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
	CTL_DIFFERENCES = 4
};

struct ctl {
	const char *socket;             /* NULL: the default of the library; so for the next one */
	const char *admin_socket;
	bool json;                      /* print the daemon's answer as it comes */
	bool human;                     /* sizes with units */
	bool has_timeout;               /* --timeout was given; its value is timeout_s */
	double timeout_s;               /* 0: no timeout */
	/* how long the command waits for the daemon without --timeout; 0: as most commands do */
	double patience_s;
	const char *program;            /* argv[0] */
	/* owned: the sentences of the last call that was refused for several reasons; NULL: none */
	struct json_object *errors;
};

struct ctl_command {
	const char *name, *args, *summary;
	const char *help;               /* describes its own options; NULL: it has none */
	/* argv[0] is the name of the command; returns enum ctl_status */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

extern const struct ctl_command ctl_add_arena, ctl_drain, ctl_move, ctl_remove_arena;
extern const struct ctl_command ctl_complete, ctl_create, ctl_create_arena, ctl_check,
	ctl_check_memmap, ctl_df, ctl_export, ctl_format, ctl_import, ctl_hand_over,
	ctl_holders, ctl_info,
	ctl_list, ctl_list_arenas, ctl_log_level, ctl_map,
	ctl_chmod, ctl_chown, ctl_du, ctl_get_command, ctl_put_command, ctl_quota, ctl_rename,
	ctl_resize, ctl_top, ctl_wait,
	ctl_ping, ctl_reidentify, ctl_reload, ctl_repair, ctl_rm, ctl_sessions, ctl_stats,
	ctl_status_command, ctl_take_over, ctl_trace, ctl_users, ctl_watch;

#define CTL_TEXT 1280           /* room for a name with every byte escaped, and some words */

/* A name or the beginning of one: any bytes but NUL, followed by a NUL. */
struct ctl_bytes {
	char bytes[PMA_MAX_NAME + 1];
	size_t len;
};

/* ---- text.c ---- */

void ctl_text_init(void);               /* Sets the locale, for characters alone. */
/*
 * Does the terminal read UTF-8? If not, characters beyond ASCII must be escaped: their bytes would
 * mean something else there.
 */
bool ctl_text_is_utf8(void);
/*
 * Writes out what was printed so far. Returns 0, or the errno of the first failure, also of an
 * earlier call: nobody could say later what had failed.
 */
int ctl_flush(void);
bool ctl_shows(uint32_t code);          /* Can this character be shown as it is? */
/*
 * Writes a name so that it can be typed again, or a sentence in which names are escaped already.
 * Both return @text.
 */
const char *ctl_shown(char text[CTL_TEXT], const char *name, size_t len);
const char *ctl_sentence(char text[CTL_TEXT], const char *sentence);
/*
 * Writes a line to standard error, with the program's name in front. Control characters in the
 * arguments are escaped: a terminal would obey them.
 */
void ctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * Writes to standard output. Characters that must not be shown as they are become \uXXXX, which
 * means the same in JSON.
 */
void ctl_put_json(const char *json);
/*
 * Reads a name as it was typed into its bytes. Returns false if that is not possible, and says why.
 */
bool ctl_read_name(struct ctl_bytes *name, const char *text);

/* ---- options.c ---- */

struct ctl_option {
	const char *name;               /* without the dashes; NULL ends the list */
	/* where its value goes; NULL: it has none, and sets *flag */
	const char **value;
	bool *flag;
};

/*
 * Takes the options that all commands know, and those of @options (NULL: none). Returns how many
 * arguments are left, in argv[1..]. -1: the command line is wrong, and that was said; -2: help was
 * asked for and given.
 */
int ctl_parse(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv,
	      const struct ctl_option *options);
/*
 * As ctl_parse(), for a command that is content with @least to @most arguments. false: the command
 * ends with *status.
 */
bool ctl_begin(int *status, struct ctl *ctl, const struct ctl_command *command, int argc,
	       char **argv, const struct ctl_option *options, int least, int most);
/* Says what is wrong with the command line; returns CTL_USAGE. */
int ctl_usage(const struct ctl_command *command, const char *what);
/* Reads the value of --timeout. false: it is none, and that was said. */
bool ctl_set_timeout(struct ctl *ctl, const char *text);

/* ---- call.c ---- */

/*
 * Makes one call; takes over @params (NULL: none). CTL_DONE, and *result is the caller's; else it
 * says why, and returns the status.
 */
int ctl_call(struct json_object **result, struct ctl *ctl, const char *method,
	     struct json_object *params);
/*
 * As ctl_call(), but returns 0 or -errno and says nothing. *code is the error that the daemon
 * answered with; 0: the call failed otherwise.
 */
int ctl_call_quiet(struct json_object **result, int *code, struct ctl *ctl, const char *method,
		   struct json_object *params);
/* Says why the daemon could not be asked: @r is the error of pma_message(). Returns the status. */
int ctl_explain(int r);
/*
 * As ctl_explain(), for an error with which the daemon answered: there -ENOENT is an allocation
 * that was not found, and not a socket.
 */
int ctl_refused(int r);
/*
 * Prints the object as one line and returns true, if the user gave --json; else prints nothing and
 * returns false.
 */
bool ctl_print_json(const struct ctl *ctl, struct json_object *result);

/* Is the administrators' socket closed to this user? Then the clients' socket may serve instead. */
bool ctl_is_not_admin(int r, int code);
/* Connects to the clients' socket. CTL_DONE; else it says why, and returns the status. */
int ctl_connect(struct pma **pma, const struct ctl *ctl);

/* Makes an object without members. The caller owns it until ctl_call() takes it over. */
struct json_object *ctl_params(void);
/* Adds the member @key with the text @value; NULL: adds nothing. */
void ctl_put(struct json_object *params, const char *key, const char *value);
/* Adds the bytes as "KEY" or, when they are no UTF-8, in hex as "KEY_hex". */
void ctl_put_bytes(struct json_object *params, const char *key, const struct ctl_bytes *bytes);
/* Adds @len bytes, at most PMA_MAX_ATTRIBUTES, as hexadecimal digits. */
void ctl_put_hex(struct json_object *to, const char *key, const char *bytes, size_t len);
/*
 * Reads @hex, pairs of hexadecimal digits (NULL: none), into @bytes. Returns how many bytes there
 * are.
 */
size_t ctl_from_hex(uint8_t bytes[PMA_MAX_ATTRIBUTES], const char *hex);
/*
 * Adds a name in the shape in which the daemon shows it: "name" and "name_hex" are both there, and
 * one of them is null.
 */
void ctl_put_shape_name(struct json_object *to, const char *name, size_t len);
/*
 * Checks that --slot and --id come together and without a name. false: they do not, and the user
 * was told.
 */
bool ctl_check_handle(const struct ctl_command *command, const char *name, const char *slot,
		      const char *id);

/* ---- listing.c ---- */

/*
 * A listing under way. The caller sets the first members and zeroes the rest, and must call
 * ctl_listing_end() also after a failure.
 */
struct ctl_listing {
	struct ctl *ctl;                /* borrowed, as the next one */
	const char *arena;              /* NULL: the first arena */
	struct ctl_bytes prefix;
	const char *state;              /* borrowed; NULL: published ones */
	uint64_t most;                  /* entries a page; 0: as many as it likes */
	char *cursor;                   /* owned */
	struct pma *pma;                /* owned; NULL: the administrators' socket is asked */
	struct pma_arena client_arena;
	uint64_t client_cursor;
	bool has_ended;
};

/*
 * Fetches the next entries: an array that the caller owns, or NULL at the end. CTL_DONE; else it
 * says why, and returns the status.
 */
int ctl_listing_next(struct json_object **page, struct ctl_listing *listing);
void ctl_listing_end(struct ctl_listing *listing);
/*
 * Makes, of what a client is told of an allocation, the shape that administrators get; what a
 * client is not told is null.
 */
struct json_object *ctl_shape_of(const struct pma_info *stat, const char *arena);
/* Finds an arena by its name, or the first one (@name NULL). 0 or -errno. */
int ctl_client_arena(struct pma_arena *arena, struct pma *pma, const char *name);

/* ---- withheld.c ---- */

/* Prints a line for each other host that may have free space mapped; most arenas have none. */
void ctl_show_withheld(const struct ctl *ctl, struct json_object *from, const char *indent);

/* ---- pages.c ---- */

/*
 * As ctl_call(), for a method that answers page by page, each with a "cursor" and an array @key:
 * *all has the rows of all pages. Takes over @params.
 */
int ctl_call_all(struct json_object **all, struct ctl *ctl, const char *method, const char *key,
		 struct json_object *params);
int ctl_call_all_quiet(struct json_object **all, int *code, struct ctl *ctl, const char *method,
		       const char *key, struct json_object *params);

/* ---- windows.c ---- */

/*
 * Shows the "windows" of an answer, if it has any; with @with_idle also those that pin nothing.
 */
void ctl_show_windows(const struct ctl *ctl, struct json_object *from, bool with_idle);

/* ---- owner.c ---- */

struct ctl_owner {
	bool has_uid, has_gid;
	/* without has_gid it is the user's own group */
	uint32_t uid, gid;
};
/* Reads USER, USER:GROUP or :GROUP. false: it is none, and that was said. */
bool ctl_read_owner(struct ctl_owner *owner, const char *text);

/* ---- target.c: an allocation that a command is about, as a client ---- */

/* Set the first members from the command line, and zero the rest. */
struct ctl_target {
	const char *arena, *slot, *id;  /* borrowed; NULL: not given */
	const char *text;               /* the name as it was typed; NULL: by slot and id */
	struct ctl_bytes name;
	struct pma *pma;                /* borrowed; valid while act() runs, as the next two */
	uint32_t index;
	struct pma_handle handle;
};
/* Checks what was given, and reads the name. false: it said what is wrong. */
bool ctl_target_read(struct ctl_target *target, const struct ctl_command *command);
/* Connects, finds the allocation, and does @act with it: 0 or -errno. Returns the status. */
int ctl_target_act(struct ctl *ctl, struct ctl_target *target,
		   int (*act)(const struct ctl_target *target, void *arg), void *arg);

/* ---- writer.c ---- */

struct ctl_writer {
	struct pma_mapping *map;        /* borrowed */
	char *data;
	uint64_t len, at, durable;
};
void ctl_writer_begin(struct ctl_writer *writer, struct pma_mapping *map, uint64_t len);
/* In order of @off. 0, -EPROTO it is not in order or beyond the end, or of pma_persist(). */
int ctl_writer_put(struct ctl_writer *writer, uint64_t off, const void *data, size_t len);
int ctl_writer_end(struct ctl_writer *writer);

/* ---- output.c ---- */

struct ctl_output {
	const char *path;               /* borrowed; "-" is standard output */
	char *beside;                   /* owned; NULL: it is written as it is */
	int fd;                         /* owned */
};
/* false: it said why. */
bool ctl_output_open(struct ctl_output *output, const char *path);
/* It takes its place if @is_complete, else it is gone. false: it is not there; it said why. */
bool ctl_output_end(struct ctl_output *output, bool is_complete);
/* From here on a bad page of @name ends the program with a sentence, and nothing half stays. */
void ctl_output_guard(const struct ctl_output *output, const char *name);

/* ---- suggest.c ---- */

/* What somebody may have meant who typed @typed. Zero the other members. */
struct ctl_suggestion {
	const char *typed, *best;       /* best NULL: nothing is near enough */
	size_t distance;
};
void ctl_suggest(struct ctl_suggestion *suggestion, const char *candidate);

/* ---- list_arenas.c ---- */

/* Writes into @text "online", or "online, drained", and the like. */
const char *ctl_arena_state(char text[CTL_TEXT], struct json_object *arena);

/* ---- stats.c ---- */

/* Writes into @text what the last start of an arena found: one line. */
char *ctl_last_start(char text[CTL_TEXT], struct json_object *start);

/* ---- timeout.c ---- */

/*
 * Reads a time as --timeout has it into *seconds. false: it is not a time, and *seconds means
 * nothing.
 */
bool ctl_timeout_parse(double *seconds, const char *text);
/*
 * Starts the timer: if the daemon does not answer within --timeout, or the patience of the command,
 * the program says so and ends.
 */
void ctl_await(const struct ctl *ctl);
/* Does this first when the time is over; it may do only what a handler of signals may. */
void ctl_before_timeout(void (*function)(void));
/* The answer is there: what the program does from here on may take as long as it takes. */
void ctl_await_no_more(void);

/* ---- daemon.c ---- */

/*
 * Runs the daemon's program in another mode than serving. What it prints goes into *out, which the
 * caller owns (NULL: nowhere). Returns its exit status, which is an enum ctl_status.
 */
int ctl_run_daemon(char **out, const char *const *argv);

/* ---- display.c ---- */

/* Returns the text of member @key; "-": it is null or absent. */
const char *ctl_get_string(struct json_object *from, const char *key);
uint64_t ctl_get_u64(struct json_object *from, const char *key);
bool ctl_get_bool(struct json_object *from, const char *key);
struct json_object *ctl_get(struct json_object *from, const char *key);
struct json_object *ctl_at(struct json_object *list, size_t i);

/* Parses "64G", "1.5T" or "4096". */
bool ctl_parse_size(uint64_t *out, const char *text);

/* Each of these writes into @text and returns it. */
const char *ctl_size(char text[CTL_TEXT], const struct ctl *ctl, uint64_t bytes);
const char *ctl_number(char text[CTL_TEXT], uint64_t number);
const char *ctl_duration(char text[CTL_TEXT], uint64_t ns);
/* Writes the name of an allocation so that it can be typed; "-": it has none. */
const char *ctl_name(char text[CTL_TEXT], struct json_object *shape);
/* Reads the bytes of an allocation's name; false: it has none. */
bool ctl_get_name(struct ctl_bytes *name, struct json_object *shape);
/* Writes a mode as "0640". */
const char *ctl_mode(char text[CTL_TEXT], uint64_t mode);
const char *ctl_time(char text[CTL_TEXT], uint64_t realtime_ns);

/* Tables. A column whose name begins with '>' is aligned to the right. */
struct ctl_table;
struct ctl_table *ctl_table_new(const char *const *columns);
void ctl_table_row(struct ctl_table *table);
void ctl_table_cell(struct ctl_table *table, const char *text);
void ctl_table_print(struct ctl_table *table);          /* Prints the table and frees it. */
/* Prints the rows so far; more may follow below them. */
void ctl_table_flush(struct ctl_table *table);
/* Prints one line of a list of properties. */
void ctl_line(const char *key, const char *value);

/*
 * lock_holder.c: finds the process, other than @except, that has a lock on @range ("FIRST LAST") of
 * @inode. 0: this user cannot tell.
 */
long ctl_find_lock_holder(const char *inode, const char *range, long except);
/* A mark, which is a lock of one byte on a device, and the process that has it. */
struct ctl_mark {
	char inode[64];
	uint64_t byte;
	long pid;
	unsigned nr;                    /* of the same descriptor: the daemon gives it one */
};
struct ctl_marks {
	struct ctl_mark *list;          /* owned */
	size_t nr, room;
};
void ctl_read_marks(struct ctl_marks *marks, long except);
/*
 * Returns the next process that has one of the two marks of a session which is over (an element of
 * @ended, from the method "sessions"); *i counts up from 0. NULL: there are no more.
 */
const struct ctl_mark *ctl_next_mark(size_t *i, const struct ctl_marks *marks,
				     struct json_object *ended);
/*
 * Does the mark belong to another user than the session did, or has its descriptor other sessions'
 * marks too? Then it is not the session's own.
 */
bool ctl_is_foreign(const struct ctl_mark *mark, struct json_object *ended);
void ctl_describe_process(char text[CTL_TEXT], long pid);

#endif
