/* SPDX-License-Identifier: BSD-3-Clause */
/* config_line: finds out what libinih will make of a line, before it gets the line. */
#include <config.h>

#include "daemon/config/config_line.h"

#include <ctype.h>
#include <string.h>

void config_line_trim(char *line, bool is_first)
{
	char *start = line;

	if (is_first && strncmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3;
	start += strspn(start, " \t\r\n\f\v");
	memmove(line, start, strlen(start) + 1);
}

bool config_line_is_pair(const char *line)
{
	if (*line == '\0' || *line == ';' || *line == '#')
		return true;
	for (const char *p = line; *p; p++) {
		if (*p == '=' || *p == ':')
			return true;
		if (*p == ';' && p > line && isspace((unsigned char)p[-1]))
			return false;
	}
	return false;
}
