/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process: a page that the kernel wipes in a child (MADV_WIPEONFORK) holds the token, so that reading a word tells parent
 * from child, however the child was made. The count of forks is for mappings, where a fork by anything but libc's
 * fork() cannot be seen by the parent: the manual says so.
 */
#include <config.h>

#include "lib/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE 4096

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t *page;          /* 0 in a process that has no token yet */
static uint32_t nr_tokens;              /* inherited, not wiped: a child takes the next one. Under lock */
static _Atomic uint32_t nr_forks;

static void prepare_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void parent_forked(void)
{
	atomic_fetch_add(&nr_forks, 1);
	pthread_mutex_unlock(&lock);
}

static void child_forked(void)
{
	pthread_mutex_unlock(&lock);
}

static void init(void)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	if (madvise(memory, PAGE, MADV_WIPEONFORK) < 0 || pthread_atfork(prepare_fork, parent_forked, child_forked) != 0) {
		munmap(memory, PAGE);
		return;
	}
	page = memory;
}

uint32_t process_token(void)
{
	uint32_t token;

	pthread_once(&once, init);
	if (!page)
		return 0;
	pthread_mutex_lock(&lock);
	token = atomic_load(page);
	if (token == 0) {
		token = ++nr_tokens;
		atomic_store(page, token);
	}
	pthread_mutex_unlock(&lock);
	return token;
}

bool process_is(uint32_t token)
{
	return atomic_load_explicit(page, memory_order_relaxed) == token;
}

uint32_t process_forks(void)
{
	return atomic_load(&nr_forks);
}
