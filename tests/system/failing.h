/* SPDX-License-Identifier: BSD-3-Clause */
/* Which call fails is decided in failing.c; which calls there are is said in failing_wraps.c. */
#ifndef PMEMARENA_FAILING_H
#define PMEMARENA_FAILING_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* failing.py has the same */
enum kind {
	MEMORY = 1, MAPPING = 2, DESCRIPTOR = 4, DISK = 8, SOCKET = 16, LOCK = 32, THREAD = 64, TRANSFER = 128,
	EVENT = 256, MAP_CHANGE = 512
};

/* 0: it is done; else the error to fail with, one of the @nr @errors. */
__attribute__((visibility("hidden")))
int strikes(const char *name, enum kind kind, const int *errors, uint32_t nr, const void *caller);

/* The function of this name that the program would have called without this library. */
__attribute__((visibility("hidden")))
void *next_of(const char *name);

#define STRIKES(name, kind, ...)								\
	strikes(name, kind, (const int[]){ __VA_ARGS__ }, sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int),	\
		__builtin_return_address(0))

/* The address of a function as the next one of its type: C knows no cast from one to the other. */
#define NEXT(pointer, name)				\
	do {						\
		if (!(pointer)) {			\
			void *found_ = next_of(name);	\
			memcpy(&(pointer), &found_, sizeof(pointer)); \
		}					\
	} while (0)

#define FAILING(type, name, params, args, failure, kind, ...)		\
	type name params;						\
	type name params						\
	{								\
		static type (*next) params;				\
		int error = STRIKES(#name, kind, __VA_ARGS__);		\
									\
		NEXT(next, #name);					\
		if (error) {						\
			errno = error;					\
			return failure;					\
		}							\
		return next args;					\
	}

/* The error is what they return. */
#define FAILING_RETURN(type, name, params, args, kind, ...)		\
	type name params;						\
	type name params						\
	{								\
		static type (*next) params;				\
		int error = STRIKES(#name, kind, __VA_ARGS__);		\
									\
		NEXT(next, #name);					\
		return error ? error : next args;			\
	}

#endif
