#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Windows: gets, puts, and what a pin keeps."""

import errno
import gc
import os
import threading

from stage import MiB, Stage, lab, main, pmemarena


class TestWindow(Stage):
    def setUp(self):
        super().setUp()
        self.arena.put("it", b"hello" * 1000, attributes=b"layout")
        self.window = self.arena.window()

    def test_get_by_name_bytes_and_handle(self):
        info = self.arena.stat("it")
        for key in ("it", b"it", info.handle, tuple(info.handle), self.arena.open("it")):
            for local in (True, False):
                pin = self.window.get(key, local=local)
                self.assertEqual(bytes(memoryview(pin)[:5]), b"hello")
                self.assertEqual((pin.handle, pin.attributes, len(pin), pin.nr_pieces, pin.mode, pin.uid, pin.gid, pin.readonly),
                                 (info.handle, b"layout", 8192, 1, 0o600, info.uid, info.gid, True))
                self.assertEqual(pin.version, info.version & 0xffffffff)
                pin.put()

    def test_what_is_not_there_is_none(self):
        self.assertIsNone(self.window.get("nothing"))
        self.assertIsNone(self.window.get("nothing", local=True))
        self.assertIsNone(self.window.get((0, 3, 1 << 50)))
        self.arena.free("it")
        self.assertIsNone(self.window.get("it"))

    def test_pin_keeps_bytes_of_what_was_freed(self):
        pin = self.window.get("it")
        self.arena.free("it")
        self.arena.create_many([(f"more{i}", 2 * MiB) for i in range(31)])
        with memoryview(pin) as view:
            self.assertEqual(bytes(view[:10]), b"hellohello")
        self.assertGreater(self.arena.usage().quarantined, 0)
        pin.put()
        self.assertTrue(lab.wait_until(lambda: self.arena.usage().quarantined == 0))

    def test_stale_pin_raises(self):
        pin = self.window.get("it")
        pin.put()
        pin.put()
        self.assertTrue(pin.is_put)
        for function in (lambda: memoryview(pin), pin.pieces, lambda: len(pin), lambda: pin.handle, lambda: pin.attributes,
                         lambda: pin.address, lambda: pin.version, lambda: pin.uid, lambda: pin.nr_pieces, pin.__enter__):
            self.assertIn("put", self.refused(pmemarena.ClosedError, function))

    def test_put_refuses_while_views_live(self):
        pin = self.window.get("it")
        view, pieces = memoryview(pin), pin.pieces()
        self.refused(BufferError, pin.put)
        self.refused(BufferError, self.window.close)
        self.refused(BufferError, self.session.close)
        view.release()
        self.refused(BufferError, pin.put)
        pin.put(defer=True)
        self.refused(pmemarena.ClosedError, memoryview, pin)
        self.assertEqual(bytes(pieces[0][:5]), b"hello")
        self.arena.free("it")
        self.assertEqual(bytes(pieces[0][:5]), b"hello")
        pieces.clear()
        gc.collect()
        self.window.close()

    def test_deferred_put_is_done_by_the_last_view(self):
        pin, pins = self.window.get("it"), self.window.get_many(["it", "it"])
        views = [memoryview(pin), memoryview(pins[0])]
        self.arena.free("it")
        pin.put(defer=True)
        pins.put(defer=True)
        views.pop().release()
        self.assertGreater(self.arena.usage().quarantined, 0)
        self.assertEqual(bytes(views[0][:5]), b"hello")
        views[0].release()
        self.assertTrue(lab.wait_until(lambda: self.arena.usage().quarantined == 0), "it is still pinned")
        self.assertTrue(pin.is_put and len(pins) == 2)

    def test_with_block_puts(self):
        with self.window.get("it") as pin:
            self.assertFalse(pin.is_put)
        self.assertTrue(pin.is_put)
        with self.window.get("it") as pin:
            view = memoryview(pin)
        self.assertEqual(bytes(view[:5]), b"hello")
        self.assertTrue(pin.is_put)

    def test_all_pins_in_use_is_an_error(self):
        self.window.close()
        self.window = self.arena.window(pins=64)
        pins = []
        with self.assertRaises(OSError) as caught:
            for _ in range(1000):
                pins.append(self.window.get("it"))
        self.assertEqual(caught.exception.errno, errno.ENOBUFS)
        with self.assertRaises(OSError) as caught:
            self.window.get("it", local=True)
        self.assertEqual(caught.exception.errno, errno.ENOBUFS)
        many = self.window.get_many(["it"])
        self.assertEqual(many.results, [errno.ENOBUFS])
        self.refused(OSError, lambda: many[0])
        pins.clear()
        self.assertIsNotNone(self.window.get("it"))

    def test_get_many(self):
        names = [f"it{i}" for i in range(400)]
        self.arena.create_many([(name, 4096) for name in names])
        pins = self.window.get_many([*names[:300], "nothing", *names[300:]])
        self.assertEqual((len(pins), pins.hits, pins.leading), (401, 400, 300))
        self.assertEqual(pins.results, [0] * 300 + [errno.ENOENT] + [0] * 100)
        self.assertIsNone(pins[300])
        self.assertEqual(pins[-1].handle, self.arena.stat("it399").handle)
        self.assertRaises(IndexError, lambda: pins[401])
        first = pins[0]
        view = memoryview(first)
        self.refused(BufferError, pins.put)
        pins.put(defer=True)
        self.refused(pmemarena.ClosedError, lambda: pins[1].handle)
        self.assertEqual(view.nbytes, 4096)
        view.release()
        pins.put()
        self.assertEqual(len(self.window.get_many([])), 0)
        with self.window.get_many(("it", b"it")) as pins:
            self.assertEqual([bytes(memoryview(pin)[:5]) for pin in pins], [b"hello"] * 2)

    def test_pin_of_many_outlives_its_list(self):
        pin = self.window.get_many(["it"])[0]
        gc.collect()
        self.assertEqual(bytes(memoryview(pin)[:5]), b"hello")

    def test_local_many_tells_what_only_the_daemon_knows(self):
        it = self.arena.reserve("reserved", 4096)
        pins = self.window.get_many(["it", "nothing", "reserved"], local=True)
        self.assertEqual(pins.results[:2], [0, errno.ENOENT])
        self.assertIn(pins.results[2], (errno.ENOENT, errno.EAGAIN))
        # Only the daemon knows of a reservation, and tells its own session.
        self.assertIsNone(self.window.get("reserved", local=True))
        self.assertEqual(self.window.get("reserved").handle, it.handle)
        self.assertEqual(self.window.get_many(["reserved"]).hits, 1)
        it.abort()

    def test_pieces_of_what_is_not_contiguous(self):
        """Space in holes of a page: what takes all that is left lies in pieces."""
        names = [f"page{i}" for i in range(31)]
        self.arena.create_many([(name, 2 * MiB) for name in names])
        self.arena.free_many(names[0:6:2])
        self.assertTrue(lab.wait_until(lambda: self.arena.usage().free >= 6 * MiB))
        with self.arena.reserve("pieces", 6 * MiB) as it:
            with it.map(write=True) as memory:
                for i in range(3):
                    memory.write(i * 2 * MiB, b"%d" % i)
            it.publish()
        pin = self.window.get("pieces")
        self.assertGreater(pin.nr_pieces, 1)
        self.refused(BufferError, memoryview, pin)
        pieces = pin.pieces()
        self.assertEqual((len(pieces), sum(piece.nbytes for piece in pieces), len(pin)), (pin.nr_pieces, 6 * MiB, 6 * MiB))
        self.assertEqual(bytes(pieces[0][:1]), b"0")
        self.refused(BufferError, pin.put)
        del pieces
        pin.put()

    def test_writable_window(self):
        self.refused(PermissionError, self.window.get, "it", write=True)
        self.refused(PermissionError, self.window.get_many, ["it"], write=True)
        self.refused(pmemarena.BusyError, self.arena.window)
        self.window.close()
        self.window = self.arena.window(write=True)
        with self.window.get("it", write=True) as pin, memoryview(pin) as view:
            self.assertFalse(pin.readonly)
            view[:5] = b"HELLO"
        with self.window.get("it") as pin, memoryview(pin) as view:
            self.assertTrue(view.readonly)
            self.assertEqual(bytes(view[:6]), b"HELLOh")
            with self.assertRaises(TypeError):
                view[0] = 1

    def test_window_is_one_range(self):
        info = self.arena.info
        self.assertEqual((len(self.window), self.window.offset, self.window.readonly), (info.size, info.data_off, True))
        with memoryview(self.window) as view:
            self.assertTrue(view.readonly)
            self.refused(BufferError, self.window.close)
            extent = self.arena.open("it").extents()[0]
            at = extent[0] - self.window.offset
            self.assertEqual(bytes(view[at:at + 5]), b"hello")
        ranges = self.window.ranges(10 * MiB)
        self.assertEqual((ranges[0], sum(size for _, size in ranges)), ((self.window.address, 10 * MiB), info.size))
        self.refused(ValueError, self.window.ranges, 4096)
        self.refused(TypeError, self.window.ranges, "4096")

    def test_close_puts_and_pins_become_stale(self):
        pin, pins = self.window.get("it"), self.window.get_many(["it"])
        self.window.close()
        self.assertTrue(pin.is_put)
        self.refused(pmemarena.ClosedError, memoryview, pin)
        self.refused(pmemarena.ClosedError, lambda: memoryview(pins[0]))
        pin.put()
        pins.put()
        del pin, pins
        self.window = self.arena.window()
        self.assertIsNotNone(self.window.get("it"))

    def test_deferred_close_ends_after_the_last_view(self):
        view = memoryview(self.window.get("it"))
        window = self.window
        self.session.close(defer=True)
        self.refused(pmemarena.ClosedError, window.get, "it")
        self.assertEqual(bytes(view[:5]), b"hello")
        self.assertEqual(len(self.lab.admin("sessions")["sessions"]), 1)
        view.release()
        self.assertTrue(lab.wait_until(lambda: not self.lab.admin("sessions")["sessions"]))

    def test_window_goes_on_with_another_daemon(self):
        pin = self.window.get("it")
        self.lab.kill()
        self.assertIsNotNone(self.window.get("it"))
        self.lab.start()
        self.arena.create("new", 4096)
        self.assertIsNotNone(self.window.get("new"))
        self.assertEqual(bytes(memoryview(pin)[:5]), b"hello")

    def test_mode_counts(self):
        if os.getuid() != 0:
            self.skipTest("changing the user needs root")
        lab.open_to_all(self.lab)
        self.arena.put("open", b"all may read", mode=0o644)

        def other():
            os.setgid(3001)
            os.setuid(3001)
            with pmemarena.Session(self.lab.socket) as session:
                window = session.arena().window()
                self.assertEqual(bytes(memoryview(window.get("open"))[:3]), b"all")
                for local in (True, False):
                    self.refused(PermissionError, window.get, "it", local=local)
                self.assertEqual(window.get_many(["it", "open"]).results, [errno.EACCES, 0])
                self.refused(PermissionError, session.arena().free, "open")

        self.in_child(other)

    def test_threads_get_put_and_free(self):
        names = [f"t{i}" for i in range(20)]
        stop, failures = threading.Event(), []
        for i, name in enumerate(names):
            self.arena.put(name, bytes([i]) * 4096)

        def read():
            while not stop.is_set():
                for i, pin in enumerate(self.window.get_many(names)):
                    if pin is not None and set(bytes(memoryview(pin))) != {i}:
                        failures.append(names[i])
                for i, name in enumerate(names):
                    pin = self.window.get(name)
                    if pin is not None and bytes(memoryview(pin)[:1])[0] != i:
                        failures.append(name)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(100):
            i = turn % len(names)
            self.arena.put(names[i], bytes([i]) * 4096, replace=True)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.lab.is_sound()


if __name__ == "__main__":
    main()
