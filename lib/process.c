/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process: a page that the kernel wipes in a child (MADV_WIPEONFORK) holds the number, so that
 * reading a word tells parent from child, however the child was made.
 */
#include <config.h>

#include "lib/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "lib/error.h"

#define PAGE 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t *page;          /* 0 in a process that has no number yet */
/* A child inherits it and takes the next number. Under lock. */
static uint32_t nr_numbers;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/* Makes the page; with the lock. If it fails, the next caller tries again. */
static int make_page(void)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = 0;

	if (memory == MAP_FAILED)
		return error_map(-errno, PAGE);
	if (madvise(memory, PAGE, MADV_WIPEONFORK) < 0)
		r = error_set(-errno,
			      "the kernel does not tell a child of fork() from its parent "
			      "(madvise(MADV_WIPEONFORK), since Linux 4.14): %s",
			      error_text(-errno));
	else if (pthread_atfork(before_fork, after_fork, after_fork) != 0)
		r = error_memory();
	if (r == 0)
		page = memory;
	else
		munmap(memory, PAGE);
	return r;
}

int process_init(void)
{
	int r;

	pthread_mutex_lock(&lock);
	r = page ? 0 : make_page();
	pthread_mutex_unlock(&lock);
	return r;
}

uint32_t process_number(void)
{
	uint32_t number;

	pthread_mutex_lock(&lock);
	number = atomic_load(page);
	if (number == 0) {
		number = ++nr_numbers;
		atomic_store(page, number);
	}
	pthread_mutex_unlock(&lock);
	return number;
}

bool process_is(uint32_t number)
{
	return atomic_load_explicit(page, memory_order_relaxed) == number;
}
