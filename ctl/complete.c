/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complete: what a shell offers for a word that was begun. Other users choose names, so a name may
 * hold anything: the shell gets each as one line, quoted so that it means itself, and must insert
 * that line as it is. So the script of the shell needs no quoting of its own and never evaluates a
 * name.
 *
 * A character that means something inside quotes, a quote included, is written as \xHH, which every
 * command reads.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "lib/wire/escape.h"

/*
 * The most names that are offered: nobody reads more, and a shell that gets 100,000 takes seconds.
 */
#define OFFERED_MAX 1000
#define WORD_MAX_BYTES 4096

static const char help[] =
	"WHAT is names or arenas, WORD the word as it stands in the command line so far, with its "
	"quotes.\n"
	"\n"
	"      --arena NAME          whose names: by name or UUID; default: the first\n"
	"      --breaks CHARACTERS   at which the shell begins a word anew ($COMP_WORDBREAKS); it "
	"is offered what follows the last\n"
	"\n"
	"Each line is to be inserted as it is. There are at most 1000, in the order of names; "
	"where there are more, the last is one blank, which has no\n"
	"beginning in common with any.\n";

/* The word that was begun, without its quotes. */
struct word {
	char   text[WORD_MAX_BYTES];
	size_t len;
	size_t at;                      /* where the part begins that the shell will replace */
	char   quote;                   /* the quote that is still open; NUL: none is */
};

/*
 * Is @c one of @characters? The test for NUL comes first, since strchr() would find the NUL at
 * their end.
 */
static bool is_in(const char *characters, char c)
{
	return c && strchr(characters, c);
}

/* Appends one character. unquote() has checked that all of the word fits. */
static void take(struct word *word, char c)
{
	word->text[word->len++] = c;
}

/*
 * Takes the quotes off a word, as a shell would. Variables and commands are left as they are
 * written.
 */
static bool unquote(struct word *word, const char *raw, const char *breaks)
{
	if (strlen(raw) >= sizeof(word->text))
		return false;
	for (; *raw; raw++) {
		if (word->quote && *raw == word->quote) {
			word->quote = '\0';
		} else if (!word->quote && is_in("'\"", *raw)) {
			word->quote = *raw;
			word->at = word->len;
		} else if (*raw == '\\' && raw[1] &&
			   (!word->quote || (word->quote == '"' && is_in("$`\"\\", raw[1])))) {
			take(word, *++raw);
		} else {
			take(word, *raw);
			if (!word->quote && is_in(breaks, *raw))
				word->at = word->len;
		}
	}
	word->text[word->len] = '\0';
	return true;
}

/* Cuts an escape (\x4) off the end that is not complete yet: no name can be compared with it. */
static void cut_begun_escape(char *text)
{
	size_t len = strlen(text), from = len > 3 ? len - 3 : 0;
	char *at = strchr(text + from, '\\');
	size_t nr = 0;

	for (size_t i = 0; i < len && text[len - 1 - i] == '\\'; i++)
		nr++;
	if (nr % 2 == 1)
		text[len - 1] = '\0';
	else if (nr == 0 && at && at[1] == 'x')
		*at = '\0';
}

/* Is it a character that means nothing to a shell inside quotes, nor to its history? */
static bool shows_in_quotes(uint32_t code)
{
	if (code < 0x80)
		return escape_shows_ascii(code) && !strchr("'\"\\`$!", (int)code);
	return ctl_shows(code);
}

/*
 * Does the text need quotes in the shell? Letters, digits and a few signs mean themselves in every
 * shell, and so do bytes beyond ASCII; all else is quoted.
 */
static bool needs_quotes(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x80 && !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
							   "NOPQRSTUVWXYZ0123456789/._-+,%^",
							   *text))
			return true;
	}
	return false;
}

/*
 * What will be printed. It is gathered first, since one name that needs quotes puts all of them
 * into quotes.
 */
struct offers {
	char  *lines[OFFERED_MAX];      /* owned */
	size_t nr;
	bool   need_quotes, has_more;
};

/* Adds a name that begins like the word. Returns false when there are enough. */
static bool offer(struct offers *offers, const struct word *word, const char *name, size_t len)
{
	char text[CTL_TEXT];

	escape_name(text, sizeof(text), name, len, shows_in_quotes);
	if (strncmp(text, word->text, word->len) != 0)
		return true;
	if (offers->nr == OFFERED_MAX) {
		offers->has_more = true;
		return false;
	}
	offers->lines[offers->nr] = strdup(text + word->at);
	if (!offers->lines[offers->nr])
		return false;
	offers->need_quotes |= needs_quotes(offers->lines[offers->nr++]);
	return true;
}

/*
 * Prints all names in the same quotes, or all without: the shell inserts what they have in common
 * at once, and with quotes around only some of them they would have nothing in common.
 */
static void print(const struct offers *offers, const struct word *word)
{
	const char *quote = offers->need_quotes && !word->quote ? "'" : "";

	for (size_t i = 0; i < offers->nr; i++)
		printf("%s%s%s\n", quote, offers->lines[i], quote);
	if (offers->has_more)
		puts(" ");
}

/*
 * Asks for names that begin like the word, one more than are offered, so that it can be told
 * whether there are more. A word that cannot begin a name has no offers; that is no failure, and
 * nothing is printed into the command line that is being typed.
 */
static int offer_names(struct offers *offers, struct ctl *ctl, const struct word *word,
		       const char *arena)
{
	struct ctl_listing listing = { .ctl = ctl, .arena = arena, .most = OFFERED_MAX + 1 };
	struct json_object *page;
	struct ctl_bytes name;
	char begun[WORD_MAX_BYTES];
	bool goes_on = true;
	int status = CTL_DONE;

	memcpy(begun, word->text, word->len + 1);
	cut_begun_escape(begun);
	if (escape_read(listing.prefix.bytes, sizeof(listing.prefix.bytes), &listing.prefix.len,
			begun) < 0)
		return CTL_DONE;
	while (goes_on && (status = ctl_listing_next(&page, &listing)) == CTL_DONE && page) {
		for (size_t i = 0; goes_on && i < json_object_array_length(page); i++) {
			if (ctl_get_name(&name, ctl_at(page, i)))
				goes_on = offer(offers, word, name.bytes, name.len);
		}
		json_object_put(page);
	}
	ctl_listing_end(&listing);
	return status;
}

/*
 * Offers the names of arenas; there are few, so all are asked for. Without the administrators'
 * socket none is offered and nothing is said: a message would land in the command line that is
 * being typed.
 */
static int offer_arenas(struct offers *offers, struct ctl *ctl, const struct word *word)
{
	struct json_object *result, *arenas;
	int code;

	if (ctl_call_quiet(&result, &code, ctl, "list-arenas", NULL) < 0)
		return CTL_NO_DAEMON;
	arenas = ctl_get(result, "arenas");
	for (size_t i = 0; i < json_object_array_length(arenas); i++) {
		const char *name = ctl_get_string(ctl_at(arenas, i), "name");

		offer(offers, word, name, strlen(name));
	}
	json_object_put(result);
	return CTL_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *arena = NULL, *breaks = "";
	const struct ctl_option options[] = { { "arena", &arena, NULL },
					      { "breaks", &breaks, NULL },
					      { NULL, NULL, NULL } };
	struct offers offers = { .nr = 0 };
	struct word word = { .len = 0 };
	int status;

	if (!ctl_begin(&status, ctl, &ctl_complete, argc, argv, options, 1, 2))
		return status;
	if (strcmp(argv[1], "names") != 0 && strcmp(argv[1], "arenas") != 0)
		return ctl_usage(&ctl_complete, "there are names and arenas to be offered");
	if (!unquote(&word, argv[2] ? argv[2] : "", breaks))
		return CTL_DONE;
	status = argv[1][0] == 'n' ? offer_names(&offers, ctl, &word, arena)
				   : offer_arenas(&offers, ctl, &word);
	print(&offers, &word);
	for (size_t i = 0; i < offers.nr; i++)
		free(offers.lines[i]);
	return status;
}

const struct ctl_command ctl_complete = { "complete", "names|arenas [WORD] [--arena NAME]",
					  "Print what a shell may offer for a word that was begun",
					  help, run };
