/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explore: power cuts at every fence of every kind of history, in every state that they may leave,
 * for a given time. Each scenario runs in a process of its own, so that one that dies is a failure
 * and not the end.
 */
#include <config.h>

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/scenario.h"

#define MAX_JOBS 16

struct campaign {
	struct scenario_params params;  /* of the next scenario */
	double   seconds;
	uint64_t nr;                    /* scenarios, at most */
	unsigned nr_jobs;
	bool     one;                   /* in this very process */
	pid_t    pids[MAX_JOBS];
	struct tally *tallies;          /* shared; one a job */
};

static const char usage[] =
	"usage: explore [--seconds N] [--seed N] [--scenarios N] [--jobs N] [--bound N] [--sample "
	"N] [--again N] [--stop]\n"
	"               [--flavour NAME] [--what NAME] [--number N [--state "
	"POINT:STATE[/POINT:STATE]] [--print]]\n"
	"  --seconds    for how long (75)                --bound     every subset when there are "
	"no more (256)\n"
	"  --number     only this scenario               --sample    so many beyond, or torn (24)\n"
	"  --state      only this state of it            --again     one recovery in so many is "
	"cut, too (96); 0 none\n"
	"  --print      the history's steps              --stop      at the first failure\n";

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void parse(struct campaign *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", 1, NULL, 't' },   { "seed", 1, NULL, 's' },
		{ "scenarios", 1, NULL, 'c' }, { "jobs", 1, NULL, 'j' },
		{ "bound", 1, NULL, 'b' },     { "sample", 1, NULL, 'm' },
		{ "again", 1, NULL, 'a' },     { "stop", 0, NULL, 'x' },
		{ "flavour", 1, NULL, 'f' },   { "what", 1, NULL, 'w' },
		{ "number", 1, NULL, 'n' },    { "state", 1, NULL, 'o' },
		{ "print", 0, NULL, 'p' },     { 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 't': c->seconds = strtod(optarg, NULL); break;
		case 's': c->params.seed = strtoull(optarg, NULL, 0); break;
		case 'c': c->nr = strtoull(optarg, NULL, 0); break;
		case 'j': c->nr_jobs = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'b': c->params.bound = strtoull(optarg, NULL, 0); break;
		case 'm': c->params.sample = strtoull(optarg, NULL, 0); break;
		case 'a': c->params.again = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'x': c->params.stop = true; break;
		case 'f': c->params.flavour = optarg; break;
		case 'w': c->params.what = optarg; break;
		case 'n': c->params.number = strtoull(optarg, NULL, 0); c->one = true; break;
		case 'o': c->params.only = optarg; break;
		case 'p': c->params.print = true; break;
		default:  fputs(usage, stderr); exit(64);
		}
	}
	if (c->nr_jobs == 0 || c->nr_jobs > MAX_JOBS)
		errx(64, "1 to %d jobs", MAX_JOBS);
}

/* Killed daemons leave their descriptors behind. */
static void raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

__attribute__((noreturn))
static void work(struct campaign *c)
{
	int status = scenario_run(&c->params) ? 1 : 0;

	fflush(NULL);
	if (c->params.tally->leaks)             /* on purpose: not for a leak checker to see */
		_exit(status);
	exit(status);
}

static void start(struct campaign *c, unsigned job)
{
	c->params.tally = &c->tallies[job];
	fflush(NULL);
	c->pids[job] = fork();
	if (c->pids[job] < 0)
		err(2, "fork");
	if (c->pids[job] == 0)
		work(c);
	c->params.number++;
}

/* One that died says nothing itself. */
static void finish(struct campaign *c, unsigned job, int status)
{
	struct tally *tally = &c->tallies[job];

	c->pids[job] = 0;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1))
		return;
	tally->failures++;
	fprintf(stderr, "FAILED: died with status %#x\n  %s\n", (unsigned)status, tally->where);
}

static unsigned wait_for_one(struct campaign *c)
{
	int status;
	pid_t pid = wait(&status);

	if (pid < 0)
		err(2, "wait");
	for (unsigned job = 0; job < c->nr_jobs; job++) {
		if (c->pids[job] != pid)
			continue;
		finish(c, job, status);
		return job;
	}
	return 0;
}

static uint64_t nr_failures(const struct campaign *c)
{
	uint64_t nr = 0;

	for (unsigned job = 0; job < c->nr_jobs; job++)
		nr += c->tallies[job].failures;
	return nr;
}

static void run(struct campaign *c)
{
	double end = now_s() + c->seconds;
	unsigned running = 0, job = 0;

	for (;;) {
		bool more = c->params.number < c->nr && now_s() < end &&
			    !(c->params.stop && nr_failures(c));

		while (more && job < c->nr_jobs && c->pids[job])
			job++;
		if (more && job < c->nr_jobs) {
			start(c, job);
			running++;
			continue;
		}
		if (running == 0)
			return;
		job = wait_for_one(c);
		running--;
	}
}

static void report(const struct campaign *c, double seconds)
{
	unsigned long long histories = 0, points = 0, states = 0, again = 0;

	for (unsigned job = 0; job < c->nr_jobs; job++) {
		histories += c->tallies[job].histories;
		points += c->tallies[job].points;
		states += c->tallies[job].states;
		again += c->tallies[job].again;
	}
	printf("FIGURE crash: %llu scenarios, %llu points, %llu states, %llu of them in "
	       "recoveries, %llu failures, %.0f s, seed %llu\n",
	       histories, points, states + again, again, (unsigned long long)nr_failures(c),
	       seconds, (unsigned long long)c->params.seed);
}

int main(int argc, char **argv)
{
	struct campaign c = {
		.params = { .seed = 1, .bound = 256, .sample = 24, .again = 96 },
		.seconds = 75,
		.nr = UINT64_MAX,
		.nr_jobs = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1,
	};
	double began = now_s();

	parse(&c, argc, argv);
	raise_nofile();
	c.tallies = mmap(NULL, MAX_JOBS * sizeof(*c.tallies), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c.tallies == MAP_FAILED)
		err(2, "mmap");
	c.params.tally = &c.tallies[0];
	if (c.one)
		scenario_run(&c.params);
	else
		run(&c);
	report(&c, now_s() - began);
	return nr_failures(&c) ? 1 : 0;
}
