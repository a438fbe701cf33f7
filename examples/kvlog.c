/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvlog NAME put KEY VALUE | get KEY | list | torture [SECONDS]
 *
 * A key-value store that is nothing but a log in one extent: a put appends a record, a get takes
 * the last record of its key. It survives kill -9 of the writer, of the daemon, and a power cut, at
 * any instruction:
 *
 *	| header | record | record | record | zeroes, or the rests of a put that was cut
 *	                             the end ^: the first record whose `commit` is not its sum
 *
 * A put makes the record's body durable first and then its commit word, 8 bytes that arrive whole
 * or not at all. The checksum covers the record's number too, so that no rest of an older put can
 * be taken for the next record. One writer at a time; readers need no lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <pmemarena.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAGIC    UINT64_C(0x31676f6c766b)       /* "kvlog1" */
#define LOG_SIZE (UINT64_C(8) << 20)

struct header {
	_Atomic uint64_t magic;         /* written last */
	/* of all checksums: a log that lived here before is none of ours */
	uint64_t seed;
};

struct record {
	/* checksum of all below, with the log's seed and the record's number */
	_Atomic uint64_t commit;
	uint32_t key_len, value_len;
	char data[];                    /* key, value, padding to 8 */
};

struct log {
	struct pma *pma;
	struct pma_mapping *map;
	struct header *header;
	char *end;                      /* behind the last good record */
	uint64_t nr;                    /* good records */
};

static void die(const char *what)
{
	fprintf(stderr, "kvlog: %s: %s\n", what, pma_message());
	exit(EXIT_FAILURE);
}

/* ---- records ---- */

/* FNV-1a. */
static uint64_t hash(uint64_t sum, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	while (len--)
		sum = (sum ^ *p++) * UINT64_C(0x100000001b3);
	return sum;
}

static size_t record_size(uint32_t key_len, uint32_t value_len)
{
	return (sizeof(struct record) + (size_t)key_len + value_len + 7) & ~(size_t)7;
}

/* Never 0: zeroes are no record. */
static uint64_t checksum(const struct log *log, const struct record *record)
{
	uint64_t sum = hash(log->header->seed, &log->nr, sizeof(log->nr));

	sum = hash(sum, &record->key_len, sizeof(record->key_len) + sizeof(record->value_len));
	sum = hash(sum, record->data, (size_t)record->key_len + record->value_len);
	return sum ? sum : 1;
}

static size_t room(const struct log *log)
{
	return (size_t)((char *)log->header + pma_map_length(log->map) - log->end);
}

/* The record at the end, if it is whole. Its lengths are checked before they are believed. */
static struct record *next_record(const struct log *log)
{
	struct record *record = (struct record *)log->end;
	uint64_t commit;

	if (room(log) < sizeof(*record))
		return NULL;
	commit = atomic_load_explicit(&record->commit, memory_order_acquire);
	if (commit == 0 || record_size(record->key_len, record->value_len) > room(log) ||
	    commit != checksum(log, record))
		return NULL;
	return record;
}

static void step_over(struct log *log, const struct record *record)
{
	log->end += record_size(record->key_len, record->value_len);
	log->nr++;
}

static void rewind_log(struct log *log)
{
	log->end = (char *)(log->header + 1);
	log->nr = 0;
}

/* ---- opening ---- */

static void begin_log(struct log *log)
{
	struct header *header = log->header;

	header->seed = (uint64_t)time(NULL) << 32 ^ (uint64_t)getpid() << 16 ^
		       UINT64_C(0xcbf29ce484222325);
	if (pma_persist(log->map, header, sizeof(*header)) < 0)
		die("persist");
	atomic_store(&header->magic, MAGIC);
	if (pma_persist(log->map, header, sizeof(*header)) < 0)
		die("persist");
}

static void open_log(struct log *log, const char *name, bool is_writer)
{
	struct pma_handle handle;
	const struct record *record;
	int r;

	if (pma_connect(&log->pma, NULL) < 0)
		die("connect");
	r = pma_open(&handle, log->pma, name, is_writer ? 0 : PMA_READ_ONLY);
	if (r == -ENOENT && is_writer)
		r = pma_create(&handle, log->pma, name, LOG_SIZE, 0);
	if (r < 0)
		die(name);
	if (pma_map(&log->map, log->pma, handle, is_writer ? PMA_MAP_WRITE : PMA_MAP_READ) < 0)
		die("map");
	log->header = pma_map_address(log->map);
	if (atomic_load(&log->header->magic) != MAGIC && is_writer)
		begin_log(log);
	rewind_log(log);
	while ((record = next_record(log)))
		step_over(log, record);
}

static void close_log(struct log *log)
{
	pma_unmap(log->map);
	pma_disconnect(log->pma);
}

/* ---- commands ---- */

/* When this returns, the record survives anything. */
static bool put(struct log *log, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = strlen(value);
	struct record *record = (struct record *)log->end;

	if (key_len > UINT32_MAX || value_len > UINT32_MAX ||
	    record_size((uint32_t)key_len, (uint32_t)value_len) > room(log))
		return false;
	record->key_len = (uint32_t)key_len;
	record->value_len = (uint32_t)value_len;
	memcpy(record->data, key, key_len);
	memcpy(record->data + key_len, value, value_len);
	if (pma_persist(log->map, record, record_size(record->key_len, record->value_len)) < 0)
		die("persist");
	/* Only now: the commit word vouches for the body. */
	atomic_store_explicit(&record->commit, checksum(log, record), memory_order_release);
	if (pma_persist(log->map, &record->commit, sizeof(record->commit)) < 0)
		die("persist");
	step_over(log, record);
	return true;
}

static const struct record *find(struct log *log, const char *key)
{
	const struct record *record, *found = NULL;
	size_t len = strlen(key);

	rewind_log(log);
	while ((record = next_record(log))) {
		if (record->key_len == len && memcmp(record->data, key, len) == 0)
			found = record;
		step_over(log, record);
	}
	return found;
}

static int get(struct log *log, const char *key)
{
	const struct record *record = find(log, key);

	if (!record) {
		fprintf(stderr, "kvlog: there is no %s\n", key);
		return EXIT_FAILURE;
	}
	printf("%.*s\n", (int)record->value_len, record->data + record->key_len);
	return EXIT_SUCCESS;
}

static void list(struct log *log)
{
	const struct record *record;

	rewind_log(log);
	while ((record = next_record(log))) {
		printf("%.*s = %.*s\n", (int)record->key_len, record->data, (int)record->value_len,
		       record->data + record->key_len);
		step_over(log, record);
	}
}

/* ---- torture: a writer is killed again and again, and must have lost nothing ---- */

static void fill(char *text, size_t size, uint64_t nr)
{
	size_t len = (size_t)(nr * 7919 % (size - 1));

	memset(text, 'a' + (int)(nr % 26), len);
	text[len] = '\0';
}

/* Appends until it is killed or the log is full; tells each record's number when it is durable. */
static void write_for_ever(const char *name, int acknowledge)
{
	struct log log;
	char key[32], value[400];

	open_log(&log, name, true);
	do {
		snprintf(key, sizeof(key), "%" PRIu64, log.nr);
		fill(value, sizeof(value), log.nr);
		if (!put(&log, key, value))
			_exit(EXIT_SUCCESS);
	} while (write(acknowledge, &log.nr, sizeof(log.nr)) == sizeof(log.nr));
	_exit(EXIT_FAILURE);
}

/* One writer's life; how many records it acknowledged. */
static uint64_t kill_a_writer(const char *name, unsigned *seed, uint64_t acknowledged)
{
	int pipe_fds[2];
	uint64_t nr;
	pid_t writer;

	if (pipe(pipe_fds) < 0 || (writer = fork()) < 0) {
		perror("kvlog");
		exit(EXIT_FAILURE);
	}
	if (writer == 0) {
		close(pipe_fds[0]);
		write_for_ever(name, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 + rand_r(seed) % 20000000 }, NULL);
	kill(writer, SIGKILL);
	while (read(pipe_fds[0], &nr, sizeof(nr)) == sizeof(nr))
		acknowledged = nr;
	close(pipe_fds[0]);
	waitpid(writer, NULL, 0);
	return acknowledged;
}

/*
 * All that was acknowledged is there, every record is what its number says; true: there is room for
 * more.
 */
static bool check(const char *name, uint64_t acknowledged)
{
	const struct record *record;
	struct log log;
	char value[400];
	bool has_room;

	open_log(&log, name, true);
	if (log.nr < acknowledged) {
		fprintf(stderr,
			"kvlog: %" PRIu64 " records were acknowledged, %" PRIu64 " are there\n",
			acknowledged, log.nr);
		exit(EXIT_FAILURE);
	}
	has_room = room(&log) > sizeof(struct record) + sizeof(value) + 32;
	rewind_log(&log);
	while ((record = next_record(&log))) {
		fill(value, sizeof(value), log.nr);
		if (record->value_len != strlen(value) ||
		    memcmp(record->data + record->key_len, value, record->value_len) != 0) {
			fprintf(stderr, "kvlog: record %" PRIu64 " is not what was put\n", log.nr);
			exit(EXIT_FAILURE);
		}
		step_over(&log, record);
	}
	close_log(&log);
	return has_room;
}

static int torture(const char *name, int seconds)
{
	time_t end = time(NULL) + seconds;
	unsigned seed = (unsigned)getpid();
	uint64_t acknowledged = 0;
	int nr_kills = 0;

	do {
		acknowledged = kill_a_writer(name, &seed, acknowledged);
		nr_kills++;
	} while (check(name, acknowledged) && time(NULL) < end);
	printf("%d writers killed, %" PRIu64 " records acknowledged, none lost\n", nr_kills,
	       acknowledged);
	return EXIT_SUCCESS;
}

static int usage(void)
{
	fprintf(stderr, "usage: kvlog NAME put KEY VALUE | get KEY | list | torture [SECONDS]\n"
			"(torture wants a NAME of its own)\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct log log;
	int r = EXIT_SUCCESS;

	if (argc >= 3 && argc <= 4 && strcmp(argv[2], "torture") == 0)
		return torture(argv[1], argc > 3 ? atoi(argv[3]) : 5);
	if (!(argc == 5 && strcmp(argv[2], "put") == 0) &&
	    !(argc == 4 && strcmp(argv[2], "get") == 0) &&
	    !(argc == 3 && strcmp(argv[2], "list") == 0))
		return usage();
	open_log(&log, argv[1], argc == 5);
	if (argc == 3) {
		list(&log);
	} else if (argc == 4) {
		r = get(&log, argv[3]);
	} else if (!put(&log, argv[3], argv[4])) {
		fprintf(stderr, "kvlog: the log is full\n");
		r = EXIT_FAILURE;
	}
	close_log(&log);
	return r;
}
