/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim-evict: which of the things of a full cache should go? The same traces are served by exact
 * LRU, FIFO, CLOCK, SIEVE and S3-FIFO, all with equal objects, and their hit rates are compared.
 * Nothing of the daemon is in here: a trace is a row of keys, a cache holds so many of them.
 */
#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum where { OUT, MAIN, SMALL };

struct entry {
	uint32_t newer, older;                  /* in the queue that it is in */
	uint32_t ghost;                         /* when it went out of SMALL, 0: never */
	uint8_t where, hits;
};

struct queue {
	uint32_t newest, oldest, nr;
};

struct cache {
	struct entry *entries;                  /* one a key */
	struct queue queues[3];                 /* by enum where */
	uint32_t capacity, hand, nr_ghosts;     /* the ghosts that ever were */
};

struct policy {
	const char *name;
	void (*hit)(struct cache *, uint32_t key);
	void (*insert)(struct cache *, uint32_t key);
	void (*evict)(struct cache *);
};

struct trace {
	const char *name;
	void (*fill)(uint32_t *keys, uint32_t nr_keys, uint32_t capacity, double skew);
	double skew;
};

static uint32_t nr_objects = 100000, nr_requests = 2000000;
static uint64_t random_state;
static double *shares;                          /* of the first n objects, by Zipf's law */

/* splitmix64: the same stream on every machine. */
static uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void *allocate(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p) {
		fputs("sim-evict: out of memory; ask for fewer objects or requests\n", stderr);
		exit(1);
	}
	return p;
}

/* ---- queues ---- */

static void queue_add(struct cache *c, uint32_t key, enum where where)
{
	struct queue *q = &c->queues[where];
	struct entry *e = &c->entries[key];

	e->where = (uint8_t)where;
	e->newer = NONE;
	e->older = q->newest;
	if (q->newest != NONE)
		c->entries[q->newest].newer = key;
	else
		q->oldest = key;
	q->newest = key;
	q->nr++;
}

static void queue_remove(struct cache *c, uint32_t key)
{
	struct entry *e = &c->entries[key];
	struct queue *q = &c->queues[e->where];

	if (e->newer != NONE)
		c->entries[e->newer].older = e->older;
	else
		q->newest = e->older;
	if (e->older != NONE)
		c->entries[e->older].newer = e->newer;
	else
		q->oldest = e->newer;
	e->where = OUT;
	q->nr--;
}

static void again(struct cache *c, uint32_t key, enum where where)
{
	queue_remove(c, key);
	queue_add(c, key, where);
}

/* ---- policies ---- */

static void hit_nothing(struct cache *c, uint32_t key)
{
	(void)c;
	(void)key;
}

static void hit_bit(struct cache *c, uint32_t key)
{
	c->entries[key].hits = 1;
}

static void hit_count(struct cache *c, uint32_t key)
{
	if (c->entries[key].hits < 3)
		c->entries[key].hits++;
}

static void lru_hit(struct cache *c, uint32_t key)
{
	again(c, key, MAIN);
}

static void insert_main(struct cache *c, uint32_t key)
{
	c->entries[key].hits = 0;
	queue_add(c, key, MAIN);
}

static void evict_oldest(struct cache *c)
{
	queue_remove(c, c->queues[MAIN].oldest);
}

/* What was hit since goes round once more, one round a hit that is remembered. */
static void clock_evict(struct cache *c)
{
	uint32_t key = c->queues[MAIN].oldest;

	for (; c->entries[key].hits; key = c->queues[MAIN].oldest) {
		c->entries[key].hits--;
		again(c, key, MAIN);
	}
	queue_remove(c, key);
}

/* Survivors stay where they are: the hand passes over them, towards what is newer. */
static void sieve_evict(struct cache *c)
{
	uint32_t key = c->hand == NONE ? c->queues[MAIN].oldest : c->hand;

	while (c->entries[key].hits) {
		c->entries[key].hits = 0;
		key = c->entries[key].newer;
		if (key == NONE)
			key = c->queues[MAIN].oldest;
	}
	c->hand = c->entries[key].newer;
	queue_remove(c, key);
}

static bool is_ghost(const struct cache *c, uint32_t key)
{
	uint32_t ghost = c->entries[key].ghost;

	return ghost && c->nr_ghosts - ghost < c->capacity - c->capacity / 10;
}

static void s3_insert(struct cache *c, uint32_t key)
{
	c->entries[key].hits = 0;
	queue_add(c, key, is_ghost(c, key) ? MAIN : SMALL);
	c->entries[key].ghost = 0;
}

/* True when something went; false when the oldest of SMALL proved itself and moved to MAIN. */
static bool s3_evict_small(struct cache *c)
{
	uint32_t key = c->queues[SMALL].oldest;
	bool proved = c->entries[key].hits > 1;

	queue_remove(c, key);
	if (proved)
		insert_main(c, key);
	else
		c->entries[key].ghost = ++c->nr_ghosts;
	return !proved;
}

static void s3_evict(struct cache *c)
{
	while (c->queues[SMALL].nr && c->queues[SMALL].nr >= c->capacity / 10)
		if (s3_evict_small(c))
			return;
	clock_evict(c);
}

static const struct policy policies[] = {
	{ "LRU", lru_hit, insert_main, evict_oldest },
	{ "FIFO", hit_nothing, insert_main, evict_oldest },
	{ "CLOCK", hit_bit, insert_main, clock_evict },
	{ "SIEVE", hit_bit, insert_main, sieve_evict },
	{ "S3-FIFO", hit_count, s3_insert, s3_evict },
};

#define NR_POLICIES (sizeof(policies) / sizeof(*policies))

static void cache_reset(struct cache *c, uint32_t nr_keys)
{
	memset(c->entries, 0, nr_keys * sizeof(*c->entries));
	for (int i = 0; i < 3; i++)
		c->queues[i] = (struct queue){ .newest = NONE, .oldest = NONE };
	c->hand = NONE;
	c->nr_ghosts = 0;
}

/* The first tenth fills the cache and is not counted. */
static double serve(struct cache *c, const struct policy *p, const uint32_t *keys)
{
	uint32_t hits = 0, from = nr_requests / 10;

	for (uint32_t i = 0; i < nr_requests; i++) {
		if (c->entries[keys[i]].where != OUT) {
			hits += i >= from;
			p->hit(c, keys[i]);
			continue;
		}
		if (c->queues[MAIN].nr + c->queues[SMALL].nr == c->capacity)
			p->evict(c);
		p->insert(c, keys[i]);
	}
	return 100.0 * hits / (nr_requests - from);
}

/* ---- traces ---- */

static void shares_fill(uint32_t nr_keys, double skew)
{
	double sum = 0;

	for (uint32_t i = 0; i < nr_keys; i++)
		shares[i] = sum += pow(i + 1, -skew);
	for (uint32_t i = 0; i < nr_keys; i++)
		shares[i] /= sum;
}

static uint32_t zipf(uint32_t nr_keys)
{
	double x = (double)(next_random() >> 11) / (double)(UINT64_C(1) << 53);
	uint32_t low = 0, high = nr_keys - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (shares[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void fill_zipf(uint32_t *keys, uint32_t nr_keys, uint32_t capacity, double skew)
{
	(void)capacity;
	shares_fill(nr_keys, skew);
	for (uint32_t i = 0; i < nr_requests; i++)
		keys[i] = zipf(nr_keys);
}

/* Half of the keys are hot by Zipf; the rest is read once, in order, two capacities at a time. */
static void fill_scan(uint32_t *keys, uint32_t nr_keys, uint32_t capacity, double skew)
{
	uint32_t half = nr_keys / 2, scanned = 0;

	shares_fill(half, skew);
	for (uint32_t i = 0; i < nr_requests; i++) {
		bool scans = i / (2 * capacity) % 4 == 3;

		keys[i] = scans ? half + scanned++ % (nr_keys - half) : zipf(half);
	}
}

/* Round and round over somewhat more than fits: what LRU is worst at. */
static void fill_loop(uint32_t *keys, uint32_t nr_keys, uint32_t capacity, double skew)
{
	(void)nr_keys;
	for (uint32_t i = 0; i < nr_requests; i++)
		keys[i] = i % (uint32_t)(capacity * skew);
}

/* Zipf whose hot keys are other ones after each eighth: what those who count hits are worst at. */
static void fill_shift(uint32_t *keys, uint32_t nr_keys, uint32_t capacity, double skew)
{
	(void)capacity;
	shares_fill(nr_keys, skew);
	for (uint32_t i = 0; i < nr_requests; i++)
		keys[i] = (zipf(nr_keys) + i / (nr_requests / 8) * (nr_keys / 8)) % nr_keys;
}

static const struct trace traces[] = {
	{ "Zipf 0.7", fill_zipf, 0.7 },      { "Zipf 1.0", fill_zipf, 1.0 },
	{ "Zipf 1.2", fill_zipf, 1.2 },      { "Zipf 1.0 and scans", fill_scan, 1.0 },
	{ "Zipf 1.0, moving", fill_shift, 1.0 }, { "loop of 1.2 capacities", fill_loop, 1.2 },
};

#define NR_TRACES (sizeof(traces) / sizeof(*traces))

/* ---- output ---- */

static void print_row(const struct trace *t, uint32_t capacity, const double *rates, bool json)
{
	static bool is_not_first;

	if (json)
		printf("%s{\"bench\": \"evict\", \"trace\": \"%s\", \"capacity\": %" PRIu32,
		       is_not_first ? ", " : "", t->name, capacity);
	else
		printf("| %-22s | %6" PRIu32 " |", t->name, capacity);
	for (size_t i = 0; i < NR_POLICIES; i++)
		if (json)
			printf(", \"%s\": %.2f", policies[i].name, rates[i]);
		else
			printf(" %7.2f |", rates[i]);
	fputs(json ? "}" : "\n", stdout);
	is_not_first = true;
}

static void print_head(void)
{
	printf("hit rate, %%; %" PRIu32 " objects, %" PRIu32 " requests\n\n", nr_objects,
	       nr_requests);
	printf("| trace                  |  holds |");
	for (size_t i = 0; i < NR_POLICIES; i++)
		printf(" %7s |", policies[i].name);
	printf("\n|---|---|---|---|---|---|---|\n");
}

static void simulate(struct cache *c, const struct trace *t, uint32_t *keys, bool json)
{
	double rates[NR_POLICIES];

	random_state = 1;
	t->fill(keys, nr_objects, c->capacity, t->skew);
	for (size_t i = 0; i < NR_POLICIES; i++) {
		cache_reset(c, nr_objects);
		rates[i] = serve(c, &policies[i], keys);
	}
	print_row(t, c->capacity, rates, json);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value < 1000 || value > UINT32_MAX / 2) {
		fprintf(stderr, "sim-evict: '%s' is not a number from 1000 to 2147483647\n", text);
		exit(2);
	}
	return (uint32_t)value;
}

static bool parse(int argc, char **argv)
{
	static const char usage[] =
		"usage: sim-evict [--objects N] [--requests N] [--json[=FILE]]\n";
	static const struct option options[] = { { "objects", required_argument, NULL, 'o' },
						 { "requests", required_argument, NULL, 'r' },
						 { "json", optional_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	bool json = false;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'o': nr_objects = number(optarg); break;
		case 'r': nr_requests = number(optarg); break;
		case 'j':
			json = true;
			if (optarg && !freopen(optarg, "w", stdout)) {
				perror(optarg);
				exit(1);
			}
			break;
		default: fputs(usage, c == 'h' ? stdout : stderr); exit(c == 'h' ? 0 : 2);
		}
	}
	return json;
}

int main(int argc, char **argv)
{
	bool json = parse(argc, argv);
	struct cache c = { .entries = allocate(nr_objects, sizeof(*c.entries)) };
	uint32_t *keys = allocate(nr_requests, sizeof(*keys));

	shares = allocate(nr_objects, sizeof(*shares));
	if (json)
		printf("[");
	else
		print_head();
	for (uint32_t part = 100; part >= 10; part /= 10)
		for (size_t i = 0; i < NR_TRACES; i++) {
			c.capacity = nr_objects / part;
			simulate(&c, &traces[i], keys, json);
		}
	if (json)
		printf("]\n");
	free(shares);
	free(keys);
	free(c.entries);
	return 0;
}
