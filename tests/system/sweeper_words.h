/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper_words: what the sentence of a call that failed must say, and must not.
 */
#ifndef PMEMARENA_SWEEPER_WORDS_H
#define PMEMARENA_SWEEPER_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is there a flaw in @text, the sentence of a call of the library, in which the call @call of the
 * system or of malloc() had failed with @error? Writes it into @flaw.
 */
bool words_flaw(char *flaw, size_t size, const char *text, int error, const char *call);

#endif
