/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_list: reads a list of users and groups. It knows no section, file or line, and not what
 * the list allows.
 */
#include <config.h>

#include "daemon/config/config_list.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS " ,"
#define WORD_MAX   64                           /* CONFIG_NAME_MAX: a name with its NUL */

/* ---- names ---- */

/* UINT32_MAX is not taken for an id: it means nobody to chown(2), and everybody to the quotas. */
static int parse_id(uint32_t *id, const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*end || value >= UINT32_MAX)
		return -EINVAL;
	*id = (uint32_t)value;
	return 0;
}

int config_find_uid(uint32_t *uid, const char *name)
{
	struct passwd *user;

	if (isdigit((unsigned char)name[0]))
		return parse_id(uid, name);
	user = getpwnam(name);
	if (!user)
		return -ENOENT;
	*uid = user->pw_uid;
	return 0;
}

int config_find_gid(uint32_t *gid, const char *name)
{
	struct group *group;

	if (isdigit((unsigned char)name[0]))
		return parse_id(gid, name);
	group = getgrnam(name);
	if (!group)
		return -ENOENT;
	*gid = group->gr_gid;
	return 0;
}

/* ---- words of a list ---- */

/* Says what is wrong with a name that was not found, or with a number. */
static int complain(int r, bool is_group, const char *name, struct why *why)
{
	if (r == -EINVAL)
		return why_set(why, r, "\"%s\" is not a %s", name, is_group ? "gid" : "uid");
	return why_set(why, -EINVAL,
		       "there is no %s \"%s\"; expected names or numbers of %s, * for everyone who "
		       "may connect, or - for nobody",
		       is_group ? "group" : "user", name, is_group ? "groups" : "users");
}

static int take_word(struct config_list *list, enum config_list_of of, const char *word,
		     struct why *why)
{
	bool has_at = word[0] == '@', is_group = has_at || of == CONFIG_LIST_GROUPS;
	const char *name = word + has_at;
	int r;

	if (has_at && of == CONFIG_LIST_USERS)
		return why_set(why, -EINVAL, "\"%s\" is a group: write groups = %s", word, name);
	if (has_at && of == CONFIG_LIST_GROUPS)
		return why_set(why, -EINVAL, "\"%s\": all that stand here are groups; write %s",
			       word, name);
	if (strcmp(word, "*") == 0 || strcmp(word, "-") == 0)
		return why_set(why, -EINVAL, "\"%s\" (%s) stands alone or not at all", word,
			       word[0] == '*' ? "everyone" : "nobody");
	r = is_group ? config_find_gid(&list->ids[list->nr], name)
		     : config_find_uid(&list->ids[list->nr], name);
	if (r < 0)
		return complain(r, is_group, name, why);
	list->is_group[list->nr++] = is_group;
	return 0;
}

static int take_words(struct config_list *list, enum config_list_of of, const char *text,
		      struct why *why)
{
	char word[WORD_MAX];

	for (const char *at = text + strspn(text, SEPARATORS); *at; at += strspn(at, SEPARATORS)) {
		size_t len = strcspn(at, SEPARATORS);
		int r;

		if (len >= sizeof(word))
			return why_set(why, -EINVAL, "\"%.*s\" is longer than a name can be",
				       (int)len, at);
		memcpy(word, at, len);
		word[len] = '\0';
		r = take_word(list, of, word, why);
		if (r < 0)
			return r;
		at += len;
	}
	return list->nr > 0 ? 0
			    : why_set(why, -EINVAL,
				      "\"%s\" names nobody; if that is meant, write -", text);
}

/*
 * Cuts blanks off the beginning (of *text) and the end (of the length it returns): a file would not
 * give them back.
 */
static size_t trim(const char **text)
{
	size_t len;

	*text += strspn(*text, " ");
	len = strlen(*text);
	while (len > 0 && (*text)[len - 1] == ' ')
		len--;
	return len;
}

int config_list_parse(struct config_list *list, enum config_list_of of, const char *text,
		      struct why *why)
{
	bool is_written = text[0] != '\0';
	struct config_list read;
	size_t len = trim(&text);
	int r = 0;

	memset(&read, 0, sizeof(read));
	if (len >= sizeof(read.text))
		return why_set(
			why, -EINVAL,
			"the value is longer than %d bytes; make a group of them, and name that",
			CONFIG_LIST_TEXT - 1);
	memcpy(read.text, text, len);
	read.is_everyone = strcmp(read.text, "*") == 0;
	if (is_written && !read.is_everyone && strcmp(read.text, "-") != 0)
		r = take_words(&read, of, read.text, why);
	if (r == 0)
		memcpy(list, &read, sizeof(read));
	return r;
}
