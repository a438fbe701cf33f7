/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/window: windows, and what is pinned through them. A program includes <pmemarena.hpp>,
 * which includes this.
 */
#ifndef PMA_WINDOW_HPP
#define PMA_WINDOW_HPP

#include <pmemarena.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <pmemarena/connection.hpp>

namespace pmemarena {

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

}

#endif
