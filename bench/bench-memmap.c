/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-memmap: what does an array of 64 bytes for each base page cost? Our layout beside three
 * others, in one run: time to start, memory, mappings, and what it takes to split a compound page
 * and to make it whole again, alone, in batches, and with a reader on the other core.
 */
#include <config.h>

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench-memmap-array.h"
#include "bench/bench-memmap-measure.h"
#include "bench/bench-memmap-svg.h"

struct options {
	const struct effort *effort;
	const char *svg, *layout;
	unsigned region, nr_regions;
	bool json;
};

static const unsigned regions[] = { 16, 128, 1024, 1536 };
static const unsigned orders[NR_ORDERS] = { 9, 18 };

static void usage(FILE *to)
{
	fputs("usage: bench-memmap [--json] [--svg FILE] [--quick] [--layout NAME] [--region GIB]\n"
	      "\n"
	      "  --json         one object a line instead of the table\n"
	      "  --svg FILE     draw memory, start and mappings by size of the device\n"
	      "  --quick        fewer samples, devices of 16 and 128 GiB\n"
	      "  --layout NAME  only none, literal, run or two-plane\n"
	      "  --region GIB   only this size\n", to);
}

static bool parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "svg", required_argument, NULL, 's' },
		{ "quick", no_argument, NULL, 'q' },
		{ "layout", required_argument, NULL, 'l' },
		{ "region", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*options = (struct options){ .effort = &full_effort,
				     .nr_regions = sizeof(regions) / sizeof(*regions) };
	while ((c = getopt_long(argc, argv, "jqh", known, NULL)) != -1) {
		switch (c) {
		case 'j': options->json = true; break;
		case 's': options->svg = optarg; break;
		case 'q': options->effort = &quick_effort; options->nr_regions = 2; break;
		case 'l': options->layout = optarg; break;
		case 'r': options->region = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'h': usage(stdout); exit(0);
		default: return false;
		}
	}
	return optind == argc;
}

/* ---- JSON ---- */

static void put(const char *key, double value)
{
	if (isnan(value))
		printf(", \"%s\": null", key);
	else
		printf(", \"%s\": %.*f", key, fabs(value) >= 1000 ? 0 : 4, value);
}

/*
 * These keys and no others; what does not fit has no figures, and says on stderr where it stopped.
 */
static void print_json(const struct result *result, bool hot)
{
	const struct figures *start = &result->quiet, *work = hot ? &result->hot : start;

	printf("{\"bench\": \"memmap\", \"layout\": \"%s\", \"region_gib\": %u, \"order\": %u",
	       layouts[result->layout].name, result->region_gib, result->order);
	put("usable_ms", start->usable_ms);
	put("boot_ms", start->cold_ms);
	put("memory_bytes", start->memory_bytes);
	put("vmas", start->vmas);
	put("restore_us_p50", work->restore_p50);
	put("restore_us_p99", work->restore_p99);
	put("dedup_us_p50", work->dedup_p50);
	put("dedup_us_p99", work->dedup_p99);
	put("dedup_batch64_us", work->batch_us);
	put("dedup_scattered64_us", work->scattered_us);
	put("read_ns", work->read_ns);
	printf(", \"hot_reader\": %s}\n", hot ? "true" : "false");
}

static void say_where(const struct result *result)
{
	fprintf(stderr, "bench-memmap: %s, %u GiB, order %u: stopped at %g GiB by %s\n",
		layouts[result->layout].name, result->region_gib, result->order,
		result->stopped_at_gib, result->stopped_by);
}

/* ---- table ---- */

static void cell(int width, double value, int digits)
{
	if (isnan(value))
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, digits, value);
}

static void pair(double p50, double p99)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f/%.1f", p50, p99);
	printf(" %12s", isnan(p50) ? "-" : text);
}

static void print_heading(unsigned region, unsigned order)
{
	printf("\n%u GiB of device, compound pages of %s\n", region,
	       order == 9 ? "2 MiB" : "1 GiB");
	printf("%-10s %9s %9s %9s %10s %8s %8s %12s %12s %8s %9s %9s %7s\n", "", "usable",
	       "populated", "cold", "memory", "empty", "VMAs", "restore", "dedup", "64 side",
	       "64 apart", "and write", "read");
	printf("%-10s %9s %9s %9s %10s %8s %8s %12s %12s %8s %9s %9s %7s\n", "layout", "ms", "ms",
	       "ms", "MiB", "MiB", "", "us p50/p99", "us p50/p99", "by side", "us each", "us",
	       "ns");
}

static void print_work(const struct figures *f)
{
	pair(f->restore_p50, f->restore_p99);
	pair(f->dedup_p50, f->dedup_p99);
	cell(8, f->batch_us, 2);
	cell(9, f->scattered_us, 2);
	cell(9, f->write_us, 1);
	cell(7, f->read_ns, 1);
	putchar('\n');
}

static void print_result(const struct result *result)
{
	const struct figures *f = &result->quiet;

	printf("%-10s", layouts[result->layout].name);
	if (!isnan(result->stopped_at_gib)) {
		cell(9, f->usable_ms, 3);
		printf("  stopped at %g GiB by %s\n", result->stopped_at_gib, result->stopped_by);
		return;
	}
	cell(9, f->usable_ms, 3);
	cell(9, f->boot_ms, 3);
	cell(9, f->cold_ms, 3);
	cell(10, f->memory_bytes / (1 << 20), 2);
	cell(8, f->empty_bytes / (1 << 20), 2);
	cell(8, f->vmas, 0);
	print_work(f);
	if (!isnan(result->hot.read_ns)) {
		printf("%-67s", "  beside a reader on the other core");
		print_work(&result->hot);
	}
}

static void print_notes(void)
{
	puts("\nusable: the array can be used, nothing is in it.  populated: from nothing until "
	     "each section has its descriptors; with two planes the\n"
	     "shared tails were made before, as the daemon does when it is idle.  cold: the same "
	     "with that included.  memory: private pages, memory\n"
	     "files, page tables and 215 bytes a mapping.  empty: before anything is populated.  "
	     "restore does not include the caller's first touch of\n"
	     "the tails; `and write` does, of all of them.");
}

static void show(const struct result *result, bool json)
{
	if (!json) {
		print_result(result);
		return;
	}
	print_json(result, false);
	if (isnan(result->stopped_at_gib))
		print_json(result, true);
	else
		say_where(result);
}

int main(int argc, char **argv)
{
	static struct result results[sizeof(regions) / sizeof(*regions) * NR_ORDERS * NR_LAYOUTS];
	struct options options;
	unsigned nr = 0;

	if (!parse(&options, argc, argv)) {
		usage(stderr);
		return 64;
	}
	for (unsigned i = 0; i < options.nr_regions * NR_ORDERS; i++) {
		unsigned region = regions[i / NR_ORDERS], order = orders[i % NR_ORDERS];

		if (options.region && options.region != region)
			continue;
		if (!options.json)
			print_heading(region, order);
		for (unsigned layout = 0; layout < NR_LAYOUTS; layout++) {
			if (options.layout && strcmp(options.layout, layouts[layout].name) != 0)
				continue;
			fflush(stdout);
			if (!measure(&results[nr], layout, region, order, options.effort)) {
				fprintf(stderr, "bench-memmap: %s, %u GiB, order %u: died\n",
					layouts[layout].name, region, order);
				return 1;
			}
			show(&results[nr++], options.json);
		}
	}
	if (!options.json)
		print_notes();
	return options.svg ? svg_write(options.svg, results, nr) : 0;
}
