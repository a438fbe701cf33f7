#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nothing grows: the memory of this process, Python's own and the library's, its descriptors and its mappings, over 100000 calls of
each kind (PMEMARENA_LEAK_CALLS), the failing ones among them."""

import gc
import os
import tracemalloc

from stage import IS_SANITIZED, KiB, Stage, main, pmemarena

CALLS = int(os.environ.get("PMEMARENA_LEAK_CALLS", "100000"))
# A page here and there is the allocators'; one object a call would be megabytes.
MAY_GROW = 1024 * KiB


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def nr_lines(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return len(file.readlines())


class TestLeak(Stage):
    def measure(self, function, calls):
        """Growth of resident memory and of Python's objects over this many calls, after as many that fill caches."""
        for _ in range(max(calls // 10, 100)):
            function()
        gc.collect()
        maps, fds, before = nr_lines("/proc/self/maps"), len(os.listdir("/proc/self/fd")), resident()
        for _ in range(calls):
            function()
        gc.collect()
        grown = resident() - before
        tracemalloc.start()
        function()
        gc.collect()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(min(calls, 1000)):
            function()
        gc.collect()
        traced = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
        self.assertLess(traced, 32 * KiB, "Python's memory grows")
        if not IS_SANITIZED:
            self.assertLess(grown, MAY_GROW, "resident memory grows")
            self.assertLess(nr_lines("/proc/self/maps") - maps, 20, "mappings are left")
        self.assertEqual(len(os.listdir("/proc/self/fd")), fds, "descriptors are left")

    def setUp(self):
        super().setUp()
        self.arena.put("it", b"hello", attributes=b"x" * 100)
        self.window = self.arena.window()

    def calls(self, each=1):
        return max(CALLS // each // (20 if IS_SANITIZED else 1), 100)

    def failing(self, kind, function):
        def call():
            try:
                function()
            except kind:
                return
            self.fail("it did not fail")
        return call

    def test_get_and_put(self):
        handle = self.arena.stat("it").handle

        def call():
            pin = self.window.get("it")
            with memoryview(pin) as view:
                view[0]
            pin.pieces()
            pin.attributes, pin.handle, pin.version, pin.uid
            pin.put()
            self.window.get(handle)
            self.window.get(b"nothing", local=True)
            self.window.get("no utf-8: \udcff" + "x" * 200, local=True)

        self.measure(call, self.calls())

    def test_get_many(self):
        names = ["it", b"it", "nothing", self.arena.stat("it").handle] * 4

        def call():
            with self.window.get_many(names, local=True) as pins:
                memoryview(pins[0])
                pins.results, pins.hits, pins.leading
                list(pins)

        self.measure(call, self.calls(5))

    def test_mapping(self):
        it = self.arena.open("it")

        def call():
            with it.map(write=True) as memory:
                memory.write(0, b"hello")
                view = memoryview(memory)[:5]
                self.failing(BufferError, memory.close)()
                view[0]

        self.measure(call, self.calls(10))

    def test_create_and_free(self):
        def call():
            self.arena.create_many([("a", 4096, b"attributes"), ("b", 4096), ("a", 4096)])
            self.arena.stat_many(["a", "nothing"])
            list(self.arena.list("a"))
            self.arena.free_many(["a", "b", "c"])

        self.measure(call, self.calls(50))

    def test_failures(self):
        stale = self.window.get("it")
        stale.put()
        with pmemarena.Session(self.lab.socket) as closed:
            arena = closed.arena()
        for kind, function in ((OSError, lambda: memoryview(stale)), (OSError, arena.usage), (TypeError, lambda: self.window.get(7)),
                               (TypeError, lambda: self.window.get_many(["it", 7])), (ValueError, lambda: self.window.get("a\0b")),
                               (OverflowError, lambda: self.window.get((0, -1, 0))), (TypeError, lambda: self.session.run_ops([(1,)])),
                               (TypeError, lambda: pmemarena.Mapping(self.session, 7)), (OSError, lambda: pmemarena.Window(self.session))):
            self.measure(self.failing(kind, function), self.calls(10))

    def test_refusals_of_the_daemon(self):
        self.measure(self.failing(OSError, lambda: self.arena.open("nothing")), self.calls(20))

    def test_sessions_and_windows(self):
        def call():
            with pmemarena.Session(self.lab.socket) as session:
                window = session.arena().window()
                view = memoryview(window.get("it"))
                session.subscribe(0)
                session.fileno()
                session.dispatch()
                self.failing(BufferError, session.close)()
                view.release()

        self.measure(call, self.calls(200))
        self.measure(self.failing(OSError, lambda: pmemarena.Session("/nonexistent")), self.calls(20))


if __name__ == "__main__":
    main()
