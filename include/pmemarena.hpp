/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena for C++17: owners that cannot be copied, exceptions in the place of error numbers, and
 * memory as a span. A thin cover of <pmemarena.h>, which explains every call; nothing of it is in a
 * library, so a program may mix both and use only what it likes.
 *
 *	pmemarena::connection daemon;
 *	pma_handle handle = daemon.create("greeting", 4096);
 *	pmemarena::mapping map = daemon.map(handle, PMA_MAP_WRITE);
 *
 *	map.memcpy(map.data(), "hello", 6);                     copied and persistent at return
 *
 * Errors. A call that fails throws pmemarena::error, a std::system_error: code() is the errno, and
 * what() begins with the sentence that pma_message() has. Owners end what they own when they are
 * destroyed and cannot say that this failed: no program could do anything about it.
 *
 * Lifetimes. A mapping, a window, a cache, a piece of a cache and a heap each keep the connection
 * that they were made from: the session ends when the last of them is gone, in whatever order they
 * go. A pin is too short-lived for that: its window must outlive it. What
 * the C calls borrow (a name, an operation) is borrowed here too.
 *
 * Threads and fork are as the C headers say. pmemarena::heap is there where <pmemarena-heap.h> is;
 * a program that uses it links libpmemarena-heap as well. The namespace is not called pma because
 * struct pma, the connection of the C interface, has that name.
 */
#ifndef PMEMARENA_HPP
#define PMEMARENA_HPP

#include <pmemarena.h>
#if __has_include(<pmemarena-heap.h>)
#include <pmemarena-heap.h>
#define PMA_HAS_HEAP 1
#endif

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace pmemarena {

/* ---- errors ---- */

class error : public std::system_error {
public:
	/* @result: the negative errno of the call that failed in this thread just now. */
	explicit error(int result) : error(result, pma_message()) {}
	error(int result, const char *sentence)
		: std::system_error(-result, std::generic_category(),
				    *sentence ? sentence : "pmemarena") {}
};

/* For calls of the C interface that this header does not cover: throws when @result is an error. */
inline int check(int result)
{
	if (result < 0)
		throw error(result);
	return result;
}

/* ---- memory as it is seen ---- */

/* A view of @size elements that somebody else owns; std::span is C++20. */
template <typename T>
class span {
public:
	using element_type = T;
	using value_type = std::remove_cv_t<T>;

	constexpr span() noexcept = default;
	constexpr span(T *first, std::size_t nr) noexcept : first_(first), nr_(nr) {}
	/* Of something to something that may only be read. */
	template <typename U, typename = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
	constexpr span(const span<U> &other) noexcept : first_(other.data()), nr_(other.size()) {}

	constexpr T *data() const noexcept { return first_; }
	constexpr std::size_t size() const noexcept { return nr_; }
	constexpr bool empty() const noexcept { return nr_ == 0; }
	constexpr T *begin() const noexcept { return first_; }
	constexpr T *end() const noexcept { return first_ + nr_; }
	constexpr T &operator[](std::size_t i) const { return first_[i]; }

private:
	T *first_ = nullptr;
	std::size_t nr_ = 0;
};

/* As many T as fit into @len bytes. The bytes may be of an earlier run: T must be plain data. */
template <typename T>
span<T> span_of(void *address, std::size_t len)
{
	static_assert(std::is_trivially_copyable_v<T>, "what outlives the process is plain data");
	return { static_cast<T *>(address), len / sizeof(T) };
}

/* ---- owners of what the C interface hands out, for programs that want no more than these ---- */

template <auto end>
struct ender {
	template <typename T>
	void operator()(T *object) const noexcept { end(object); }
};

using options_ptr = std::unique_ptr<pma_options, ender<pma_options_free>>;
using connection_ptr = std::unique_ptr<::pma, ender<pma_disconnect>>;
using mapping_ptr = std::unique_ptr<pma_mapping, ender<pma_unmap>>;
using window_ptr = std::unique_ptr<pma_window, ender<pma_window_close>>;
using cache_ptr = std::unique_ptr<pma_cache, ender<pma_cache_close>>;

/* ---- options ---- */

class options {
public:
	options()
	{
		pma_options *made;

		check(pma_options_new(&made));
		options_.reset(made);
	}

	options &socket(const std::string &path)
	{
		check(pma_options_set_socket(get(), path.c_str()));
		return *this;
	}

	options &reconnect(std::chrono::milliseconds timeout)
	{
		check(pma_options_set_reconnect_ms(get(), clamp(timeout.count())));
		return *this;
	}

	options &busy_poll(std::chrono::microseconds time)
	{
		check(pma_options_set_busy_poll_us(get(), clamp(time.count())));
		return *this;
	}

	pma_options *get() const noexcept { return options_.get(); }

private:
	/* Longer than the C call can say is as long as it can say, not what is left modulo 2^32. */
	template <typename Count>
	static std::uint32_t clamp(Count count)
	{
		constexpr auto most = std::numeric_limits<std::uint32_t>::max();

		if (count < 0)
			return 0;
		return count > static_cast<Count>(most) ? most : static_cast<std::uint32_t>(count);
	}

	options_ptr options_;
};

/* ---- a mapping ---- */

class mapping {
public:
	mapping() noexcept = default;

	std::byte *data() noexcept { return static_cast<std::byte *>(pma_map_address(get())); }
	const std::byte *data() const noexcept
	{
		return static_cast<const std::byte *>(pma_map_address(get()));
	}
	std::size_t size() const noexcept { return pma_map_length(get()); }
	/* Without PMA_MAP_WRITE the bytes can be read only, whatever the type of this span says. */
	span<std::byte> bytes() noexcept { return { data(), size() }; }
	span<const std::byte> bytes() const noexcept { return { data(), size() }; }
	template <typename T>
	span<T> as() { return span_of<T>(data(), size()); }
	pma_handle handle() const noexcept { return pma_map_handle(get()); }

	void persist() { persist(data(), size()); }
	void persist(const void *address, std::size_t len)
	{
		check(pma_persist(get(), address, len));
	}
	void flush(const void *address, std::size_t len) { check(pma_flush(get(), address, len)); }
	void drain() { check(pma_drain(get())); }
	void memcpy(void *to, const void *from, std::size_t len)
	{
		check(pma_memcpy(get(), to, from, len));
	}
	void memset(void *to, int byte, std::size_t len)
	{
		check(pma_memset(get(), to, byte, len));
	}

	/* Unmap now. An empty mapping, as one that was moved from, can do operator bool alone. */
	void reset() noexcept
	{
		mapping_.reset();
		connection_.reset();
	}
	explicit operator bool() const noexcept { return static_cast<bool>(mapping_); }
	pma_mapping *get() const noexcept { return mapping_.get(); }

private:
	friend class connection;
	mapping(std::shared_ptr<::pma> connection, pma_mapping *made) noexcept
		: connection_(std::move(connection)), mapping_(made) {}

	std::shared_ptr<::pma> connection_;     /* destroyed after mapping_, as it comes before */
	mapping_ptr mapping_;
};

/* ---- a connection ---- */

class connection {
public:
	connection() : connection(nullptr) {}
	explicit connection(const options &options) : connection(options.get()) {}
	connection(connection &&) noexcept = default;
	connection &operator=(connection &&) noexcept = default;
	connection(const connection &) = delete;
	connection &operator=(const connection &) = delete;

	::pma *get() const noexcept { return connection_.get(); }

	/* -- arenas -- */

	std::uint32_t arena_count() const { return pma_arena_count(get()); }
	pma_arena arena(std::uint32_t index) const
	{
		pma_arena arena;

		check(pma_arena_get(&arena, get(), index));
		return arena;
	}
	std::uint32_t find_arena(const std::string &name_or_uuid) const
	{
		std::uint32_t index;

		check(pma_arena_find(&index, get(), name_or_uuid.c_str()));
		return index;
	}

	/* -- allocations; @name nullptr: none -- */

	pma_handle reserve(const char *name, std::uint64_t len, std::uint32_t flags = 0)
	{
		pma_handle handle;

		check(pma_reserve(&handle, get(), name, len, flags));
		return handle;
	}
	pma_handle create(const char *name, std::uint64_t len, std::uint32_t flags = 0)
	{
		pma_handle handle;

		check(pma_create(&handle, get(), name, len, flags));
		return handle;
	}
	pma_handle open(const char *name, std::uint32_t flags = 0)
	{
		pma_handle handle;

		check(pma_open(&handle, get(), name, flags));
		return handle;
	}
	/* By a handle that was stored or passed on. */
	pma_handle open(pma_handle handle, std::uint32_t flags = 0)
	{
		check(pma_open(&handle, get(), nullptr, flags));
		return handle;
	}
	pma_handle open_owned(const char *name, std::uint32_t uid, std::uint32_t flags = 0)
	{
		pma_handle handle;

		check(pma_open_owned(&handle, get(), name, flags, uid));
		return handle;
	}
	void publish(pma_handle handle, std::uint32_t flags = 0)
	{
		check(pma_publish_flags(get(), handle, flags));
	}
	void touch(pma_handle handle) { check(pma_touch(get(), handle)); }
	void replace(pma_handle handle, const char *name)
	{
		check(pma_replace(get(), handle, name));
	}
	void abort(pma_handle handle) { check(pma_abort(get(), handle)); }
	void close(pma_handle handle) { check(pma_close(get(), handle)); }
	void free(pma_handle handle) { check(pma_free(get(), handle)); }
	void resize(pma_handle handle, std::uint64_t len) { check(pma_resize(get(), handle, len)); }
	void rename(pma_handle handle, const char *name, std::uint32_t flags = 0)
	{
		check(pma_rename_flags(get(), handle, name, flags));
	}
	void set_attributes(pma_handle handle, const void *attributes, std::size_t len)
	{
		check(pma_set_attributes(get(), handle, attributes, len));
	}
	void set_owner(pma_handle handle, std::uint32_t uid, std::uint32_t gid)
	{
		check(pma_set_owner(get(), handle, uid, gid));
	}
	void set_mode(pma_handle handle, std::uint32_t mode)
	{
		check(pma_set_mode(get(), handle, mode));
	}

	/* Does it still exist? No message. */
	bool is_valid(pma_handle handle) const { return pma_is_valid(get(), handle); }
	pma_info stat(pma_handle handle) const
	{
		pma_info info;

		check(pma_stat(&info, get(), handle));
		return info;
	}
	pma_info stat(const char *name, std::uint32_t arena = 0) const
	{
		pma_info info;

		check(pma_stat_name(&info, get(), arena, name));
		return info;
	}
	std::vector<pma_info> list(const char *prefix = nullptr, std::uint32_t arena = 0) const
	{
		std::vector<pma_info> all;
		std::uint64_t cursor = 0;

		do {
			const std::size_t had = all.size();
			std::size_t nr = 64;

			all.resize(had + nr);
			check(pma_list(&all[had], &nr, &cursor, get(), arena, prefix));
			all.resize(had + nr);
		} while (cursor);
		return all;
	}
	std::vector<pma_extent> extents(pma_handle handle) const
	{
		std::vector<pma_extent> all;
		std::size_t nr;

		do {
			const std::size_t had = all.size();

			nr = 16;
			all.resize(had + nr);
			check(pma_extents(&all[had], &nr, get(), handle, had));
			all.resize(had + nr);
		} while (nr == 16);
		return all;
	}
	/* Throws when the connection fails; what became of each operation is in its result. */
	void run(pma_op *ops, std::size_t nr) { check(pma_run(get(), ops, nr)); }
	void run(std::vector<pma_op> &ops) { run(ops.data(), ops.size()); }

	mapping map(pma_handle handle, std::uint32_t flags = PMA_MAP_READ)
	{
		pma_mapping *made;

		check(pma_map(&made, get(), handle, flags));
		return mapping(connection_, made);
	}

	/* -- for a caller's own loop -- */

	/*
	 * pma_subscribe() has no cover: C code calls its callback, and no exception may pass
	 * through C code. So a callback is a function without exceptions, given to
	 * pma_subscribe(get(), ...).
	 */

	int fd() const noexcept { return pma_get_fd(get()); }
	void dispatch() { check(pma_dispatch(get())); }

private:
	friend class window;
	friend class cache;
	friend class heap;

	explicit connection(const pma_options *options)
	{
		::pma *made;

		check(pma_connect(&made, options));
		connection_.reset(made, ender<pma_disconnect>());
	}

	std::shared_ptr<::pma> connection_;
};

/* ---- a window ---- */

/* An allocation that is pinned until this is gone. Empty: it was not found. */
class pin {
public:
	pin() noexcept = default;
	pin(pin &&other) noexcept
		: window_(std::exchange(other.window_, nullptr)), pin_(other.pin_) {}
	pin &operator=(pin &&other) noexcept
	{
		if (this != &other) {
			reset();
			window_ = std::exchange(other.window_, nullptr);
			pin_ = other.pin_;
		}
		return *this;
	}
	~pin() { reset(); }

	/* The first piece; all of it unless pieces() says more. */
	const std::byte *data() const noexcept { return static_cast<std::byte *>(pin_.address); }
	std::size_t size() const noexcept { return static_cast<std::size_t>(pin_.len); }
	span<const std::byte> bytes() const noexcept { return { data(), size() }; }
	/* For storing: of a window and a get that were for writing. */
	span<std::byte> writable() noexcept
	{
		return { static_cast<std::byte *>(pin_.address), size() };
	}
	std::vector<pma_range> pieces() const
	{
		std::vector<pma_range> all(pin_.nr_pieces);
		std::size_t nr = all.size();

		pma_pin_pieces(all.data(), &nr, &pin_, 0);
		return all;
	}
	pma_handle handle() const noexcept { return pin_.handle; }
	const pma_pin &get() const noexcept { return pin_; }

	/* Put it now. */
	void reset() noexcept
	{
		if (window_)
			pma_put(std::exchange(window_, nullptr), &pin_, 1);
	}
	explicit operator bool() const noexcept { return window_ != nullptr; }

private:
	friend class window;
	pin(pma_window *window, const pma_pin &made) noexcept : window_(window), pin_(made) {}

	pma_window *window_ = nullptr;
	pma_pin pin_ = {};
};

class window {
public:
	/* @nr_pins 0: 512. Read at PMA_WINDOW_WRITE what that means. */
	explicit window(connection &connection, std::uint32_t arena = 0, unsigned flags = 0,
			std::uint32_t nr_pins = 0)
	{
		pma_window *made;

		check(pma_window_open(&made, connection.get(), arena, flags, nr_pins));
		window_.reset(made, [held = connection.connection_](pma_window *closed) {
			pma_window_close(closed);
		});
	}
	window(window &&) noexcept = default;
	window &operator=(window &&) noexcept = default;
	window(const window &) = delete;
	window &operator=(const window &) = delete;

	const std::byte *data() const noexcept
	{
		return static_cast<std::byte *>(pma_window_address(get()));
	}
	std::size_t size() const noexcept { return pma_window_length(get()); }

	/* Empty when there is none; throws for every other reason. */
	pin find(const char *name, unsigned flags = 0) { return find(key_of(name), flags); }
	pin find(pma_handle handle, unsigned flags = 0)
	{
		pma_key key = {};

		key.handle = handle;
		return find(key, flags);
	}
	/* Many at once; what became of each is in its result. Returns how many were pinned. */
	std::size_t get(pma_pin *pins, const pma_key *keys, std::size_t nr, unsigned flags = 0)
	{
		return static_cast<std::size_t>(check(pma_get(get(), pins, keys, nr, flags)));
	}
	void put(pma_pin *pins, std::size_t nr) noexcept { pma_put(get(), pins, nr); }
	pma_window *get() const noexcept { return window_.get(); }

private:
	static pma_key key_of(const char *name)
	{
		pma_key key = {};

		key.name = name;
		return key;
	}
	pin find(const pma_key &key, unsigned flags)
	{
		pma_pin made;

		check(pma_get(get(), &made, &key, 1, flags));
		if (made.result == -ENOENT)
			return {};
		check(made.result);
		return pin(get(), made);
	}

	std::shared_ptr<pma_window> window_;
};

/* ---- a cache ---- */

/* Memory of a cache. The destructor does pma_cache_release(), for a published piece too. */
class piece {
public:
	piece() noexcept = default;
	piece(piece &&other) noexcept : cache_(std::move(other.cache_)), piece_(other.piece_) {}
	piece &operator=(piece &&other) noexcept
	{
		if (this != &other) {
			reset();
			cache_ = std::move(other.cache_);
			piece_ = other.piece_;
		}
		return *this;
	}
	~piece() { reset(); }

	std::byte *data() const noexcept { return static_cast<std::byte *>(piece_.address); }
	std::size_t size() const noexcept { return static_cast<std::size_t>(piece_.len); }
	span<std::byte> bytes() const noexcept { return { data(), size() }; }
	template <typename T>
	span<T> as() const { return span_of<T>(data(), size()); }
	void persist() { check(pma_persist(piece_.map, data(), size())); }
	void persist(const void *address, std::size_t len)
	{
		check(pma_persist(piece_.map, address, len));
	}

	void reset() noexcept
	{
		if (cache_)
			pma_cache_release(cache_.get(), &piece_);
		cache_.reset();
	}
	explicit operator bool() const noexcept { return static_cast<bool>(cache_); }
	pma_piece *get() noexcept { return &piece_; }

private:
	friend class cache;
	piece(std::shared_ptr<pma_cache> cache, const pma_piece &made) noexcept
		: cache_(std::move(cache)), piece_(made) {}

	std::shared_ptr<pma_cache> cache_;      /* empty: there is no piece */
	pma_piece piece_ = {};
};

class cache {
public:
	cache(connection &connection, std::uint64_t max_bytes, std::uint32_t arena = 0)
	{
		pma_cache *made;

		check(pma_cache_open(&made, connection.get(), arena, max_bytes));
		/* The closer holds the connection until the cache is closed. */
		cache_.reset(made, [held = connection.connection_](pma_cache *closed) {
			pma_cache_close(closed);
		});
	}
	cache(cache &&) noexcept = default;
	cache &operator=(cache &&) noexcept = default;
	cache(const cache &) = delete;
	cache &operator=(const cache &) = delete;

	piece reserve(std::uint64_t len, std::uint32_t flags = 0)
	{
		pma_piece made;

		check(pma_cache_reserve(&made, get(), len, flags));
		return piece(cache_, made);
	}
	/* What is in it must be persistent. @mode 0: 0600. */
	pma_handle publish(piece &piece, const char *name = nullptr, std::uint32_t mode = 0)
	{
		pma_publication one = {};

		one.piece = piece.get();
		one.name = name;
		one.mode = mode;
		publish(&one, 1);
		check(one.result);
		return one.handle;
	}
	/* Many in one message: throws when that fails; what became of each is in its result. */
	void publish(pma_publication *what, std::size_t nr)
	{
		check(pma_cache_publish(get(), what, nr));
	}
	void trim() { pma_cache_trim(get()); }
	pma_cache_info stat() const
	{
		pma_cache_info info;

		pma_cache_stat(&info, get());
		return info;
	}
	pma_cache *get() const noexcept { return cache_.get(); }

private:
	std::shared_ptr<pma_cache> cache_;
};

/* ---- a heap ---- */

#ifdef PMA_HAS_HEAP
class heap {
public:
	/* Sizes of 0 are chosen by the library. */
	explicit heap(connection &connection, std::uint32_t arena = 0,
		      std::uint64_t first_bytes = 0, std::uint64_t max_bytes = 0)
	{
		pma_heap *made;

		check(pma_heap_open(&made, connection.get(), arena, first_bytes, max_bytes));
		heap_.reset(made, [held = connection.connection_](pma_heap *closed) {
			pma_heap_close(closed);
		});
	}
	heap(heap &&) noexcept = default;
	heap &operator=(heap &&) noexcept = default;
	heap(const heap &) = delete;
	heap &operator=(const heap &) = delete;

	/* nullptr and errno as malloc(3); why() has the reason. */
	void *malloc(std::size_t size) noexcept { return pma_heap_malloc(get(), size); }
	void *aligned_alloc(std::size_t align, std::size_t size) noexcept
	{
		return pma_heap_aligned_alloc(get(), align, size);
	}
	void free(void *object) { check(pma_heap_free(get(), object)); }
	std::string why() const
	{
		char text[256] = "";

		pma_heap_why(get(), text, sizeof(text));
		return text;
	}
	pma_heap_info stat() const
	{
		pma_heap_info info;

		pma_heap_stat(&info, get());
		return info;
	}
	pma_heap *get() const noexcept { return heap_.get(); }

private:
	std::shared_ptr<pma_heap> heap_;
};

/* For containers; the heap must outlive them. */
template <typename T>
class heap_allocator {
public:
	using value_type = T;

	explicit heap_allocator(heap &heap) noexcept : heap_(heap.get()) {}
	template <typename U>
	heap_allocator(const heap_allocator<U> &other) noexcept : heap_(other.get()) {}

	T *allocate(std::size_t nr)
	{
		void *memory;

		if (nr > std::numeric_limits<std::size_t>::max() / sizeof(T))
			throw std::bad_array_new_length();
		memory = alignof(T) > alignof(std::max_align_t) ?
			pma_heap_aligned_alloc(heap_, alignof(T), nr * sizeof(T)) :
			pma_heap_malloc(heap_, nr * sizeof(T));
		if (!memory)
			throw std::bad_alloc();
		return static_cast<T *>(memory);
	}
	void deallocate(T *memory, std::size_t) noexcept { pma_heap_free(heap_, memory); }
	pma_heap *get() const noexcept { return heap_; }

	template <typename U>
	bool operator==(const heap_allocator<U> &other) const noexcept
	{
		return heap_ == other.get();
	}
	template <typename U>
	bool operator!=(const heap_allocator<U> &other) const noexcept
	{
		return heap_ != other.get();
	}

private:
	pma_heap *heap_;        /* borrowed */
};
#endif

}

#endif
