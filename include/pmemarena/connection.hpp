/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/connection: options, connections, and what a connection maps. A program includes
 * <pmemarena.hpp>, which includes this.
 */
#ifndef PMA_CONNECTION_HPP
#define PMA_CONNECTION_HPP

#include <pmemarena.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <pmemarena/memory.hpp>

namespace pmemarena {

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
	pma_info wait(const char *name, std::uint32_t timeout_ms, unsigned flags = 0,
		      std::uint32_t arena = 0) const
	{
		pma_info info;

		check(pma_wait(&info, get(), arena, name, flags, timeout_ms));
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
	void run_together(pma_op *ops, std::size_t nr)
	{
		check(pma_run_together(get(), ops, nr));
	}
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

}

#endif
