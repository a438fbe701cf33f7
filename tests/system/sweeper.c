/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweeper: the library with each of its system calls and allocations failing, one after the other,
 * against a real daemon:
 *
 *	sweeper SOCKET ADMIN-SOCKET STRIDE [ACT...]
 *
 * An *act* is a call of the library. An *attempt* is one act, in a process of its own, in which one
 * call fails, once, or for good with all of its name after it. Every STRIDE-th call of each act is
 * made to fail; 1: every one. When an attempt begins with a daemon that was killed it prints a line
 * "restart", and waits for a line on standard input that says that another daemon is there.
 *
 * Of each attempt this is asked: did it end, without a signal and in time? Is what the call
 * returned true, and the sentence? Does it work when it is asked again? Are there no more
 * descriptors, blocks of memory and mappings than after an attempt in which nothing failed, and has
 * the daemon all space back? Exit status 0: it was so each time; 1: the flaws are printed.
 */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/session/client.h"
#include "tests/system/sweeper.h"
#include "tests/system/sweeper_calls.h"
#include "tests/system/sweeper_words.h"

#define PATIENCE_S   20
#define RECONNECT_MS 300

/* What an attempt still has. */
struct rest {
	int nr_fds;
	long nr_blocks, nr_mapped;
};

/* What an attempt tells the process that made it. */
struct report {
	long nr_calls;
	struct calls_struck struck;
	char flaw[600];                 /* "": none */
	bool is_new_session;
	bool is_mapped;                 /* a child could not unmap what its parent had mapped */
	struct rest before, after;      /* the end of the connection */
};

static struct report *report;           /* shared with attempts */
static const char *socket_path, *admin_path;
static long nr_attempts, nr_flaws;

__attribute__((format(printf, 1, 2)))
static void complain(const char *fmt, ...)
{
	va_list ap;

	if (report->flaw[0])
		return;
	va_start(ap, fmt);
	vsnprintf(report->flaw, sizeof(report->flaw), fmt, ap);
	va_end(ap);
}

void must(int r, const char *what)
{
	if (r == 0)
		return;
	complain("%s: %s: %s", what, strerror(-r), pma_message());
	_exit(1);
}

void restart_daemon(void)
{
	char answer;

	must(write(STDOUT_FILENO, "restart\n", 8) == 8 ? 0 : -errno, "restart");
	do {
		must(read(STDIN_FILENO, &answer, 1) == 1 ? 0 : -EPIPE, "restart");
	} while (answer != '\n');
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	must(dir ? 0 : -errno, "/proc/self/fd");
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static struct rest measure(void)
{
	return (struct rest){ count_fds(), calls_blocks(), calls_mapped() };
}

/* ---- judging ---- */

/*
 * The errno is that of the call, or says that the connection was lost for it. The kernel's ENOBUFS
 * is want of memory.
 */
static void judge_result(const struct act *act, int r, const char *text)
{
	int error = report->struck.error;
	char flaw[500];

	if (!report->struck.name) {
		complain("nothing failed, and yet: %s: %s", strerror(-r), text);
		return;
	}
	if (act->flags & ACT_MUTE)
		return;
	if (r != -error && !(r == -ENOMEM && error == ENOBUFS) && r != -ENOTCONN && r != -ESTALE)
		complain("it returned %s for %s: %s", strerror(-r), strerror(error), text);
	if (words_flaw(flaw, sizeof(flaw), text, error, report->struck.name))
		complain("%s", flaw);
}

/* What is reserved or leased now is a part of a lease, or a reservation, that nobody knows of. */
static void judge_holdings(void)
{
	static const char *const none[] = { "\"reserved\":0,", "\"leased\":0," };
	char *stats = NULL;

	must(pma_admin_call(&stats, NULL, admin_path, "stats", NULL), "stats");
	for (int i = 0; i < 2; i++) {
		if (!strstr(stats, none[i]))
			complain("the daemon has something of it left, and not %s", none[i]);
	}
	free(stats);
}

/* ---- an attempt ---- */

static void connect_first(struct world *w)
{
	must(pma_options_new(&w->options), "options");
	must(pma_options_set_socket(w->options, socket_path), "options");
	must(pma_options_set_reconnect_ms(w->options, RECONNECT_MS), "options");
	must(pma_connect(&w->pma, w->options), "connect");
	pma_options_free(w->options);
	w->options = NULL;
}

static void use_again(struct world *w)
{
	struct pma_handle probe;

	must(pma_create(&probe, w->pma, NULL, 4096, 0), "a create afterwards");
	must(pma_free(w->pma, probe), "a free afterwards");
}

static void run_armed(const struct act *act, struct world *w, enum calls_mode mode, long nth,
		      bool second)
{
	uint64_t session = w->pma && !(act->flags & ACT_UNCONNECTED) ? w->pma->link.session : 0;
	struct pma_info info;
	bool is_lost;
	int r;

	/* So that a sentence of before is known for one. */
	pma_stat(&info, NULL, PMA_HANDLE_NONE);
	calls_arm(mode, nth, second);
	r = act->run(w);
	report->nr_calls = calls_disarm(&report->struck);
	if (r == 0 && report->struck.name && strcmp(report->struck.name, CALLS_MAP_SYNC) == 0)
		complain("a mapping without MAP_SYNC took the place of one with it");
	if (r != act->expected) {
		judge_result(act, r, w->text[0] ? w->text : pma_message());
		is_lost = r == -ENOTCONN || r == -ESTALE;
		if (is_lost && !(act->flags & ACT_UNCONNECTED))
			use_again(w);
		r = act->run(w);
		if (r != act->expected && !is_lost)
			complain("asked again: %s: %s", strerror(-r), pma_message());
	}
	report->is_new_session = session && w->pma && w->pma->link.session != session;
}

/* The rest of an attempt that has its connection's end behind it or still before it. */
static void finish(const struct act *act, struct world *w, enum calls_mode mode)
{
	bool is_connected = !(act->flags & (ACT_ENDS | ACT_UNCONNECTED));
	bool may_forget = mode == CALLS_FOR_GOOD && (act->flags & ACT_FORGETS);

	if (act->undo)
		act->undo(w);
	report->before = measure();
	if (is_connected) {
		use_again(w);
		if (!may_forget)
			judge_holdings();
		pma_disconnect(w->pma);
	}
	report->after = measure();
}

/*
 * The parent of an attempt. The child says a byte on @channel when it is done, and lives until the
 * channel is closed: what it still has mapped until then its parent must know of.
 */
static void attend(pid_t child, int channel, struct world *w)
{
	struct holding *holding;
	int status;
	char byte;

	if (read(channel, &byte, 1) == 0)
		complain("the child ended early");
	pma_unmap(w->map);
	holding = holding_recall(&w->pma->holdings, w->handle);
	if (report->is_mapped && (!holding || !holding->is_lent))
		complain("a child has it mapped, and its parent does not know that");
	close(channel);
	must(waitpid(child, &status, 0) == child ? 0 : -errno, "the child");
	if (WIFSIGNALED(status))
		complain("the child ended by signal %d", WTERMSIG(status));
	must(pma_free(w->pma, w->handle), "free");
	pma_disconnect(w->pma);
}

/* Returns the channel to the parent in a child, or attends to the child and returns -1. */
static int be_child(struct world *w)
{
	int ends[2];
	pid_t child;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 ? 0 : -errno, "a channel");
	child = fork();
	must(child >= 0 ? 0 : -errno, "fork");
	close(ends[child > 0]);
	if (child == 0)
		return ends[1];
	attend(child, ends[0], w);
	return -1;
}

static void attempt(const struct act *act, enum calls_mode mode, long nth, bool second)
{
	struct world w = { .socket = socket_path, .admin_socket = admin_path, .parent = getpid() };
	int channel = 0;
	char byte;

	snprintf(w.name, sizeof(w.name), "s%d", (int)getpid());
	alarm(PATIENCE_S);
	if (!(act->flags & ACT_UNCONNECTED))
		connect_first(&w);
	if (act->prepare)
		act->prepare(&w);
	if (act->flags & ACT_IN_CHILD)
		channel = be_child(&w);
	if (channel < 0)
		return;
	alarm(PATIENCE_S / 2);
	run_armed(act, &w, mode, nth, second);
	finish(act, &w, mode);
	report->is_mapped = w.is_mapped;
	if (channel > 0)
		must(write(channel, "x", 1) == 1 && read(channel, &byte, 1) == 0 ? 0 : -EPIPE,
		     "the parent");
}

/* In a process of its own: nothing of one attempt is there in the next. */
static void fork_attempt(const struct act *act, enum calls_mode mode, long nth, bool second)
{
	pid_t pid;
	int status = 0;

	*report = (struct report){ .nr_calls = 0 };
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		attempt(act, mode, nth, second);
		_exit(0);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid ? 0 : -errno, "fork");
	nr_attempts++;
	if (WIFSIGNALED(status))
		complain(WTERMSIG(status) == SIGALRM ? "it hangs" : "it ended by signal %d",
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		complain("exit status %d", WEXITSTATUS(status));
}

/* ---- what is left of it ---- */

/* What the daemon says of a number of its one arena. */
static long long number_of(const char *stats, const char *key)
{
	const char *at = strstr(stats, key);

	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

static long long free_bytes(void)
{
	char *stats = NULL;
	long long nr;

	must(pma_admin_call(&stats, NULL, admin_path, "stats", NULL), "stats");
	nr = number_of(stats, "\"free\":");
	free(stats);
	return nr;
}

/* Space comes back a little later than its session ends. */
static void judge_space(long long free_before)
{
	long long now = free_bytes();

	for (int i = 0; now != free_before && i < 12000; i++) {
		poll(NULL, 0, 1);
		now = free_bytes();
	}
	if (now != free_before)
		complain("%lld bytes of the arena were free before, %lld are now", free_before,
			 now);
}

static void judge_rest(const char *when, const struct rest *rest, const struct rest *usual,
		       bool may_be_mapped)
{
	if (rest->nr_fds > usual->nr_fds)
		complain("%s it has %d descriptors, usually %d", when, rest->nr_fds,
			 usual->nr_fds);
	if (rest->nr_mapped > usual->nr_mapped && !may_be_mapped)
		complain("%s it has %ld bytes mapped, usually %ld", when, rest->nr_mapped,
			 usual->nr_mapped);
}

static void print_flaw(const struct act *act, enum calls_mode mode, long nth)
{
	nr_flaws++;
	printf("flaw: %s: call %ld, %s, %s (%s): %s\n", act->name, nth,
	       report->struck.name ? report->struck.name : "no call",
	       mode == CALLS_COUNT  ? "not failing"
	       : mode == CALLS_ONCE ? "once"
				    : "for good",
	       report->struck.error ? strerror(report->struck.error) : "", report->flaw);
	fflush(stdout);
}

static void judge_all(const struct act *act, const struct report *usual, long long free_before)
{
	bool may_be_mapped = (act->flags & ACT_UNMAPS) && report->struck.name &&
			     strcmp(report->struck.name, "munmap") == 0;

	if (!report->is_new_session)
		judge_rest("connected", &report->before, &usual->before, may_be_mapped);
	judge_rest("afterwards", &report->after, &usual->after, may_be_mapped);
	/* While it is connected, what is lent is remembered. */
	if (report->after.nr_blocks > usual->after.nr_blocks)
		complain("afterwards it has %ld blocks of memory, usually %ld",
			 report->after.nr_blocks, usual->after.nr_blocks);
	if (!(act->flags & ACT_LATE))
		judge_space(free_before);
}

/* ---- the sweep ---- */

/* Each call in turn, with its first or its second error. */
static void sweep_mode(const struct act *act, enum calls_mode mode, const struct report *usual,
		       long stride)
{
	long first = stride > 1 ? random() % stride : 0;

	for (long i = first; i < 2 * usual->nr_calls; i += stride) {
		long long free_before = free_bytes();

		fork_attempt(act, mode, i / 2, i % 2);
		judge_all(act, usual, free_before);
		if (report->flaw[0])
			print_flaw(act, mode, i / 2);
	}
}

static void sweep(const struct act *act, long stride)
{
	long long free_before = free_bytes();
	struct report usual;

	fork_attempt(act, CALLS_COUNT, 0, false);
	if (!(act->flags & ACT_LATE))
		judge_space(free_before);
	if (report->flaw[0]) {
		print_flaw(act, CALLS_COUNT, 0);
		return;
	}
	usual = *report;
	sweep_mode(act, CALLS_ONCE, &usual, stride);
	sweep_mode(act, CALLS_FOR_GOOD, &usual, stride);
	if (stride == 1)
		printf("%s: %ld calls\n", act->name, usual.nr_calls);
}

static bool is_chosen(const struct act *act, char **names, int nr)
{
	for (int i = 0; i < nr; i++) {
		if (strcmp(names[i], act->name) == 0)
			return true;
	}
	return nr == 0;
}

static void sweep_all(long stride, char **names, int nr)
{
	static const struct act all = { .name = "all acts" };
	long long free_before = free_bytes();

	for (unsigned i = 0; i < nr_acts; i++) {
		if (is_chosen(&acts[i], names, nr))
			sweep(&acts[i], stride);
	}
	*report = (struct report){ .nr_calls = 0 };
	judge_space(free_before);
	if (report->flaw[0])
		print_flaw(&all, CALLS_COUNT, 0);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	socket_path = argv[1];
	admin_path = argv[2];
	srandom((unsigned)time(NULL));
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (report == MAP_FAILED)
		return 2;
	sweep_all(strtol(argv[3], NULL, 0), argv + 4, argc - 4);
	printf("%ld attempts, %ld flaws\n", nr_attempts, nr_flaws);
	return nr_flaws > 0;
}
