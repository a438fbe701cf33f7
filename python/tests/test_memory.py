#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Memory by the buffer protocol: no view outlives its mapping or its pin, and nothing that may only be read is written to."""

import ctypes
import gc
import mmap
import threading
import unittest
import weakref

from stage import MiB, Stage, main, pmemarena

try:
    import numpy
except ImportError:
    numpy = None


def is_mapped(address):
    with open("/proc/self/maps", encoding="ascii", errors="replace") as file:
        for line in file:
            first, last = (int(text, 16) for text in line.split()[0].split("-"))
            if first <= address < last:
                return "pmemarena" in line or "arena" in line
    return False


class TestMapping(Stage):
    def setUp(self):
        super().setUp()
        self.it = self.arena.create("it", 2 * MiB)

    def test_mapping_is_memory_without_a_copy(self):
        with self.it.map(write=True) as memory:
            view = memoryview(memory)
            self.assertEqual((view.nbytes, view.readonly, view.format, len(memory)), (2 * MiB, False, "B", 2 * MiB))
            view[:5] = b"hello"
            memory.persist(0, 5)
            other = self.it.map()
            self.assertEqual(bytes(memoryview(other)[:5]), b"hello")
            self.assertEqual(ctypes.string_at(memory.address, 5), b"hello")
            self.assertEqual((memory.handle, memory.readonly, other.readonly), (self.it.handle, False, True))
            view.release()

    def test_stores_are_made_durable(self):
        with self.it.map(write=True) as memory:
            memory.write(4096, memoryview(b"abc"))
            memory.fill(9, 0, 100)
            memory.fill(length=10)
            memory.flush(0, 4096)
            memory.flush()
            memory.drain()
            memory.persist()
            memory.persist(2 * MiB)
            with memoryview(memory) as view:
                self.assertEqual(bytes(view[8:12]), b"\0\0\x09\x09")
                self.assertEqual(bytes(view[4096:4099]), b"abc")

    def test_range_outside_is_refused(self):
        with self.it.map(write=True) as memory:
            for function in (lambda: memory.persist(2 * MiB + 1), lambda: memory.persist(0, 2 * MiB + 1), lambda: memory.write(2 * MiB, b"x"),
                             lambda: memory.persist(1 << 63, 1 << 63), lambda: memory.fill(0, 1, 2 * MiB)):
                self.refused(ValueError, function)
            self.refused(OverflowError, memory.persist, -1)
            self.refused(OverflowError, memory.fill, 256)
            self.refused(TypeError, memory.write, 0, "text")
            self.refused(TypeError, memory.write, "0", b"x")
            self.refused(BufferError, memory.write, 0, memoryview(b"abcdef")[::2])

    def test_read_only_memory_is_not_written_to(self):
        with self.it.map() as memory, memoryview(memory) as view:
            self.assertTrue(view.readonly)
            with self.assertRaises(TypeError):
                view[0] = 1
            self.refused(PermissionError, memory.write, 0, b"x")
            self.refused(PermissionError, memory.fill)
            with self.assertRaises((TypeError, BufferError)):
                ctypes.c_char.from_buffer(memory)
        with self.arena.open("it", read_only=True):
            pass
        with pmemarena.Session(self.lab.socket) as session:
            it = session.arena().open("it", read_only=True)
            self.refused(PermissionError, it.map, write=True)

    def test_close_refuses_while_views_live(self):
        memory = self.it.map(write=True)
        first, second = memoryview(memory), memoryview(memory)
        address = memory.address
        self.assertEqual(memory.views, 2)
        self.assertIn("2", self.refused(BufferError, memory.close))
        first.release()
        self.refused(BufferError, memory.close)
        second[:3] = b"abc"
        second.release()
        memory.close()
        memory.close()
        self.assertFalse(is_mapped(address))
        for function in (lambda: memoryview(memory), lambda: len(memory), memory.persist, memory.drain, lambda: memory.write(0, b"x"),
                         lambda: memory.address, lambda: memory.handle, memory.__enter__):
            self.refused(pmemarena.ClosedError, function)

    def test_deferred_close_unmaps_after_the_last_view(self):
        memory = self.it.map(write=True)
        view = memoryview(memory)
        part = view[10:20]
        address = memory.address
        memory.close(defer=True)
        self.assertTrue(memory.closed)
        self.refused(pmemarena.ClosedError, memoryview, memory)
        view.release()
        part[0] = 7
        self.assertTrue(is_mapped(address))
        del memory, view
        gc.collect()
        self.assertEqual(part[0], 7)
        part.release()
        self.assertFalse(is_mapped(address))

    def test_last_view_unmaps_although_the_mapping_is_kept(self):
        memory = self.it.map()
        views, address = [memoryview(memory) for _ in range(3)], memory.address
        memory.close(defer=True)
        for view in views:
            self.assertTrue(is_mapped(address))
            view.release()
        self.assertFalse(is_mapped(address))
        self.assertTrue(memory.closed)

    def test_view_keeps_what_nobody_else_keeps(self):
        view = memoryview(self.arena.open("it").map(write=True))
        gc.collect()
        view[:5] = b"hello"
        self.session.close()
        del self.session, self.arena, self.it
        gc.collect()
        self.assertEqual(bytes(view[:5]), b"hello")
        self.session = pmemarena.Session(self.lab.socket)

    def test_freed_allocation_stays_while_it_is_mapped(self):
        memory = self.it.map(write=True)
        memory.write(0, b"hello")
        with pmemarena.Session(self.lab.socket) as other:
            other.arena().free("it")
            other.arena().create_many([(f"more{i}", 2 * MiB) for i in range(28)])
        self.assertEqual(bytes(memory)[:5], b"hello")
        self.refused(OSError, self.it.map)

    def test_cycle_through_a_session_is_collected(self):
        class Holder(pmemarena.Session):
            pass

        session = Holder(self.lab.socket)
        it = session.arena().open("it")
        session.memory = it.map()
        session.window = session.arena().window()
        session.pin = session.window.get("it")
        session.view = memoryview(session.pin)
        address, gone = session.memory.address, weakref.ref(session)
        del session, it
        gc.collect()
        self.assertIsNone(gone())
        self.assertFalse(is_mapped(address))

    def test_threads_close_and_look_at_the_same_time(self):
        stop = threading.Event()
        current = [self.it.map(write=True)]
        failures = []

        def look():
            while not stop.is_set():
                try:
                    with memoryview(current[0]) as view:
                        view[0] = view[1]
                    current[0].persist(0, 64)
                except (pmemarena.ClosedError, IndexError):
                    continue
                except Exception as error:
                    failures.append(error)
                    return

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(300):
            memory, current[0] = current[0], self.it.map(write=True)
            memory.close(defer=True)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_interpreter_ends_with_views_and_threads(self):
        script = """
import atexit, os, sys, threading, time
import pmemarena
session = pmemarena.Session()
arena = session.arena()
window = arena.window()
memory = arena.open('it').map(write=True)
keep = [memoryview(memory), memoryview(window.get('it')), window.get_many(['it'] * 9), window.get_many(['it'])[0].pieces()]
class Late:
    def __init__(self):
        self.view = memoryview(memory)
    def __del__(self):
        self.view[0] = 1
        memory.persist(0, 1)
keep.append(Late())
late = Late()
late.self = late
def work():
    while True:
        window.get('it')
        arena.usage()
        keep[0][1] = keep[1][2]
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
atexit.register(lambda: print(keep[1][0] in (0, 1)))
time.sleep(0.05)
if sys.argv[1:]:
    session.close(defer=True)
"""
        for args in ((), ("close",)):
            self.assertEqual(self.python(script, *args), "True\n")
        self.lab.is_sound()

    @unittest.skipUnless(numpy, "numpy is not installed (apt-get install python3-numpy)")
    def test_numpy_array_keeps_its_memory(self):
        memory = self.it.map(write=True)
        array = numpy.frombuffer(memory, dtype=numpy.float32).reshape(512, 1024)
        array[:] = 3
        part = array[7:9]
        self.refused(BufferError, memory.close)
        memory.close(defer=True)
        del array, memory
        gc.collect()
        self.assertEqual(part.sum(), 3 * 2 * 1024)
        window = self.arena.window()
        array = numpy.frombuffer(window.get("it"), dtype=numpy.float32)
        self.assertFalse(array.flags.writeable)
        self.assertEqual(array[0], 3)

    @unittest.skipUnless(numpy, "numpy is not installed (apt-get install python3-numpy)")
    def test_numpy_array_is_put_and_got(self):
        array = numpy.arange(12000, dtype=numpy.float64).reshape(100, 120)
        self.arena.put("array", array, attributes=str(array.shape).encode())
        window = self.arena.window()
        got = numpy.frombuffer(window.get("array"), dtype=array.dtype, count=array.size).reshape(array.shape)
        self.assertTrue((got == array).all())
        self.refused((BufferError, ValueError), self.arena.put, "slice", array[:, ::2])
        self.assertFalse(self.arena.exists("slice"))

    def test_bytes_of_a_mapping_are_a_copy(self):
        with self.it.map(write=True) as memory:
            memory.write(0, b"abc")
            self.assertEqual(bytes(memory)[:3], b"abc")
            self.assertEqual(memory.views, 0)
            self.assertEqual(len(memory) % mmap.PAGESIZE, 0)


if __name__ == "__main__":
    main()
