/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub: a queue of ranges to be made zero, worker threads that do it piece by piece, and a queue
 * of finished jobs. One mutex guards both queues; no thread holds it while it writes to the media.
 * It knows neither pages, nor why a range must be zero.
 *
 *	submit -> todo -> worker.job -> done -> collect
 *
 * The descriptor of the scrubber is readable while the queue `done` is not empty.
 */
#include <config.h>

#include "daemon/space/scrub.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/clock.h"

/*
 * A worker looks for a cancellation or a new rate between two pieces. 2 MiB of zeroes take about a
 * millisecond.
 */
#define ZERO_PIECE  (UINT64_C(2) << 20)
/*
 * To punch a hole costs the file system one commit, whatever its size, and no memory bandwidth:
 * larger pieces are cheaper.
 */
#define PUNCH_PIECE (UINT64_C(256) << 20)
#define NS_PER_S    UINT64_C(1000000000)

STAILQ_HEAD(job_queue, scrub_job);

struct worker {
	struct scrubber *scrubber;
	pthread_t thread;
	struct scrub_job *job;                  /* the job under way; NULL: none */
	/* the worker shall stop the job at the next piece */
	bool cut;
};

struct scrubber {
	pthread_mutex_t mutex;                  /* guards all that follow but fd and the threads */
	/* signalled when todo is not empty or the scrubber stops */
	pthread_cond_t  work;
	/* signalled when the rate changed or a job was cut: do not wait on */
	pthread_cond_t  pace;
	pthread_cond_t  idle;                   /* signalled when a worker is done with a job */
	struct job_queue todo, done;            /* borrowed jobs */
	uint64_t rate;                          /* bytes a second; 0: unlimited */
	/* CLOCK_MONOTONIC, when the rate allows the next piece */
	uint64_t next_ns;
	bool     stopping;
	int      fd;                            /* owned */
	unsigned nr_workers;
	struct worker *workers;                 /* owned */
};

/* ---- one job ---- */

/*
 * Waits until the rate allows @len more bytes. All workers share one next_ns, the time of the next
 * piece. A worker moves it on only when its own piece is due, and not earlier, so that a new rate
 * counts at once. Returns false if the job was cut.
 */
static bool wait_for_rate(struct worker *worker, uint64_t len)
{
	struct scrubber *s = worker->scrubber;
	uint64_t now = 0;
	bool go_on;

	pthread_mutex_lock(&s->mutex);
	while (!worker->cut && s->rate && (now = clock_ns(CLOCK_MONOTONIC)) < s->next_ns) {
		struct timespec until = { (time_t)(s->next_ns / NS_PER_S),
					  (long)(s->next_ns % NS_PER_S) };

		pthread_cond_timedwait(&s->pace, &s->mutex, &until);
	}
	go_on = !worker->cut;
	if (go_on && s->rate)
		s->next_ns = now + len * NS_PER_S / s->rate;
	pthread_mutex_unlock(&s->mutex);
	return go_on;
}

static bool is_cut(struct worker *worker)
{
	bool cut;

	pthread_mutex_lock(&worker->scrubber->mutex);
	cut = worker->cut;
	pthread_mutex_unlock(&worker->scrubber->mutex);
	return cut;
}

static uint64_t piece_len(const struct scrub_job *job, uint64_t done, uint64_t max)
{
	return job->len - done < max ? job->len - done : max;
}

/*
 * Makes holes of the range of @job. @worker NULL: the job is done in the caller's thread, where
 * nobody can cut it.
 */
static int punch(const struct scrub_job *job, struct worker *worker)
{
	uint64_t len;
	int r;

	for (uint64_t done = 0; done < job->len; done += len) {
		if (worker && is_cut(worker))
			return -ECANCELED;
		len = piece_len(job, done, PUNCH_PIECE);
		r = media_punch(job->media, job->off + done, len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Writes zeroes, at the rate that is set. @worker NULL: as fast as it can. */
static int zero(const struct scrub_job *job, struct worker *worker)
{
	uint64_t len;
	int r;

	for (uint64_t done = 0; done < job->len; done += len) {
		len = piece_len(job, done, ZERO_PIECE);
		if (worker && !wait_for_rate(worker, len))
			return -ECANCELED;
		r = media_zero(job->media, job->off + done, len);
		if (r < 0)
			return r;
	}
	/*
	 * Zeroes need a fence by the thread that wrote them. media_fence() is for the loop thread;
	 * to persist 0 bytes is just such a fence.
	 */
	return media_persist(job->media, job->off, 0);
}

static int do_job(const struct scrub_job *job, struct worker *worker)
{
	int r;

	if (job->len == 0)
		return 0;
	r = job->keeps_blocks ? -EOPNOTSUPP : punch(job, worker);
	return r == -EOPNOTSUPP ? zero(job, worker) : r;
}

/* ---- queues; the mutex is held ---- */

static void push_done(struct scrubber *s, struct scrub_job *job)
{
	const uint64_t one = 1;

	if (STAILQ_EMPTY(&s->done)) {
		/* The counter of the eventfd is 0 here, so the write neither blocks nor fails. */
		ssize_t written = write(s->fd, &one, sizeof(one));

		(void)written;
	}
	STAILQ_INSERT_TAIL(&s->done, job, link);
}

static void clear_fd_if_empty(struct scrubber *s)
{
	uint64_t count;

	if (STAILQ_EMPTY(&s->done)) {
		ssize_t got = read(s->fd, &count, sizeof(count));

		(void)got;      /* EAGAIN: it was 0 already */
	}
}

/* Removes the jobs of @owner from @queue. */
static void drop_of(struct job_queue *queue, const void *owner)
{
	struct job_queue kept = STAILQ_HEAD_INITIALIZER(kept);
	struct scrub_job *job;

	while ((job = STAILQ_FIRST(queue))) {
		STAILQ_REMOVE_HEAD(queue, link);
		if (job->owner != owner)
			STAILQ_INSERT_TAIL(&kept, job, link);
	}
	STAILQ_CONCAT(queue, &kept);
}

/* ---- threads ---- */

static void do_next(struct scrubber *s, struct worker *worker)
{
	struct scrub_job *job = STAILQ_FIRST(&s->todo);
	int r;

	STAILQ_REMOVE_HEAD(&s->todo, link);
	worker->job = job;
	worker->cut = false;
	pthread_mutex_unlock(&s->mutex);
	r = do_job(job, worker);
	pthread_mutex_lock(&s->mutex);
	worker->job = NULL;
	/*
	 * A job that was cut is also put into `done`: scrubber_cancel() waits for that, and then
	 * drops all finished jobs of the owner.
	 */
	job->result = r;
	push_done(s, job);
	pthread_cond_broadcast(&s->idle);
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	struct scrubber *s = worker->scrubber;

	pthread_mutex_lock(&s->mutex);
	while (!s->stopping) {
		if (STAILQ_EMPTY(&s->todo))
			pthread_cond_wait(&s->work, &s->mutex);
		else
			do_next(s, worker);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/*
 * Workers get no signals, which are for the loop thread, but those that an access itself raises:
 * media_zero() answers SIGBUS in the thread where it happens.
 */
static void block_signals(sigset_t *old)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

static int start_workers(struct scrubber *s, unsigned nr)
{
	sigset_t old;
	int r = 0;

	s->workers = calloc(nr, sizeof(*s->workers));
	if (!s->workers)
		return -ENOMEM;
	block_signals(&old);
	while (r == 0 && s->nr_workers < nr) {
		struct worker *worker = &s->workers[s->nr_workers];

		worker->scrubber = s;
		r = pthread_create(&worker->thread, NULL, run, worker);
		if (r == 0) {
			pthread_setname_np(worker->thread, "scrub");
			s->nr_workers++;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static void init_locks(struct scrubber *s)
{
	pthread_condattr_t attr;

	/*
	 * None of these calls fails in glibc with such attributes, so their results are not looked
	 * at.
	 */
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->pace, &attr);
	pthread_cond_init(&s->idle, NULL);
	pthread_condattr_destroy(&attr);
}

int scrubber_new(struct scrubber **out, unsigned nr_threads, uint64_t rate)
{
	struct scrubber *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	init_locks(s);
	STAILQ_INIT(&s->todo);
	STAILQ_INIT(&s->done);
	s->rate = rate;
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0)
		r = -errno;
	if (r == 0 && nr_threads)
		r = start_workers(s, nr_threads);
	if (r < 0) {
		scrubber_free(s);
		return r;
	}
	*out = s;
	return 0;
}

static void stop_workers(struct scrubber *s)
{
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	for (unsigned i = 0; i < s->nr_workers; i++)
		s->workers[i].cut = true;
	pthread_cond_broadcast(&s->work);
	pthread_cond_broadcast(&s->pace);
	pthread_mutex_unlock(&s->mutex);
	for (unsigned i = 0; i < s->nr_workers; i++)
		pthread_join(s->workers[i].thread, NULL);
}

void scrubber_free(struct scrubber *scrubber)
{
	if (!scrubber)
		return;
	stop_workers(scrubber);
	if (scrubber->fd >= 0)
		close(scrubber->fd);
	pthread_cond_destroy(&scrubber->work);
	pthread_cond_destroy(&scrubber->pace);
	pthread_cond_destroy(&scrubber->idle);
	pthread_mutex_destroy(&scrubber->mutex);
	free(scrubber->workers);
	free(scrubber);
}

void scrubber_set_rate(struct scrubber *scrubber, uint64_t rate)
{
	pthread_mutex_lock(&scrubber->mutex);
	scrubber->rate = rate;
	scrubber->next_ns = 0;
	pthread_cond_broadcast(&scrubber->pace);
	pthread_mutex_unlock(&scrubber->mutex);
}

int scrubber_fd(const struct scrubber *scrubber)
{
	return scrubber->fd;
}

void scrubber_submit(struct scrubber *scrubber, struct scrub_job *job)
{
	if (!scrubber->nr_workers)
		job->result = do_job(job, NULL);
	pthread_mutex_lock(&scrubber->mutex);
	if (scrubber->nr_workers) {
		STAILQ_INSERT_TAIL(&scrubber->todo, job, link);
		pthread_cond_signal(&scrubber->work);
	} else {
		push_done(scrubber, job);
	}
	pthread_mutex_unlock(&scrubber->mutex);
}

struct scrub_job *scrubber_collect(struct scrubber *scrubber)
{
	struct scrub_job *job;

	pthread_mutex_lock(&scrubber->mutex);
	job = STAILQ_FIRST(&scrubber->done);
	if (job) {
		STAILQ_REMOVE_HEAD(&scrubber->done, link);
		clear_fd_if_empty(scrubber);
	}
	pthread_mutex_unlock(&scrubber->mutex);
	return job;
}

/*
 * Tells every worker that has a job of @owner under way to stop. Returns whether there is one. The
 * caller holds the mutex.
 */
static bool cut_of(struct scrubber *s, const void *owner)
{
	bool any = false;

	for (unsigned i = 0; i < s->nr_workers; i++) {
		struct worker *worker = &s->workers[i];

		if (worker->job && worker->job->owner == owner)
			worker->cut = any = true;
	}
	return any;
}

void scrubber_cancel(struct scrubber *scrubber, const void *owner)
{
	pthread_mutex_lock(&scrubber->mutex);
	drop_of(&scrubber->todo, owner);
	while (cut_of(scrubber, owner)) {
		pthread_cond_broadcast(&scrubber->pace);
		pthread_cond_wait(&scrubber->idle, &scrubber->mutex);
	}
	drop_of(&scrubber->done, owner);
	clear_fd_if_empty(scrubber);
	pthread_mutex_unlock(&scrubber->mutex);
}
