/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/cache: caches, and pieces of them. A program includes <pmemarena.hpp>, which includes
 * this.
 */
#ifndef PMA_CACHE_HPP
#define PMA_CACHE_HPP

#include <pmemarena.h>

#include <cstddef>
#include <memory>
#include <utility>

#include <pmemarena/connection.hpp>

namespace pmemarena {

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

}

#endif
