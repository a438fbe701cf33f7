/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap: with a stand-in for the library and one for memkind, each of which can be told to fail.
 * What fails must leave nothing behind, and what could be had must not be refused. The real memkind
 * is met in tests/system/test_heap.
 */
#include <config.h>

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <memkind.h>
#include <pmemarena-heap.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "tests/unit/unit.h"

#define MIB(n) (UINT64_C(n) << 20)

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);

/* ---- what can fail ---- */

static int countdown;           /* the call that fails, counted down; 0: none */
static bool has_failed;

static bool fails(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	has_failed = true;
	return true;
}

/*
 * Only the heap's: Check asks for memory too, also when it asserts, so what runs inside has
 * assert().
 */
static bool is_inside;

void *__wrap_malloc(size_t size)
{
	return is_inside && fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return is_inside && fails() ? NULL : __real_calloc(nr, size);
}

/* ---- the library ---- */

#define ARENA_BYTES MIB(512)

struct pma_mapping {
	char *memory;
	uint64_t len;
};

static struct {
	uint64_t free, lens[256];       /* bytes; of reservations, by id */
	unsigned nr_asked, nr_reserved, nr_mapped;
	bool is_lost;
} arena;
static char said[64];

int pma_arena_get(struct pma_arena *out, struct pma *pma, uint32_t index)
{
	(void)pma;
	if (index > 0 || fails())
		return -ENOENT;
	*out = (struct pma_arena){ .page_size = MIB(2), .size = ARENA_BYTES };
	return 0;
}

int pma_run(struct pma *pma, struct pma_op *op, size_t nr)
{
	(void)pma;
	assert(nr == 1 && op->opcode == PMA_OP_RESERVE && op->len > 0 && op->len % MIB(2) == 0);
	arena.nr_asked++;
	snprintf(said, sizeof(said), "asked for %ju", (uintmax_t)op->len >> 20);
	if (arena.is_lost || fails())
		return -ENOTCONN;
	op->result = op->len > ARENA_BYTES ? -EINVAL : op->len > arena.free ? -ENOSPC : 0;
	if (op->result < 0)
		return 0;
	op->handle.id = ++arena.nr_reserved;
	arena.free -= op->len;
	arena.lens[op->handle.id] = op->len;
	return 0;
}

int pma_abort(struct pma *pma, struct pma_handle handle)
{
	(void)pma;
	assert(arena.lens[handle.id] > 0);
	arena.free += arena.lens[handle.id];
	arena.lens[handle.id] = 0;
	return 0;
}

int pma_map(struct pma_mapping **out, struct pma *pma, struct pma_handle handle, uint32_t flags)
{
	struct pma_mapping *map;

	(void)pma;
	assert(flags == PMA_MAP_WRITE);
	if (fails())
		return -ENOMEM;
	map = __real_malloc(sizeof(*map));
	map->len = arena.lens[handle.id];
	map->memory = mmap(NULL, map->len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(map->memory != MAP_FAILED);
	arena.nr_mapped++;
	*out = map;
	return 0;
}

void pma_unmap(struct pma_mapping *map)
{
	if (!map)
		return;
	munmap(map->memory, map->len);
	arena.nr_mapped--;
	free(map);
}

void *pma_map_address(const struct pma_mapping *map)
{
	return map->memory;
}

size_t pma_map_length(const struct pma_mapping *map)
{
	return map->len;
}

const char *pma_message(void)
{
	return said;
}

int pmemarena_error_set(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- memkind ---- */

/* Objects one after the other, with their sizes before them; nothing is used again. */

#define BEFORE 16u

struct memkind {
	char *base;
	size_t len;
	_Atomic size_t used;
	_Atomic long nr_objects;
};

static unsigned nr_kinds;

int memkind_create_fixed(void *addr, size_t size, memkind_t *kind)
{
	/* as the real one: it sets it also when it fails */
	*kind = (struct memkind *)(uintptr_t)8;
	if (fails())
		return MEMKIND_ERROR_INVALID;
	*kind = __real_calloc(1, sizeof(**kind));
	(*kind)->base = addr;
	(*kind)->len = size;
	nr_kinds++;
	return MEMKIND_SUCCESS;
}

int memkind_destroy_kind(memkind_t kind)
{
	assert(nr_kinds > 0);
	/* The memory is still there: memkind has its own in it. */
	*(volatile char *)kind->base = 0;
	nr_kinds--;
	free(kind);
	return MEMKIND_SUCCESS;
}

int memkind_posix_memalign(memkind_t kind, void **out, size_t align, size_t size)
{
	size_t need, from;
	char *object;

	if (size > kind->len || align > kind->len)
		return ENOMEM;
	need = (size + align + 2 * BEFORE) / BEFORE * BEFORE;
	from = atomic_load(&kind->used);
	do {
		if (need > kind->len - from)
			return ENOMEM;
	} while (!atomic_compare_exchange_weak(&kind->used, &from, from + need));
	object = (char *)(((uintptr_t)kind->base + from + BEFORE + align - 1) / align * align);
	*(size_t *)(void *)(object - BEFORE) = size;
	atomic_fetch_add(&kind->nr_objects, 1);
	*out = object;
	return 0;
}

void *memkind_malloc(memkind_t kind, size_t size)
{
	void *object;

	return memkind_posix_memalign(kind, &object, BEFORE, size) == 0 ? object : NULL;
}

size_t memkind_malloc_usable_size(memkind_t kind, void *object)
{
	assert((char *)object > kind->base && (char *)object < kind->base + kind->len);
	return *(size_t *)(void *)((char *)object - BEFORE);
}

void memkind_free(memkind_t kind, void *object)
{
	assert((char *)object > kind->base && (char *)object < kind->base + kind->len);
	atomic_fetch_sub(&kind->nr_objects, 1);
}

void *memkind_realloc(memkind_t kind, void *object, size_t size)
{
	void *moved = memkind_malloc(kind, size);
	size_t old = memkind_malloc_usable_size(kind, object);

	if (!moved)
		return NULL;
	memcpy(moved, object, old < size ? old : size);
	memkind_free(kind, object);
	return moved;
}

int memkind_update_cached_stats(void)
{
	return MEMKIND_SUCCESS;
}

int memkind_get_stat(memkind_t kind, memkind_stat_type stat, size_t *value)
{
	assert(stat == MEMKIND_STAT_TYPE_ALLOCATED);
	*value = (size_t)atomic_load(&kind->nr_objects);
	return MEMKIND_SUCCESS;
}

/* ---- tests ---- */

static struct pma_heap *heap;

static void fresh(void)
{
	memset(&arena, 0, sizeof(arena));
	arena.free = ARENA_BYTES;
	countdown = 0;
	has_failed = false;
	heap = NULL;
}

static void has_nothing_left(void)
{
	ck_assert_uint_eq(arena.free, ARENA_BYTES);
	ck_assert_uint_eq(arena.nr_mapped, 0);
	ck_assert_uint_eq(nr_kinds, 0);
}

static uint32_t nr_extents(void)
{
	struct pma_heap_info stat;

	pma_heap_stat(&stat, heap);
	return stat.nr_extents;
}

/* Opens, grows twice, closes; 0, or what failed. */
static int live(void)
{
	void *objects[3] = { NULL };
	int r = pma_heap_open(&heap, NULL, 0, MIB(16), 0);

	for (int i = 0; r == 0 && i < 3; i++) {
		objects[i] = pma_heap_malloc(heap, MIB(15) << i);
		r = objects[i] ? 0 : -errno;
	}
	for (int i = 0; i < 3; i++)
		assert(!heap || pma_heap_free(heap, objects[i]) == 0);
	if (heap)
		pma_heap_close(heap);
	return r;
}

START_TEST(test_heap_with_any_call_failing_leaves_nothing)
{
	int n = 0;

	do {
		int r;

		fresh();
		countdown = ++n;
		is_inside = true;
		r = live();
		is_inside = false;
		/* What failed for want of memory may have worked in a smaller way. */
		ck_assert(has_failed || r == 0);
		has_nothing_left();
	} while (has_failed);
	ck_assert_int_gt(n, 12);
}
END_TEST

START_TEST(test_heap_that_failed_to_grow_grows_later)
{
	char why[64];

	for (int n = 1; n <= 3; n++) {
		fresh();
		ck_assert_int_eq(pma_heap_open(&heap, NULL, 0, MIB(16), 0), 0);
		ck_assert_int_eq(pma_heap_why(heap, why, sizeof(why)), 0);
		ck_assert_str_eq(why, "");
		countdown = n;          /* the reservation, the map, the kind */
		ck_assert_ptr_null(pma_heap_malloc(heap, MIB(40)));
		ck_assert(has_failed);
		ck_assert_int_eq(pma_heap_why(heap, why, sizeof(why)), n == 1	? -ENOTCONN
								       : n == 2 ? -ENOMEM
										: -EMFILE);
		/* Sooner would be refused without asking. */
		usleep(120000);
		ck_assert_ptr_nonnull(pma_heap_malloc(heap, MIB(40)));
		pma_heap_close(heap);
		has_nothing_left();
	}
}
END_TEST

START_TEST(test_heap_refused_much_still_gets_little)
{
	uint64_t bytes = 0;
	char why[64];

	fresh();
	ck_assert_int_eq(pma_heap_open(&heap, NULL, 0, MIB(16), 0), 0);
	errno = 0;
	ck_assert_ptr_null(pma_heap_malloc(heap, MIB(1024)));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(pma_heap_why(heap, why, sizeof(why)), -EINVAL);
	while (pma_heap_malloc(heap, MIB(1)))
		bytes += MIB(1);
	ck_assert_uint_gt(bytes, ARENA_BYTES - MIB(32));
	pma_heap_close(heap);
	has_nothing_left();
}
END_TEST

START_TEST(test_heap_refused_does_not_ask_each_time)
{
	unsigned nr;

	fresh();
	ck_assert_int_eq(pma_heap_open(&heap, NULL, 0, MIB(16), 0), 0);
	arena.is_lost = true;
	ck_assert_ptr_null(pma_heap_malloc(heap, MIB(20)));
	nr = arena.nr_asked;
	for (int i = 0; i < 100; i++)
		ck_assert_ptr_null(pma_heap_malloc(heap, MIB(19)));
	ck_assert_uint_le(arena.nr_asked, nr + 2);
	ck_assert_ptr_nonnull(pma_heap_malloc(heap, 100));
	pma_heap_close(heap);
}
END_TEST

START_TEST(test_heap_takes_one_extent_for_one_aligned_object)
{
	void *object;

	fresh();
	ck_assert_int_eq(pma_heap_open(&heap, NULL, 0, MIB(16), 0), 0);
	object = pma_heap_aligned_alloc(heap, MIB(64), MIB(64));
	ck_assert_ptr_nonnull(object);
	ck_assert_uint_eq((uintptr_t)object % MIB(64), 0);
	ck_assert_uint_eq(nr_extents(), 2);
	ck_assert_ptr_null(pma_heap_aligned_alloc(heap, UINT64_C(1) << 63, 100));
	ck_assert_ptr_null(pma_heap_malloc(heap, SIZE_MAX));
	ck_assert_uint_eq(nr_extents(), 2);
	pma_heap_close(heap);
	has_nothing_left();
}
END_TEST

START_TEST(test_heap_of_a_parent_is_refused_in_a_child)
{
	char why[64];
	int status;

	fresh();
	ck_assert_int_eq(pma_heap_open(&heap, NULL, 0, MIB(16), 0), 0);
	if (fork() == 0) {
		bool ok = !pma_heap_malloc(heap, 1) && errno == EPERM &&
			  pma_heap_why(heap, why, sizeof(why)) == -EPERM && strstr(why, "fork");

		_exit(ok ? 0 : 1);
	}
	ck_assert(wait(&status) > 0 && status == 0);
	pma_heap_close(heap);
	has_nothing_left();
}
END_TEST

#define NR_THREADS 4
#define SHARED 64

static _Atomic(unsigned char *) shared[SHARED];

/* Frees what others allocated, while the table of extents is replaced again and again. */
static void *work(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 400; i++) {
		size_t size = MIB(1) / 4 + (size_t)rand_r(&seed) % MIB(1) / 4;
		unsigned char *object = pma_heap_malloc(heap, size);

		if (object)
			object[0] = object[size - 1] = 7;
		object = atomic_exchange(&shared[rand_r(&seed) % SHARED], object);
		assert(!object ||
		       (object[0] == 7 && object[pma_heap_usable_size(heap, object) - 1] == 7));
		assert(pma_heap_free(heap, object) == 0);
	}
	return NULL;
}

START_TEST(test_heap_with_threads_grows_and_frees_across_them)
{
	pthread_t threads[NR_THREADS];
	struct pma_heap_info stat;

	fresh();
	ck_assert_int_eq(pma_heap_open(&heap, NULL, 0, MIB(16), 0), 0);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SHARED; i++)
		ck_assert_int_eq(pma_heap_free(heap, shared[i]), 0);
	pma_heap_stat(&stat, heap);
	ck_assert_uint_gt(stat.nr_extents, 4);
	ck_assert_uint_eq(stat.allocated, 0);
	pma_heap_close(heap);
	has_nothing_left();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_heap_with_any_call_failing_leaves_nothing);
	tcase_add_test(t, test_heap_that_failed_to_grow_grows_later);
	tcase_add_test(t, test_heap_refused_much_still_gets_little);
	tcase_add_test(t, test_heap_refused_does_not_ask_each_time);
	tcase_add_test(t, test_heap_takes_one_extent_for_one_aligned_object);
	tcase_add_test(t, test_heap_of_a_parent_is_refused_in_a_child);
	tcase_add_test(t, test_heap_with_threads_grows_and_frees_across_them);
}

UNIT("heap", { .add = add_tests });
