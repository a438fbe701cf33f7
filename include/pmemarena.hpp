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
 *
 * This is the one header to include. What follows is in parts only so that it can be read.
 */
#ifndef PMEMARENA_HPP
#define PMEMARENA_HPP

#include <pmemarena.h>

#include <pmemarena/memory.hpp>
#include <pmemarena/connection.hpp>
#include <pmemarena/window.hpp>
#include <pmemarena/cache.hpp>
#include <pmemarena/heap.hpp>

#endif
