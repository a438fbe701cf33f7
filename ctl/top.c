/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top: shows again and again who has how much and what the daemon is asked for. Each time it asks
 * for what the daemon has counted already ("stats", "users") and for nothing that is looked up: at
 * ten times a second that costs the daemon less than a hundredth of its time.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/top.h"

static const char help[] =
	"      --sort KEY            bytes (default), growth, quarantined, allocations, sessions, "
	"leased, fds or uid\n"
	"      --interval SECONDS    between two looks, at least 0.1; default: 2\n"
	"      --count N             so many looks; default: for ever on a terminal, else 1\n"
	"\n"
	"On a terminal the first letter of a KEY sorts by it, q ends.\n";

struct wish {
	size_t sort;
	double interval_s;
	unsigned long count;            /* 0: for ever */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void forget(struct top_moment *moment)
{
	json_object_put(moment->stats);
	json_object_put(moment->users);
	*moment = (struct top_moment){ .stats = NULL };
}

static int look(struct top_moment *moment, struct ctl *ctl)
{
	struct json_object *users;
	int status = ctl_call(&moment->stats, ctl, "stats", NULL);

	if (status != CTL_DONE)
		return status;
	moment->at_ns = now_ns();
	status = ctl_call_all(&users, ctl, "users", "users", ctl_params());
	if (status != CTL_DONE)
		return status;
	moment->users = json_object_get(ctl_get(users, "users"));
	json_object_put(users);
	return CTL_DONE;
}

static void show(const struct ctl *ctl, const struct wish *wish, const struct top_moment *now,
		 const struct top_moment *last, bool has_screen)
{
	struct json_object *object;
	unsigned rows = 10000, width = 132;

	if (ctl->json) {
		object = json_object_new_object();
		json_object_object_add(object, "schema", json_object_new_int(1));
		json_object_object_add(object, "stats", json_object_get(now->stats));
		json_object_object_add(object, "users", json_object_get(now->users));
		ctl_print_json(ctl, object);
		json_object_put(object);
		return;
	}
	if (has_screen)
		top_screen_size(&rows, &width);
	top_screen_home();
	top_frame_print(now, last, wish->sort, rows, width, has_screen);
	top_screen_rest();
}

static int repeat(struct ctl *ctl, struct wish *wish, bool has_screen)
{
	struct top_moment now = { .stats = NULL }, last = { .stats = NULL };
	char key = '\0';
	int status;

	for (unsigned long i = 1;; i++) {
		status = look(&now, ctl);
		if (status == CTL_DONE)
			show(ctl, wish, &now, &last, has_screen);
		if (status != CTL_DONE || ctl_flush() != 0 || i == wish->count)
			break;
		key = top_screen_key(wish->interval_s);
		if (key == 'q')
			break;
		top_key_sort(&wish->sort, key);
		forget(&last);
		last = now;
		now = (struct top_moment){ .stats = NULL };
	}
	forget(&now);
	forget(&last);
	return status;
}

static bool read_count(unsigned long *count, const char *text)
{
	char *end;

	*count = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *count > 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *sort = "bytes", *interval = "2", *count = NULL;
	const struct ctl_option options[] = { { "sort", &sort, NULL },
					      { "interval", &interval, NULL },
					      { "count", &count, NULL },
					      { NULL, NULL, NULL } };
	struct wish wish = { .count = 0 };
	bool has_screen;
	int status;

	if (!ctl_begin(&status, ctl, &ctl_top, argc, argv, options, 0, 0))
		return status;
	if (!top_read_sort(&wish.sort, sort))
		return ctl_usage(&ctl_top, "--sort is bytes, growth, quarantined, allocations, "
					   "sessions, leased, fds or uid");
	if (!ctl_timeout_parse(&wish.interval_s, interval) || wish.interval_s < 0.1)
		return ctl_usage(&ctl_top, "an interval is a number of seconds, at least 0.1");
	if (count && !read_count(&wish.count, count))
		return ctl_usage(&ctl_top, "--count is a number from 1 on");
	has_screen = !ctl->json && top_screen_begin();
	if (!count && !has_screen)
		wish.count = 1;
	status = repeat(ctl, &wish, has_screen);
	ctl_flush();
	top_screen_end();
	return status;
}

const struct ctl_command ctl_top = { "top", "[--sort KEY] [--interval SECONDS] [--count N]",
				     "Show again and again who has how much", help, run };
