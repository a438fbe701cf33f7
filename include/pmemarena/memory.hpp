/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/memory: errors as exceptions, views of memory, and owners of what the C interface hands
 * out. A program includes <pmemarena.hpp>, which includes this.
 */
#ifndef PMA_MEMORY_HPP
#define PMA_MEMORY_HPP

#include <pmemarena.h>

#include <cstddef>
#include <memory>
#include <system_error>
#include <type_traits>

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

}

#endif
