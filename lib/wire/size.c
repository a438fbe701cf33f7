/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * size: reads and writes numbers of bytes as people write them. The functions depend on their
 * arguments alone: no locale, no errno, no allocation.
 */
#include <config.h>

#include "lib/wire/size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGTPE";

static int digit_value(char c, unsigned int base)
{
	int value = isdigit((unsigned char)c)	 ? c - '0'
		    : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
						 : 99;

	return value < (int)base ? value : -1;
}

/*
 * Reads digits of @base at *text and moves *text behind the last one. -EINVAL: no digit is there;
 * -ERANGE: the number needs more than 64 bits. *out is written on success only.
 */
static int parse_whole(uint64_t *out, const char **text, unsigned int base)
{
	const char *p = *text;
	uint64_t value = 0;

	if (digit_value(*p, base) < 0)
		return -EINVAL;
	for (; digit_value(*p, base) >= 0; p++) {
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(*p, base), &value))
			return -ERANGE;
	}
	*out = value;
	*text = p;
	return 0;
}

/*
 * Reads a unit ("", "B", "K", "KB", "KiB", ...) that must end the text. *shift becomes its power of
 * two: 10 for K, 20 for M. -EINVAL: this is no unit.
 */
static int parse_unit(unsigned int *shift, const char *text)
{
	const char *unit;

	while (isspace((unsigned char)*text))
		text++;
	*shift = 0;
	if (*text == '\0' || strcasecmp(text, "B") == 0)
		return 0;
	unit = strchr(units, toupper((unsigned char)*text));
	if (!unit)
		return -EINVAL;
	*shift = 10 * (unsigned int)(unit - units + 1);
	text++;
	return *text == '\0' || strcasecmp(text, "B") == 0 || strcasecmp(text, "iB") == 0 ? 0
											  : -EINVAL;
}

/*
 * Converts a decimal fraction (the digits after the point) of a unit of 2^@shift bytes into bytes.
 * -EINVAL: the result is not a whole number of bytes, or there are no digits, or more than twelve.
 * Twelve are more than anybody writes; with more, the product would overflow 128 bits.
 */
static int parse_fraction(uint64_t *out, const char *digits, int nr_digits, unsigned int shift)
{
	unsigned __int128 value = 0, scale = 1;

	if (nr_digits == 0 || nr_digits > 12)
		return -EINVAL;
	for (int i = 0; i < nr_digits; i++) {
		value = value * 10 + (unsigned int)(digits[i] - '0');
		scale *= 10;
	}
	value <<= shift;
	if (value % scale)
		return -EINVAL;
	*out = (uint64_t)(value / scale);
	return 0;
}

static int combine(uint64_t *out, uint64_t whole, unsigned int shift, uint64_t fraction)
{
	if (whole > UINT64_MAX >> shift)
		return -ERANGE;
	/* @fraction is less than one unit, so this sum cannot overflow. */
	*out = (whole << shift) + fraction;
	return 0;
}

int size_parse(uint64_t *out, const char *text)
{
	const char *fraction_text = NULL;
	uint64_t whole, fraction = 0;
	unsigned int shift;
	int nr_digits = 0, r;
	bool is_hex;

	while (isspace((unsigned char)*text))
		text++;
	is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	if (is_hex)
		text += 2;
	r = parse_whole(&whole, &text, is_hex ? 16 : 10);
	if (r < 0)
		return r;
	if (*text == '.' && !is_hex) {
		fraction_text = ++text;
		for (; isdigit((unsigned char)*text); text++)
			nr_digits++;
	}
	r = parse_unit(&shift, text);
	if (r < 0)
		return r;
	if (fraction_text) {
		r = parse_fraction(&fraction, fraction_text, nr_digits, shift);
		if (r < 0)
			return r;
	}
	return combine(out, whole, shift, fraction);
}

/* With at most three decimals, a fraction of a binary unit can only be a multiple of one eighth. */
static const char *const eighths[] = { "", ".125", ".25", ".375", ".5", ".625", ".75", ".875" };

const char *size_text(char buf[SIZE_TEXT_MAX], uint64_t size)
{
	for (int i = 5; i >= 0; i--) {
		uint64_t unit = 1ULL << (10 * (i + 1)), eighth = unit / 8;

		if (size >= unit && size % eighth == 0) {
			snprintf(buf, SIZE_TEXT_MAX, "%" PRIu64 "%s%c", size / unit,
				 eighths[size % unit / eighth], units[i]);
			return buf;
		}
	}
	snprintf(buf, SIZE_TEXT_MAX, "%" PRIu64, size);
	return buf;
}
