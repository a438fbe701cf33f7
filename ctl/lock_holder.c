/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lock_holder: finds the process that has a lock which the daemon met, and who has whose marks. The
 * daemon may not look into other processes; root, who runs this, may.
 */
#include <config.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"

/*
 * A search through the locks of all processes. @found is called for each lock that this user may
 * see.
 */
struct search {
	long except;
	/*
	 * Called for a lock of process @pid. @is_first: no lock of the same descriptor was told
	 * before. true: the search ends.
	 */
	bool (*found)(struct search *search, long pid, const char *line, bool is_first);
	const char *inode, *range;
	long pid;
	struct ctl_marks *marks;
};

/*
 * Reads one file of fdinfo, which has a line "lock:" for each lock of the descriptor's description.
 * The process may have closed the descriptor, or have ended, since it was listed: then there is
 * nothing to be found, and no failure.
 */
static bool search_descriptor(struct search *search, int dir, const char *name, long pid)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	bool is_enough = false, is_first = true;
	char line[256];
	FILE *f;

	f = fd < 0 ? NULL : fdopen(fd, "re");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!is_enough && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "lock:", 5) != 0)
			continue;
		is_enough = search->found(search, pid, line, is_first);
		is_first = false;
	}
	fclose(f);
	return is_enough;
}

/*
 * Looks at all descriptors of one process. An unprivileged user may not read those of another
 * user's process, which then counts as a process without locks.
 */
static bool search_process(struct search *search, const char *pid)
{
	struct dirent *entry;
	bool is_enough = false;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!is_enough && (entry = readdir(dir)))
		is_enough = entry->d_name[0] != '.' &&
			    search_descriptor(search, dirfd(dir), entry->d_name, atol(pid));
	closedir(dir);
	return is_enough;
}

/*
 * Looks at all processes. /proc/locks would be shorter, but for locks of descriptions (OFD) it does
 * not say whose they are.
 */
static void search_all(struct search *search)
{
	struct dirent *entry;
	bool is_enough = false;
	DIR *dir = opendir("/proc");

	if (!dir)
		return;
	while (!is_enough && (entry = readdir(dir)))
		is_enough = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			    atol(entry->d_name) != search->except &&
			    search_process(search, entry->d_name);
	closedir(dir);
}

/* ---- one lock ---- */

/*
 * Looks for a range in a line such as "lock: 1: OFDLCK ADVISORY READ -1 fe:00:1234
 * 4611686018427387904 6917529027641081855".
 */
static bool find_range(struct search *search, long pid, const char *line, bool is_first)
{
	char inode[64];
	size_t len = strlen(line), range_len = strlen(search->range);

	(void)is_first;
	if (sscanf(line, "lock: %*u: %*s %*s %*s %*d %63s", inode) != 1 ||
	    strcmp(inode, search->inode) != 0 || len < range_len ||
	    strcmp(line + len - range_len, search->range) != 0)
		return false;
	search->pid = pid;
	return true;
}

/*
 * Returns the first process that has the lock: a write lock has one holder only, and of several
 * readers one is enough to begin with.
 */
long ctl_find_lock_holder(const char *inode, const char *range, long except)
{
	struct search search = { .except = except, .found = find_range, .inode = inode,
				 .range = range };

	search_all(&search);
	return search.pid;
}

/* ---- marks ---- */

/* Returns room for one more mark, or NULL: the search ends then, and what was found is shown. */
static struct ctl_mark *add_mark(struct ctl_marks *marks)
{
	size_t room = marks->room ? marks->room * 2 : 64;
	struct ctl_mark *list = marks->list;

	if (marks->nr == marks->room) {
		list = reallocarray(list, room, sizeof(*list));
		if (!list)
			return NULL;
		marks->list = list;
		marks->room = room;
	}
	return &marks->list[marks->nr++];
}

/*
 * Notes a mark. All marks of one descriptor come one after the other, and each of them gets the
 * number of them all.
 */
static bool note_mark(struct search *search, long pid, const char *line, bool is_first)
{
	struct ctl_mark found = { .pid = pid, .nr = 1 }, *to;
	uint64_t last;

	if (sscanf(line, "lock: %*u: OFDLCK %*s READ %*d %63s %" SCNu64 " %" SCNu64, found.inode,
		   &found.byte, &last) != 3 || found.byte != last)
		return false;
	if (!is_first && search->marks->nr && search->marks->list[search->marks->nr - 1].pid == pid)
		found.nr = search->marks->list[search->marks->nr - 1].nr + 1;
	to = add_mark(search->marks);
	if (!to)
		return true;
	*to = found;
	for (unsigned i = 1; i < found.nr; i++)
		to[-(long)i].nr = found.nr;
	return false;
}

/*
 * One walk through all processes serves for all sessions that are over; a walk for each of them
 * would take minutes on a large host.
 */
void ctl_read_marks(struct ctl_marks *marks, long except)
{
	struct search search = { .except = except, .found = note_mark, .marks = marks };

	search_all(&search);
}

/*
 * A session has two marks, one for each mode of its descriptors: the byte that the daemon names is
 * that of the writable ones, and the next one is that of the read-only ones.
 */
const struct ctl_mark *ctl_next_mark(size_t *i, const struct ctl_marks *marks,
				     struct json_object *ended)
{
	uint64_t byte = ctl_get_u64(ended, "mark");
	const char *inode = ctl_get_string(ended, "inode");

	while (*i < marks->nr) {
		const struct ctl_mark *mark = &marks->list[(*i)++];

		if ((mark->byte == byte || mark->byte == byte + 1) &&
		    strcmp(mark->inode, inode) == 0)
			return mark;
	}
	return NULL;
}

/*
 * Is the mark not the session's own? The daemon puts one mark on each description that it gives to
 * a session. So a description with several marks has locks that its process took itself, and so has
 * one of another user's process.
 */
bool ctl_is_foreign(const struct ctl_mark *mark, struct json_object *ended)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%ld", mark->pid);
	return mark->nr > 1 || (stat(path, &st) == 0 && st.st_uid != ctl_get_u64(ended, "uid"));
}

/* A process chooses its own name: bytes that could steer a terminal are not shown. */
void ctl_describe_process(char text[CTL_TEXT], long pid)
{
	char path[64], name[32] = "";
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(name, sizeof(name), f))
			name[0] = '\0';
		fclose(f);
	}
	name[strcspn(name, "\n")] = '\0';
	for (char *c = name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	snprintf(path, sizeof(path), "/proc/%ld", pid);
	if (stat(path, &st) == 0)
		snprintf(text, CTL_TEXT, "process %ld (%s, uid %u)", pid, name, st.st_uid);
	else
		snprintf(text, CTL_TEXT, "process %ld, which just ended", pid);
}
