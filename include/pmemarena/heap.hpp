/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemarena/heap: heaps, where <pmemarena-heap.h> is. A program includes <pmemarena.hpp>, which
 * includes this.
 */
#ifndef PMA_HEAP_HPP
#define PMA_HEAP_HPP

#include <pmemarena.h>
#if __has_include(<pmemarena-heap.h>)
#include <pmemarena-heap.h>
#define PMA_HAS_HEAP 1
#endif

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <string>

#include <pmemarena/connection.hpp>

namespace pmemarena {

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
