/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-extent: two questions about free space. Does best fit keep it together? The same stream of
 * requests is served by three policies, and what is left of the largest range is compared: best fit
 * (ours), worst fit (the same map, always from its largest range) and first fit by address (a
 * segment tree of its own, so that it is fast enough to be a fair peer). And what does a claim cost
 * when free space is in a million pieces?
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench-extent-first-fit.h"
#include "daemon/space/extent.h"

#define ARENA_UNITS (UINT64_C(1) << 19)         /* 1 TiB of 2 MiB pages */
#define MAX_LIVE    ARENA_UNITS

struct options {
	uint64_t nr_ops, nr_extents, seed;
	unsigned fill;                          /* percent of the arena that is in use */
	bool json;
};

static uint64_t random_state;

/* splitmix64: the same stream on every machine. */
static uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void die(const char *what, int r)
{
	fprintf(stderr, "bench-extent: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void *allocate(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		die("out of memory", -ENOMEM);
	return p;
}

/* ---- policies ---- */

static struct extent_map *map;

struct policy {
	const char *name;
	int (*claim)(struct extent *out, uint64_t len);
	void (*release)(struct extent range);
	uint64_t (*largest)(void);
};

static int best_claim(struct extent *out, uint64_t len)
{
	return extent_claim(out, map, len);
}

static int worst_claim(struct extent *out, uint64_t len)
{
	return extent_largest(map) < len ? -ENOSPC : extent_claim_largest(out, map, len);
}

static void map_release(struct extent range)
{
	int r = extent_release(map, range, NULL);

	if (r < 0)
		die("release", r);
}

static uint64_t map_largest(void)
{
	return extent_largest(map);
}

static const struct policy policies[] = {
	{ "best-fit", best_claim, map_release, map_largest },
	{ "first-fit", first_fit_claim, first_fit_release, first_fit_largest },
	{ "worst-fit", worst_claim, map_release, map_largest },
};
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

/* ---- the stream of requests ---- */

struct outcome {
	const char *policy;
	uint64_t nr_claims, nr_releases;
	uint64_t nr_refused;                    /* although that much was free, in pieces */
	/* 1 - largest / free, over the second half */
	double fragmentation_mean, fragmentation_worst;
	double   largest_mean;                  /* units */
	double   ns_per_op;
};

static struct extent *live;
static uint64_t nr_live, nr_used;

/* 1 unit to 8 GiB, each size of the logarithm as likely: many small and a few large ones. */
static uint64_t random_len(void)
{
	unsigned shift = (unsigned)(next_random() % 13);

	return (UINT64_C(1) << shift) + next_random() % (UINT64_C(1) << shift);
}

static void release_one(const struct policy *policy)
{
	uint64_t i = next_random() % nr_live;

	policy->release(live[i]);
	nr_used -= live[i].len;
	live[i] = live[--nr_live];
}

static void claim_one(const struct policy *policy, struct outcome *outcome)
{
	uint64_t len = random_len();
	struct extent got;

	if (len > ARENA_UNITS - nr_used)
		return;
	if (policy->claim(&got, len) < 0) {
		outcome->nr_refused++;
		return;
	}
	outcome->nr_claims++;
	live[nr_live++] = got;
	nr_used += len;
}

static void sample(const struct policy *policy, struct outcome *outcome, uint64_t *nr_samples)
{
	uint64_t largest = policy->largest(), free_units = ARENA_UNITS - nr_used;
	double fragmentation = free_units ? 1 - (double)largest / (double)free_units : 0;

	outcome->fragmentation_mean += fragmentation;
	outcome->largest_mean += (double)largest;
	if (fragmentation > outcome->fragmentation_worst)
		outcome->fragmentation_worst = fragmentation;
	(*nr_samples)++;
}

/*
 * Fill to the mark, then release and claim about it. A refusal costs a release, as a user would
 * make room, so that every policy is kept as full as it can be.
 */
static void run_stream(const struct policy *policy, const struct options *o,
		       struct outcome *outcome)
{
	uint64_t mark = ARENA_UNITS / 100 * o->fill, nr_samples = 0, start = now_ns();

	for (uint64_t i = 0; i < o->nr_ops; i++) {
		uint64_t refused = outcome->nr_refused;

		if (nr_used >= mark && nr_live) {
			release_one(policy);
			outcome->nr_releases++;
		} else {
			claim_one(policy, outcome);
		}
		if (outcome->nr_refused > refused && nr_live) {
			release_one(policy);
			outcome->nr_releases++;
		}
		if (i >= o->nr_ops / 2 && i % 64 == 0)
			sample(policy, outcome, &nr_samples);
	}
	outcome->ns_per_op = (double)(now_ns() - start) / (double)o->nr_ops;
	if (nr_samples) {
		outcome->fragmentation_mean /= (double)nr_samples;
		outcome->largest_mean /= (double)nr_samples;
	}
}

static void simulate(const struct policy *policy, const struct options *o, struct outcome *outcome)
{
	int r = extent_map_new(&map, 0);

	if (r < 0)
		die("map", r);
	map_release((struct extent){ 0, ARENA_UNITS });
	first_fit_reset();
	nr_live = nr_used = 0;
	random_state = o->seed;
	*outcome = (struct outcome){ .policy = policy->name };
	run_stream(policy, o, outcome);
	extent_map_free(map);
}

/* ---- what an operation costs with so many ranges ---- */

struct cost { double mean, p50, p99, p999; };
struct latency {
	uint64_t nr_extents;
	double bytes_per_extent;
	struct cost claim, claim_at, release;
};

static int compare_ns(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct cost cost_of(uint32_t *ns, uint64_t nr)
{
	double sum = 0;

	qsort(ns, nr, sizeof(*ns), compare_ns);
	for (uint64_t i = 0; i < nr; i++)
		sum += ns[i];
	return (struct cost){ sum / (double)nr, ns[nr / 2], ns[nr * 99 / 100],
			      ns[nr * 999 / 1000] };
}

/* Every sixteen units a range of 1 to 15 of them. */
static void scatter(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		map_release((struct extent){ i * 16, 1 + next_random() % 15 });
}

static uint32_t time_claim(struct extent *got)
{
	uint64_t start = now_ns();
	int r = extent_claim(got, map, 1 + next_random() % 8);

	if (r < 0)
		die("claim", r);
	return (uint32_t)(now_ns() - start);
}

static uint32_t time_claim_at(struct extent *got, uint64_t nr_extents)
{
	uint64_t off = next_random() % nr_extents * 16, start = now_ns();
	int r = extent_claim_at(map, off, 1);

	/* may be taken by an earlier claim: then nothing is put back */
	*got = (struct extent){ off, r == 0 };
	return (uint32_t)(now_ns() - start);
}

static uint32_t time_release(struct extent range)
{
	uint64_t start = now_ns();

	map_release(range);
	return (uint32_t)(now_ns() - start);
}

#define NR_TIMED 200000

static void measure(uint64_t nr_extents, const struct options *o, struct latency *latency)
{
	uint32_t *claims = allocate(NR_TIMED, 4), *claims_at = allocate(NR_TIMED, 4),
		 *releases = allocate(NR_TIMED, 4);
	size_t before = mallinfo2().uordblks;
	int r = extent_map_new(&map, 0);

	if (r < 0)
		die("map", r);
	random_state = o->seed;
	scatter(nr_extents);
	latency->nr_extents = nr_extents;
	latency->bytes_per_extent = (double)(mallinfo2().uordblks - before) / (double)nr_extents;
	for (uint64_t i = 0; i < NR_TIMED; i++) {
		struct extent a, b;

		claims[i] = time_claim(&a);
		claims_at[i] = time_claim_at(&b, nr_extents);
		releases[i] = time_release(a);
		if (b.len)
			map_release(b);
	}
	latency->claim = cost_of(claims, NR_TIMED);
	latency->claim_at = cost_of(claims_at, NR_TIMED);
	latency->release = cost_of(releases, NR_TIMED);
	extent_map_free(map);
	free(claims);
	free(claims_at);
	free(releases);
}

/* ---- telling ---- */

static void print_text(const struct options *o, const struct outcome *outcomes,
		       const struct latency *latencies, int nr_latencies)
{
	printf("fragmentation: %" PRIu64 " operations, %" PRIu64 " units, %u%% in use\n", o->nr_ops,
	       (uint64_t)ARENA_UNITS, o->fill);
	printf("%-10s %10s %10s %12s %10s %10s\n", "policy", "mean", "worst", "largest", "refused",
	       "ns/op");
	for (size_t i = 0; i < NR_POLICIES; i++)
		printf("%-10s %9.1f%% %9.1f%% %12.0f %10" PRIu64 " %10.0f\n", outcomes[i].policy,
		       100 * outcomes[i].fragmentation_mean, 100 * outcomes[i].fragmentation_worst,
		       outcomes[i].largest_mean, outcomes[i].nr_refused, outcomes[i].ns_per_op);
	printf("\n%-10s %8s  %-26s %-26s %-26s\n", "extents", "bytes",
	       "claim ns mean/p50/p99/p99.9", "claim_at", "release");
	for (int i = 0; i < nr_latencies; i++) {
		const struct latency *l = &latencies[i];

		printf("%-10" PRIu64 " %8.1f  %5.0f %5.0f %6.0f %6.0f    %5.0f %5.0f %6.0f %6.0f   "
				     "%5.0f %5.0f %6.0f %6.0f\n",
		       l->nr_extents, l->bytes_per_extent, l->claim.mean, l->claim.p50,
		       l->claim.p99, l->claim.p999, l->claim_at.mean, l->claim_at.p50,
		       l->claim_at.p99, l->claim_at.p999, l->release.mean, l->release.p50,
		       l->release.p99, l->release.p999);
	}
}

static void print_cost(const char *name, const struct cost *cost)
{
	printf(", \"%s_ns\": {\"mean\": %.1f, \"p50\": %.0f, \"p99\": %.0f, \"p999\": %.0f}", name,
	       cost->mean, cost->p50, cost->p99, cost->p999);
}

static void print_json(const struct options *o, const struct outcome *outcomes,
		       const struct latency *latencies, int nr_latencies)
{
	printf("{\"bench\": \"extent\", \"operations\": %" PRIu64 ", \"units\": %" PRIu64
	       ", \"fill_percent\": %u, \"seed\": %" PRIu64 ",\n \"policies\": [",
	       o->nr_ops, (uint64_t)ARENA_UNITS, o->fill, o->seed);
	for (size_t i = 0; i < NR_POLICIES; i++)
		printf("%s\n  {\"policy\": \"%s\", \"fragmentation_mean\": %.4f, "
		       "\"fragmentation_worst\": %.4f, \"largest_mean\": %.0f, "
		       "\"refused\": %" PRIu64 ", \"claims\": %" PRIu64 ", \"releases\": %" PRIu64
		       ", \"ns_per_op\": %.1f}",
		       i ? "," : "", outcomes[i].policy, outcomes[i].fragmentation_mean,
		       outcomes[i].fragmentation_worst, outcomes[i].largest_mean,
		       outcomes[i].nr_refused, outcomes[i].nr_claims, outcomes[i].nr_releases,
		       outcomes[i].ns_per_op);
	printf("],\n \"latency\": [");
	for (int i = 0; i < nr_latencies; i++) {
		printf("%s\n  {\"extents\": %" PRIu64 ", \"bytes_per_extent\": %.1f", i ? "," : "",
		       latencies[i].nr_extents, latencies[i].bytes_per_extent);
		print_cost("claim", &latencies[i].claim);
		print_cost("claim_at", &latencies[i].claim_at);
		print_cost("release", &latencies[i].release);
		printf("}");
	}
	printf("]}\n");
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!*text || *end || !value) {
		fprintf(stderr, "bench-extent: '%s' is not a number above 0\n", text);
		exit(2);
	}
	return value;
}

static const char usage[] =
	"usage: bench-extent [--ops N] [--fill PERCENT] [--extents N] [--seed N] [--json]\n";

static const struct option long_options[] = {
	{ "ops", required_argument, NULL, 'o' },     { "extents", required_argument, NULL, 'e' },
	{ "fill", required_argument, NULL, 'f' },    { "seed", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },          { "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){ .nr_ops = 10000000, .nr_extents = 1000000, .seed = 1, .fill = 85 };
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			o->nr_ops = number(optarg);
			break;
		case 'e':
			o->nr_extents = number(optarg);
			break;
		case 'f':
			o->fill = number(optarg) > 100 ? 100 : (unsigned)number(optarg);
			break;
		case 's':
			o->seed = number(optarg);
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct outcome outcomes[NR_POLICIES];
	struct latency latencies[8];
	int nr_latencies = 0;
	struct options o;

	parse(&o, argc, argv);
	if (first_fit_begin(ARENA_UNITS) < 0)
		die("out of memory", -ENOMEM);
	live = allocate(MAX_LIVE, sizeof(*live));
	for (size_t i = 0; i < NR_POLICIES; i++)
		simulate(&policies[i], &o, &outcomes[i]);
	for (uint64_t nr = 1000; nr < o.nr_extents && nr_latencies < 7; nr *= 10)
		measure(nr, &o, &latencies[nr_latencies++]);
	measure(o.nr_extents, &o, &latencies[nr_latencies++]);
	(o.json ? print_json : print_text)(&o, outcomes, latencies, nr_latencies);
	first_fit_end();
	free(live);
	return 0;
}
