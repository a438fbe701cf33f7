// SPDX-License-Identifier: BSD-3-Clause
/*
 * The program that test_cxx compiles and runs: `owners CASE` does one thing with <pmemarena.hpp>
 * and prints what came of it. PMEMARENA_SOCKET names the daemon. test_cxx defines WITH_HEAP where the
 * heap was built.
 */
#include <pmemarena.hpp>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>

static_assert(!std::is_copy_constructible_v<pmemarena::connection>);
static_assert(!std::is_copy_constructible_v<pmemarena::mapping>);
static_assert(!std::is_copy_constructible_v<pmemarena::cache>);
static_assert(!std::is_copy_constructible_v<pmemarena::window>);
static_assert(!std::is_copy_constructible_v<pmemarena::pin>);
static_assert(!std::is_copy_constructible_v<pmemarena::piece>);
static_assert(!std::is_copy_constructible_v<pmemarena::options>);
static_assert(std::is_nothrow_move_constructible_v<pmemarena::connection>);
static_assert(std::is_nothrow_move_assignable_v<pmemarena::mapping>);
static_assert(std::is_nothrow_move_assignable_v<pmemarena::piece>);

/* With the names of the C interface alone. */
struct unmapper {
	void operator()(pma_mapping *map) const { pma_unmap(map); }
};
using own_pointer = std::unique_ptr<pma_mapping, unmapper>;

static int run_own_pointers()
{
	pmemarena::connection daemon;
	const pma_handle handle = daemon.create("own", 4096);
	pma_mapping *map;

	pmemarena::check(pma_map(&map, daemon.get(), handle, PMA_MAP_WRITE));
	own_pointer owner(map);
	pma_handle none = PMA_HANDLE_NONE;
	const pma_info info = daemon.stat("own");
	std::cout << pma_map_length(owner.get()) << ' ' << info.len << ' ' << none.id << '\n';
	return 0;
}

static int run_greeting()
{
	pmemarena::connection daemon(pmemarena::options().reconnect(std::chrono::seconds(1)));
	pmemarena::mapping map = daemon.map(daemon.create("greeting", 4096), PMA_MAP_WRITE);

	map.memcpy(map.data(), "hello", 6);
	pmemarena::span<std::uint64_t> words = map.as<std::uint64_t>();
	words[1] = 7;
	map.persist(&words[1], sizeof(words[1]));
	map.reset();

	const pmemarena::mapping again = daemon.map(daemon.open("greeting", PMA_READ_ONLY));
	pmemarena::span<const std::byte> bytes = again.bytes();
	std::cout << reinterpret_cast<const char *>(bytes.data()) << ' '
		  << std::to_integer<int>(bytes[8]) << ' ' << bytes.size() << '\n';
	return 0;
}

static int run_errors()
{
	pmemarena::connection daemon;

	try {
		daemon.open("nosuch");
	} catch (const std::system_error &e) {
		std::cout << e.code().value() << ' ' << e.what() << '\n';
	}
	try {
		pmemarena::connection nowhere(pmemarena::options().socket("/nonexistent/socket")
						      .reconnect(std::chrono::milliseconds(0)));
	} catch (const pmemarena::error &e) {
		std::cout << (e.code() == std::errc::no_such_file_or_directory) << ' ' << e.what()
			  << '\n';
	}
	return 0;
}

/* What was made from a connection may outlive its variable, and what was moved is ended once. */
static int run_lifetimes()
{
	std::optional<pmemarena::connection> daemon(std::in_place);
	pmemarena::connection other;
	pmemarena::mapping kept = daemon->map(daemon->create("kept", 4096), PMA_MAP_WRITE);
	pmemarena::mapping moved;

	moved = std::move(kept);
	daemon.reset();
	moved.memset(moved.data(), 'x', 4096);
	moved = other.map(other.create("second", 8192), PMA_MAP_WRITE);
	std::cout << static_cast<bool>(kept) << ' ' << moved.size();
	/* The session of the first connection has ended with its mapping: nothing is open there. */
	other.free(other.open("kept"));
	pmemarena::connection taken = std::move(other);
	std::cout << ' ' << taken.list().size() << '\n';
	return 0;
}

static int run_many()
{
	pmemarena::connection daemon;
	std::vector<pma_op> ops(100);
	std::vector<std::string> names;

	for (size_t i = 0; i < ops.size(); i++)
		names.push_back("many." + std::to_string(i));
	for (size_t i = 0; i < ops.size(); i++) {
		ops[i].opcode = PMA_OP_CREATE;
		ops[i].name = names[i].c_str();
		ops[i].len = 4096;
	}
	daemon.run(ops);
	for (const pma_op &op : ops)
		pmemarena::check(op.result);
	std::cout << daemon.list("many.").size() << ' '
		  << daemon.extents(ops[0].handle).size() << '\n';
	return 0;
}

static int run_cache()
{
	std::optional<pmemarena::connection> daemon(std::in_place);
	std::optional<pmemarena::cache> cache(std::in_place, *daemon, 16u << 20);
	pmemarena::piece piece = cache->reserve(4096);
	pmemarena::piece second = cache->reserve(4096);

	std::memcpy(piece.data(), "piece", 6);
	piece.persist();
	const pma_handle handle = cache->publish(piece, "piece");
	std::cout << daemon->stat("piece").len << ' '
		  << (daemon->stat(handle).handle.id == handle.id);
	second = std::move(piece);
	std::cout << ' ' << cache->stat().in_use << ' ' << second.bytes().size() << '\n';
	daemon.reset();
	cache.reset();
	std::cout << reinterpret_cast<char *>(second.data()) << '\n';
	return 0;
}

static int run_window()
{
	std::optional<pmemarena::connection> daemon(std::in_place);
	pmemarena::window window(*daemon);
	const pma_handle handle = daemon->create("seen", 4096);
	pmemarena::mapping map = daemon->map(handle, PMA_MAP_WRITE);

	map.memcpy(map.data(), "seen", 5);
	map.reset();
	pmemarena::pin pin = window.find("seen");
	pmemarena::pin same = window.find(handle);
	const auto *text = reinterpret_cast<const char *>(pin.data());
	std::cout << text << ' ' << pin.size() << ' ' << (pin.data() == same.data()) << ' '
		  << pin.pieces().size() << ' ' << static_cast<bool>(window.find("none")) << '\n';
	same = std::move(pin);
	daemon->close(handle);
	daemon->free(handle);
	daemon.reset();
	std::cout << text << ' ' << static_cast<bool>(pin) << '\n';
	try {
		window.find("seen", PMA_GET_WRITE);
	} catch (const pmemarena::error &e) {
		std::cout << (e.code().value() == EACCES) << '\n';
	}
	return 0;
}

static int run_heap()
{
#ifdef WITH_HEAP
	pmemarena::connection daemon;
	pmemarena::heap heap(daemon);
	const pmemarena::heap_allocator<int> allocator(heap);
	std::vector<int, pmemarena::heap_allocator<int>> numbers(allocator);
	void *object = heap.malloc(100);

	for (int i = 0; i < 1000; i++)
		numbers.push_back(i);
	std::cout << (object != nullptr) << ' ' << numbers[999] << ' '
		  << (heap.stat().nr_extents > 0) << '\n';
	heap.free(object);
	return 0;
#else
	return 77;
#endif
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(); } cases[] = {
		{ "own_pointers", run_own_pointers }, { "greeting", run_greeting },
		{ "errors", run_errors },
		{ "lifetimes", run_lifetimes }, { "many", run_many },
		{ "cache", run_cache }, { "heap", run_heap }, { "window", run_window },
	};

	for (const auto &one : cases)
		if (argc == 2 && std::strcmp(argv[1], one.name) == 0)
			return one.run();
	std::fprintf(stderr, "usage: owners CASE\n");
	return 64;
}
