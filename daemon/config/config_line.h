/* SPDX-License-Identifier: BSD-3-Clause */
/* config_line: what libinih will make of one line of a file. */
#ifndef PMEMARENA_CONFIG_LINE_H
#define PMEMARENA_CONFIG_LINE_H

#include <stdbool.h>

/*
 * Cuts off the blanks at the beginning, and of the @is_first line the mark of UTF-8. libinih would
 * take an indented line for one more value of the key above it.
 */
void config_line_trim(char *line, bool is_first);
/*
 * Will libinih take the line for a pair, or for nothing? A comment begins the line or follows a
 * blank; "=" or ":" stands before it. libinih itself would pass over any other line, or stop there
 * without a word of why.
 */
bool config_line_is_pair(const char *line);

#endif
