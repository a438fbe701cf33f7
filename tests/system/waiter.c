/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * waiter NAME until-there|written|threads MILLISECONDS: waits for a name through the library and
 * prints the result, the id and the name. "threads": eight threads wait for names of their own on
 * one connection, while the main thread makes them.
 */
#include <config.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pmemarena.h>

#define NR_THREADS 8

static struct pma *pma;
static uint32_t timeout_ms;

static void *wait_for_own(void *arg)
{
	struct pma_info info;
	char name[16];

	snprintf(name, sizeof(name), "t%d", (int)(intptr_t)arg);
	if (pma_wait(&info, pma, 0, name, PMA_WAIT_UNTIL_THERE, timeout_ms) < 0) {
		printf("%s: %s\n", name, pma_message());
		return NULL;
	}
	return strcmp(info.name, name) == 0 ? pma : NULL;
}

static int run_threads(void)
{
	pthread_t threads[NR_THREADS];
	struct pma_handle handle;
	int nr_woke = 0;
	char name[16];
	void *result;

	for (int i = 0; i < NR_THREADS; i++) {
		if (pthread_create(&threads[i], NULL, wait_for_own, (void *)(intptr_t)i) != 0)
			return 1;
	}
	for (int i = NR_THREADS - 1; i >= 0; i--) {
		snprintf(name, sizeof(name), "t%d", i);
		if (pma_create(&handle, pma, name, 4096, 0) < 0) {
			printf("%s: %s\n", name, pma_message());
			return 1;
		}
	}
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], &result);
		nr_woke += result != NULL;
	}
	printf("%d threads woke\n", nr_woke);
	return 0;
}

int main(int argc, char **argv)
{
	struct pma_info info = { .handle.id = 0 };
	unsigned flags;
	int r;

	if (argc != 4 || pma_connect(&pma, NULL) < 0)
		return 1;
	timeout_ms = (uint32_t)strtoul(argv[3], NULL, 10);
	printf("waiting\n");
	fflush(stdout);
	if (strcmp(argv[2], "threads") == 0) {
		r = run_threads();
	} else {
		flags = strcmp(argv[2], "until-there") == 0 ? PMA_WAIT_UNTIL_THERE : 0;
		r = pma_wait(&info, pma, 0, argv[1], flags, timeout_ms);
		printf("%d %" PRIu64 " %s\n", r, info.handle.id, info.name);
		r = 0;
	}
	pma_disconnect(pma);
	return r;
}
