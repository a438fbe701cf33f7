#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.lmcache at its seam: what LMCache's server calls, and what it gets. LMCache itself is in tests/integrations."""

import signal
import threading
import time

import stage
from stage import KiB, MiB, Stage
from lmcache_driver import LMCacheStage, WAIT, content, name_of
from pmemarena import _labels
from pmemarena.lmcache import Client


class TestCopies(Stage):
    """What the extension has for this."""

    ARENA = {"size": "16M", "page_size": "4K"}

    def test_read_into_reads_all_pieces(self):
        made = [self.arena.create(f"a{i}", MiB) for i in range(16) if self.arena.usage().largest_free >= MiB]
        for allocation in made[::2]:
            allocation.free()
        self.free_bytes()
        data = content("in pieces", 3 * MiB)
        self.arena.put("whole", data)
        with self.arena.window() as window, window.get("whole") as pin:
            self.assertGreater(pin.nr_pieces, 1)
            for offset, size in ((0, 3 * MiB), (0, 1), (MiB - 5, 10), (12345, 2 * MiB), (3 * MiB - 1, 1), (3 * MiB, 0)):
                buffer = bytearray(size)
                pin.read_into(buffer, offset)
                self.assertEqual(buffer, data[offset:offset + size])
            for offset, size in ((1, 3 * MiB), (3 * MiB + 1, 0), (2 ** 64 - 1, 2)):
                self.refused(ValueError, pin.read_into, bytearray(size), offset)
            self.refused(BufferError, pin.read_into, b"read-only")
            self.refused(TypeError, pin.read_into, 7)
        self.refused(ValueError, pin.read_into, bytearray(1))

    def test_populate_changes_nothing(self):
        with self.arena.reserve("p", MiB) as allocation, allocation.map(write=True) as memory:
            memory.write(5, b"there")
            memory.populate()
            self.assertEqual(bytes(memoryview(memory)[4:11]), b"\0there\0")
            with self.session.arena().open(allocation.publish().handle, read_only=True).map() as other:
                other.populate()
        self.refused(ValueError, memory.populate)


class TestSeam(LMCacheStage):
    def test_store_look_up_load_delete(self):
        driver = self.driver()
        for size in (1, 100, 4096, 300 * KiB, 2 * MiB, 7 * MiB + 12345):
            keys = [name_of(i, f"m{size}") for i in range(3)]
            self.assertEqual(driver.exists(keys), [False] * 3)
            self.assertEqual(driver.get(keys, size), [None] * 3)
            blocks = self.stored(driver, keys, size)
            self.assertEqual(driver.exists([*keys, "other"]), [True, True, True, False])
            self.assertEqual(driver.get(keys, size), list(blocks.values()))
            self.assertEqual(driver.delete([*keys[:2], "other"]), [True, True, False])
            self.assertEqual(driver.exists(keys), [False, False, True])
            self.assertEqual(driver.get(keys, size)[2:], [blocks[keys[2]]])
            self.assertEqual(driver.delete(keys), [False, False, True])
        self.assertEqual([info.name for info in self.arena.list()], [])

    def test_what_is_there_is_stored_again_with_success(self):
        driver = self.driver()
        blocks = self.stored(driver, [name_of(1)], MiB)
        before = [info.handle for info in self.arena.list()]
        self.stored(driver, [name_of(1), name_of(1)], MiB)
        self.assertEqual([info.handle for info in self.arena.list()], before)
        # Of another length it is another block, which takes its place.
        self.stored(driver, [name_of(1)], 2 * MiB)
        self.assertEqual(driver.get([name_of(1)], MiB), [None])
        self.assertEqual(len(driver.get([name_of(1)], 2 * MiB)[0]), 2 * MiB)
        del blocks

    def test_one_key_twice_in_a_batch(self):
        driver = self.driver()
        key = name_of(1)
        number = driver.client.submit_batch_set([key, key], [memoryview(content(key, MiB)) for _ in range(2)])
        self.assertEqual(driver.wait(number), [True, "", None])
        self.assertEqual(self.check(driver, [key], MiB), 1)

    def test_being_written_by_another_is_success(self):
        driver = self.driver()
        name = _labels.key_name("lmcache/", name_of(1).encode())
        other = self.arena.reserve(name, MiB)
        self.stored(driver, [name_of(1)], MiB)
        self.assertEqual(driver.exists([name_of(1)]), [False])
        other.abort()
        self.stored(driver, [name_of(1)], MiB)
        self.assertEqual(driver.exists([name_of(1)]), [True])

    def test_empty_batches(self):
        client = self.driver()
        self.assertEqual(client.set({}), [True, "", None])
        self.assertEqual(client.exists([]), [])
        self.assertEqual(client.get([], 1), [])
        self.assertEqual(client.delete([]), [])

    def test_keys_of_any_length_and_letter(self):
        driver = self.driver()
        keys = ["", "k", "k" * 245, "k" * 246, "k" * 247, "k" * 300, "k" * 5000, "k" * 5000 + "2", "schlüssel/\n@", "a/../b"]
        blocks = {key: content(key, 4096) for key in keys}
        self.assertEqual(driver.set(blocks), [True, "", None])
        self.assertEqual(driver.exists(keys), [True] * len(keys))
        self.assertEqual(driver.get(keys, 4096), list(blocks.values()))
        self.assertEqual(driver.exists(["k" * 299, "k" * 301]), [False, False])

    def test_a_name_of_another_key_is_no_hit(self):
        """As if two keys had one digest."""
        driver = self.driver()
        name = _labels.key_name("lmcache/", b"wanted")
        for attributes in (b"", b"x", _labels.label_pack(_labels.key_label(b"other"), 4096),
                           _labels.label_pack(_labels.key_label(b"x" * 999), 4096),
                           _labels.label_pack(_labels.key_label(b"wanted"), 4097)):
            self.arena.create(name, 4096, attributes=attributes, replace=True).close()
            self.assertEqual((driver.exists(["wanted"]), driver.get(["wanted"], 4096), driver.delete(["wanted"])),
                             ([False], [None], [False]))
            self.stored(driver, ["wanted"], 4096)
            self.assertEqual(self.check(driver, ["wanted"], 4096), 1)

    def test_namespaces_do_not_see_each_other(self):
        one, two = self.driver(), self.driver(namespace="other")
        self.stored(one, ["k"], 4096)
        self.assertEqual(two.exists(["k"]), [False])
        self.assertEqual(two.delete(["k"]), [False])
        self.assertEqual(one.exists(["k"]), [True])

    def test_two_clients_share(self):
        one, two = self.driver(), self.driver()
        keys = [name_of(i) for i in range(20)]
        self.stored(one, keys[:10], 100 * KiB)
        self.assertEqual(self.check(two, keys, 100 * KiB), 10)
        self.stored(two, keys, 100 * KiB)
        self.assertEqual(self.check(one, keys, 100 * KiB), 20)
        self.assertEqual(two.delete(keys[:3]), [True] * 3)
        self.assertEqual(one.exists(keys[:4]), [False] * 3 + [True])

    def test_what_was_looked_up_is_loaded_whoever_deletes_it(self):
        one, two = self.driver(), self.driver()
        for size in (MiB, 7 * MiB):
            self.stored(one, ["k"], size)
            self.assertEqual(one.exists(["k"]), [True])
            self.assertEqual(two.delete(["k"]), [True])
            self.stored(two, [name_of(i) for i in range(8)], size)
            self.assertEqual(one.get(["k"], size), [content("k", size)])
            # That was what it was looked up for.
            self.assertEqual(one.get(["k"], size), [None])
            two.delete([name_of(i) for i in range(8)])

    def test_a_lock_ends(self):
        one, two = self.driver(lock_seconds=0.2), self.driver()
        self.stored(one, ["k"], MiB)
        self.assertEqual(one.exists(["k"]), [True])
        self.assertEqual(two.delete(["k"]), [True])
        deadline = time.monotonic() + WAIT
        while self.arena.usage().quarantined or one.client._blocks.holds.held:
            self.assertLess(time.monotonic(), deadline, "it is still pinned")
            time.sleep(0.05)
        self.assertEqual(one.get(["k"], MiB), [None])

    def test_wrong_arguments(self):
        driver = self.driver()
        with self.assertRaisesRegex(ValueError, "2 keys and 1 buffers"):
            driver.client.submit_batch_set(["a", "b"], [memoryview(b"x")])
        ok, error, _ = driver.set({"a": b""})
        self.assertFalse(ok)
        self.assertGreater(len(error), 10)
        ok, error, hits = driver.wait(driver.client.submit_batch_get(["a"], [memoryview(b"read-only")]))
        self.assertEqual(hits, [False])
        with self.assertRaisesRegex(ValueError, "workers is 0"):
            Client(socket=self.lab.socket, workers=0)
        with self.assertRaises(OSError):
            Client(socket=self.lab.socket, arena="nowhere")
        with self.assertRaises(OSError):
            Client(socket=self.lab.socket + ".not")
        driver.close()
        driver.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            driver.client.submit_batch_exists(["a"])
        self.assertEqual(driver.client.drain_completions(), [])

    def test_submitting_does_not_wait(self):
        """The daemon stands still, and each call returns."""
        driver = self.driver()
        self.stored(driver, ["k"], MiB)
        self.lab.signal(signal.SIGSTOP)
        try:
            numbers = [driver.client.submit_batch_set([name_of(i)], [memoryview(content("x", MiB))]) for i in range(20)]
            numbers.append(driver.client.submit_batch_delete(["k"]))
            self.assertEqual(len(set(numbers)), 21)
        finally:
            self.lab.signal(signal.SIGCONT)
        for number in numbers:
            self.assertTrue(driver.wait(number)[0])

    def test_loads_do_not_stand_behind_stores(self):
        """The daemon stands still, and with it all that was submitted to be stored and deleted. What is there is found and loaded."""
        driver = self.driver(workers=2)
        keys = [name_of(i) for i in range(4)]
        self.stored(driver, keys, MiB)
        self.lab.signal(signal.SIGSTOP)
        try:
            stores = [driver.client.submit_batch_set([name_of(i)], [memoryview(content("x", MiB))]) for i in range(10, 30)]
            stores.append(driver.client.submit_batch_delete(["nothing", *keys[:1]]))
            self.assertEqual(driver.exists(keys), [True] * 4)
            self.assertEqual(self.check(driver, keys, MiB), 4)
            self.assertEqual(set(driver.done) & set(stores), set(), "a store was done without the daemon")
        finally:
            self.lab.signal(signal.SIGCONT)
        for number in stores:
            self.assertTrue(driver.wait(number)[0])

    def test_close_finishes_what_was_submitted(self):
        driver = self.driver()
        for i in range(10):
            driver.client.submit_batch_set([name_of(i)], [memoryview(content(name_of(i), 4 * MiB))])
        driver.close()
        self.assertEqual(self.check(self.driver(), [name_of(i) for i in range(10)], 4 * MiB), 10)

    def test_many_threads(self):
        driver = self.driver(workers=8)
        failed = []

        def work(seed):
            try:
                for i in range(30):
                    key = name_of((seed + i) % 40)
                    number = driver.client.submit_batch_set([key], [memoryview(content(key, 500 * KiB))])
                    numbers.append(number)
            except Exception as error:
                failed.append(error)

        numbers = []
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(0, 40, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        for number in numbers:
            self.assertEqual(driver.wait(number), [True, "", None])
        self.assertEqual(self.check(driver, [name_of(i) for i in range(40)], 500 * KiB), 40)


if __name__ == "__main__":
    stage.main()
