/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer: LMDB by its library, where it is installed.
 */
#include <config.h>

#include "bench/bench-window-peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_LMDB
#include <lmdb.h>
#endif

#ifdef HAVE_LMDB

struct lmdb {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn;
};

static int lmdb_error(int r)
{
	if (r)
		fprintf(stderr, "bench-window: LMDB: %s\n", mdb_strerror(r));
	return r ? -EIO : 0;
}

static int lmdb_env(MDB_env **env, const struct window_job *job, unsigned flags)
{
	char path[160];
	int r = mdb_env_create(env);

	snprintf(path, sizeof(path), "%s/lmdb", job->dir);
	if (r == 0)
		r = mdb_env_set_mapsize(*env, (job->nr + 4096) * 512);
	if (r == 0)
		r = mdb_env_open(*env, path, MDB_NOSUBDIR | MDB_NOSYNC | flags, 0600);
	return r;
}

static int lmdb_fill(const struct window_job *job)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char value[32] = "";
	int r = lmdb_env(&env, job, 0);

	if (r == 0)
		r = mdb_txn_begin(env, NULL, 0, &txn);
	if (r == 0)
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
	for (uint64_t i = 0; r == 0 && i < job->nr; i++) {
		MDB_val key = { strlen(job->names[i]), (void *)(uintptr_t)job->names[i] };
		MDB_val data = { sizeof(value), value };

		r = mdb_put(txn, dbi, &key, &data, 0);
	}
	if (r == 0)
		r = mdb_txn_commit(txn);
	mdb_env_close(env);
	return lmdb_error(r);
}

static int lmdb_open(void **context, const void *arg, unsigned index)
{
	struct lmdb *lmdb = calloc(1, sizeof(*lmdb));
	int r = lmdb ? lmdb_env(&lmdb->env, arg, MDB_RDONLY) : -ENOMEM;

	(void)index;
	if (r == 0)
		r = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &lmdb->txn);
	if (r == 0)
		r = mdb_dbi_open(lmdb->txn, NULL, 0, &lmdb->dbi);
	if (r == 0)
		mdb_txn_reset(lmdb->txn);
	*context = lmdb;
	return lmdb_error(r);
}

static void lmdb_close(void *context)
{
	struct lmdb *lmdb = context;

	mdb_txn_abort(lmdb->txn);
	mdb_env_close(lmdb->env);
	free(lmdb);
}

static int lmdb_work(struct turn *turn, void *context, const void *arg)
{
	const struct window_job *job = arg;
	struct lmdb *lmdb = context;
	uint64_t state = 0;

	while (turn_goes_on(turn)) {
		uint64_t from = turn_now();

		for (unsigned i = 0; i < WINDOW_RUN; i++) {
			const char *name = job->names[window_next(&state, job)];
			MDB_val key = { strlen(name), (void *)(uintptr_t)name }, data;

			if (mdb_txn_renew(lmdb->txn) || mdb_get(lmdb->txn, lmdb->dbi, &key, &data))
				return -EIO;
			mdb_txn_reset(lmdb->txn);
		}
		turn_note(turn, PHASE_THERE, from, turn_now(), WINDOW_RUN);
	}
	return 0;
}

int window_peer_lmdb(struct timing *timing, const struct window_job *job)
{
	char path[160];
	int r = 0;

	snprintf(path, sizeof(path), "%s/lmdb", job->dir);
	if (access(path, F_OK) < 0)
		r = lmdb_fill(job);
	return r < 0 ? r : window_crew(timing, job, lmdb_open, lmdb_close, lmdb_work, job);
}

#else

int window_peer_lmdb(struct timing *timing, const struct window_job *job)
{
	(void)timing;
	(void)job;
	return -EOPNOTSUPP;
}

#endif
