#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Allocations: what makes, changes, finds and ends them, one by one and many at once."""

import errno
import os

from stage import KiB, MiB, Stage, main, pmemarena
from pmemarena import CONTIGUOUS, Op


class TestAllocation(Stage):
    def test_create_is_durable_and_reads_as_zeroes(self):
        it = self.arena.create("it", 5000, attributes=b"layout=1")
        self.assertEqual((it.len, it.name, it.is_reserved), (8192, "it", False))
        with it.map() as memory:
            self.assertEqual(bytes(memory), bytes(8192))
        self.lab.kill()
        self.lab.start()
        with pmemarena.Session(self.lab.socket) as session:
            info = session.arena().stat("it")
            self.assertEqual((info.handle, info.attributes, info.mode, info.uid), (it.handle, b"layout=1", 0o600, os.getuid()))
            self.assertGreater(info.created_ns, 0)

    def test_reservation_is_nobody_elses_until_it_is_published(self):
        with self.arena.reserve("it", 4096) as it:
            self.assertTrue(it.is_reserved)
            with pmemarena.Session(self.lab.socket) as other:
                self.refused(FileNotFoundError, other.arena().open, "it")
            self.refused(pmemarena.BusyError, self.arena.create, "it", 4096)
            self.assertTrue(it.stat().is_reserved)
            it.publish(attributes=b"a")
            self.refused(ValueError, it.publish)
        self.assertEqual(self.arena.stat("it").attributes, b"a")

    def test_reservation_ends_with_its_block(self):
        with self.assertRaises(ZeroDivisionError):
            with self.arena.reserve("it", 4096) as it:
                1 / 0
        self.assertFalse(it.is_valid())
        with self.arena.reserve("it", 4096):
            pass
        self.assertFalse(self.arena.exists("it"))

    def test_mapped_reservation_is_busy(self):
        it = self.arena.reserve("it", 4096)
        memory = it.map(write=True)
        self.refused(pmemarena.BusyError, it.abort)
        self.refused(pmemarena.BusyError, it.__exit__, None, None, None)
        memory.close()
        it.abort()
        self.refused(FileNotFoundError, it.abort)

    def test_free_by_name_handle_and_object(self):
        its = self.arena.create_many([(f"it{i}", 4096) for i in range(3)])
        self.arena.free("it0")
        self.arena.free(its[1].handle)
        its[2].free()
        self.assertEqual(self.arena.exists_many(["it0", "it1", "it2"]), [False] * 3)
        self.refused(FileNotFoundError, self.arena.free, "it0")
        self.assertEqual([it.is_valid() for it in its], [False] * 3)

    def test_resize_and_rename(self):
        it = self.arena.create("it", 2 * MiB)
        self.assertEqual(it.resize(6 * MiB).len, 6 * MiB)
        it.rename("that")
        self.assertEqual((self.arena.exists("it"), self.arena.stat("that").len), (False, 6 * MiB))
        other = self.arena.create("other", 4096)
        self.refused(FileExistsError, it.rename, "other")
        it.rename("other", replace=True)
        self.assertFalse(other.is_valid())
        it.rename(None)
        self.assertEqual(it.stat().name, "")

    def test_replace_is_one_step(self):
        old = self.arena.create("it", 4096)
        with self.arena.reserve(None, 8192) as new:
            new.publish("it", replace=True)
        self.assertEqual(self.arena.stat("it").handle, new.handle)
        self.assertFalse(old.is_valid())
        newer = self.arena.create("it", 4096, replace=True)
        self.assertEqual(self.arena.stat("it").handle, newer.handle)
        self.refused(TypeError, self.arena.reserve(None, 4096).publish, replace=True)
        self.refused(TypeError, self.arena.reserve("x", 4096).publish, "y")

    def test_put_is_complete_or_absent(self):
        data = os.urandom(70000)
        handle = self.arena.put("it", data, attributes=b"n")
        self.assertEqual(self.arena.stat("it").handle, handle)
        with self.arena.open("it", read_only=True) as it, it.map() as memory:
            self.assertEqual(bytes(memory)[:70000], data)
        self.refused(FileExistsError, self.arena.put, "it", b"x")
        self.arena.put("it", bytearray(b"new"), replace=True)
        with self.arena.open("it") as it, it.map() as memory:
            self.assertEqual(bytes(memory)[:4], b"new\0")
        self.refused(ValueError, self.arena.put, "none", b"")
        self.refused(TypeError, self.arena.put, "none", 7)

    def test_owner_mode_and_attributes_change(self):
        it = self.arena.create("it", 2 * MiB, mode=0o640)
        self.assertEqual(it.stat().mode, 0o640)
        it.set_mode(0o644)
        it.set_attributes(b"x" * 256)
        self.assertEqual((it.stat().mode, it.stat().attributes), (0o644, b"x" * 256))
        self.refused(ValueError, it.set_attributes, b"x" * 257)
        self.refused(ValueError, it.set_mode, 0o1777)
        it.set_attributes(b"")
        self.assertEqual(it.stat().attributes, b"")
        if os.getuid() == 0:
            it.set_owner(uid=3001, gid=3002)
            self.assertEqual((it.stat().uid, it.stat().gid), (3001, 3002))

    def test_token_makes_a_thing_once(self):
        first = self.arena.create("it", 4096, token=7)
        with pmemarena.Session(self.lab.socket) as session:
            again = session.arena().create("it", 4096, token=7)
        self.assertEqual((again.handle, first.was_done, again.was_done), (first.handle, False, True))
        self.refused(ValueError, self.arena.create, None, 4096, token=7)

    def test_list_goes_through_all_pages(self):
        names = [f"kv/{i:05}" for i in range(1000)]
        self.arena.create_many([(name, 4096) for name in names])
        self.arena.create_many([(None, 4096), ("other", 4096)])
        self.assertEqual([info.name for info in self.arena.list("kv/")], names)
        self.assertEqual(sorted(info.name for info in self.arena.list()), ["", *names, "other"])
        self.assertEqual([info.name for info in self.arena.list(b"kv/0000")], names[:10])
        self.assertEqual(list(self.arena.list("nothing")), [])

    def test_names_may_be_any_bytes(self):
        for name in ("häuser/日本", b"\xff\xfe\n\x01", "x" * 255):
            it = self.arena.create(name, 4096)
            found = [info.name for info in self.arena.list() if info.handle == it.handle]
            text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
            self.assertEqual(found, [text])
            self.assertEqual(self.arena.stat(text).handle, it.handle)
            self.assertEqual(self.arena.stat(text.encode("utf-8", "surrogateescape")).handle, it.handle)

    def test_extents_are_on_the_device(self):
        it = self.arena.create("it", 4 * MiB)
        extents = it.extents()
        self.assertEqual(sum(size for _, size in extents), 4 * MiB)
        with it.map(write=True) as memory:
            memory.write(0, b"here")
        self.assertEqual(os.pread(self.session.device_fd(0, True), 4, extents[0][0]), b"here")
        it.free(done=True)

    def test_usage_counts(self):
        before = self.arena.usage()
        self.arena.create("it", 4 * MiB)
        after = self.arena.usage()
        self.assertEqual(before.free - after.free, 4 * MiB)
        self.assertEqual(after.bytes.used - before.bytes.used, 4 * MiB)
        self.assertEqual(after.allocations, (before.allocations.used + 1, before.allocations.limit))

    def test_full_arena_and_quota_are_errors(self):
        self.arena.create("page", 2 * MiB)
        self.assertIn("largest", self.refused(pmemarena.FullError, self.arena.create, "it", self.arena.usage().size))
        self.refused(ValueError, self.arena.create, "it", 1 << 50)

    def test_allocation_says_what_it_is(self):
        self.assertIn("'it'", repr(self.arena.create("it", 4096)))
        self.assertIn("main", repr(self.arena))


class TestBatch(Stage):
    def test_each_of_a_batch_has_a_result_of_its_own(self):
        made = self.arena.create_many([("a", 4096), ("b", 4096, b"attributes"), ("a", 4096), ("c", 0)])
        self.assertEqual([getattr(it, "errno", 0) for it in made], [0, 0, errno.EEXIST, errno.EINVAL])
        self.assertEqual(made[2].filename, "a")
        self.assertEqual([getattr(info, "attributes", None) for info in self.arena.stat_many(["b", "zz", made[0].handle])],
                         [b"attributes", None, b""])
        self.assertEqual([type(e) for e in self.arena.free_many(["a", "zz"])], [type(None), pmemarena.NotFoundError])

    def test_reserve_write_publish_of_many(self):
        its = self.arena.reserve_many([(f"it{i}", 4096) for i in range(300)])
        for i, it in enumerate(its):
            with it.map(write=True) as memory:
                memory.write(0, b"%d" % i)
        self.assertEqual(self.arena.publish_many(its), [None] * 300)
        self.assertFalse(any(it.is_reserved for it in its))
        self.assertEqual(self.arena.close_many(its), [None] * 300)
        opened = self.arena.open_many([f"it{i}" for i in range(301)], read_only=True)
        with opened[299].map() as memory:
            self.assertEqual(bytes(memory)[:3], b"299")
        self.assertIsInstance(opened[300], FileNotFoundError)

    def test_run_mixes_operations_in_order(self):
        results = self.session.run([Op.create("a", 4096, flags=CONTIGUOUS), Op.rename((0, 0, 1 << 60), "b"), Op.stat("a"), Op.free("a"),
                                    Op.stat("a")])
        self.assertEqual([result.errno for result in results], [0, errno.ENOENT, 0, 0, errno.ENOENT])
        self.assertEqual(results[2].info.handle, results[0].handle)
        self.assertTrue(all(bool(result.message) == bool(result.errno) for result in results))
        self.refused(FileNotFoundError, results[4].check, "a")
        self.assertEqual(self.session.run([]), [])

    def test_operation_that_is_none_is_refused_alone(self):
        results = self.session.run([Op(99, (0, 0, 0)), Op.create("a", 4096)])
        self.assertEqual([result.errno for result in results], [errno.EINVAL, 0])

    def test_batch_of_many_pages_of_messages(self):
        made = self.arena.create_many([(f"it{i}", 4 * KiB) for i in range(2000)])
        self.assertTrue(all(isinstance(it, pmemarena.Allocation) for it in made))
        self.assertEqual(self.arena.exists_many([f"it{i}" for i in range(2001)]), [True] * 2000 + [False])


if __name__ == "__main__":
    main()
