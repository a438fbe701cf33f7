#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.lmcache at its seam: a driver calls what LMCache's server calls. LMCache itself is in tests/integrations."""

import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
import time

import stage
from stage import KiB, MiB, Stage
from pmemarena import _labels
from pmemarena.lmcache import Client

WAIT = 60


def content(key, size):
    """What a block must have: each part of it tells the key, so that a torn or strange block is seen."""
    word = hashlib.sha256(key.encode()).digest()
    return bytearray((word * (size // len(word) + 1))[:size])


def name_of(i, model="org/model"):
    return f"{model}@{0:08x}@0@{i:032x}"


class Driver:
    """Submits, waits for the descriptor, and sorts completions, as the server's thread does."""

    def __init__(self, **kwargs):
        self.client = Client(**kwargs)
        self.poll = select.poll()
        self.poll.register(self.client.event_fd(), select.POLLIN)
        self.done = {}

    def wait(self, number):
        deadline = time.monotonic() + WAIT
        while number not in self.done:
            if not self.poll.poll(max(0, (deadline - time.monotonic()) * 1000)):
                raise AssertionError(f"batch {number} was not completed within {WAIT} s")
            for done, *rest in self.client.drain_completions():
                assert done not in self.done
                self.done[done] = rest
        return self.done.pop(number)

    def set(self, blocks):
        return self.wait(self.client.submit_batch_set(list(blocks), [memoryview(b) for b in blocks.values()]))

    def get(self, keys, size):
        """The bytes of each, or None. No byte of a buffer that was not filled has changed."""
        buffers = [bytearray(b"\xee") * size for _ in keys]
        ok, error, hits = self.wait(self.client.submit_batch_get(keys, [memoryview(b) for b in buffers]))
        assert ok, error
        for buffer, hit in zip(buffers, hits):
            assert hit or buffer == b"\xee" * size, "a miss has changed the buffer"
        return [buffer if hit else None for buffer, hit in zip(buffers, hits)]

    def exists(self, keys):
        ok, error, hits = self.wait(self.client.submit_batch_exists(keys))
        assert ok, error
        return hits

    def delete(self, keys):
        ok, error, gone = self.wait(self.client.submit_batch_delete(keys))
        assert ok, error
        return gone

    def close(self):
        self.client.close()


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


class LMCacheStage(Stage):
    ARENA = {"size": "128M", "page_size": "2M"}

    def driver(self, **kwargs):
        driver = Driver(socket=self.lab.socket, **kwargs)
        self.addCleanup(driver.close)
        return driver

    def stored(self, driver, keys, size):
        blocks = {key: content(key, size) for key in keys}
        self.assertEqual(driver.set(blocks), [True, "", None])
        return blocks

    def check(self, driver, keys, size):
        """Each that is there is whole: how many are."""
        got = driver.get(keys, size)
        for key, buffer in zip(keys, got):
            self.assertTrue(buffer is None or buffer == content(key, size), f"{key} is torn, or somebody else's")
        return sum(buffer is not None for buffer in got)


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


class TestSpace(LMCacheStage):
    ARENA = {"size": "96M", "page_size": "2M"}

    def fresh(self, ready_mb=None, **arena):
        """Another daemon with another arena."""
        self.lab.stop()
        for name in os.listdir(self.directory):
            if name.startswith("arena"):
                os.unlink(os.path.join(self.directory, name))
        self.lab.arena(**arena)
        self.lab.start()
        return self.driver(ready_mb=ready_mb)

    def push(self, size, page, total=960 * MiB):
        """Many times what there is goes through: nothing fails, nothing is torn, what is used stays."""
        driver = self.fresh(size="96M", page_size=page)
        self.stored(driver, ["hot"], size)
        nr, i = total // size, 0
        while i < nr:
            keys = [name_of(j) for j in range(i, min(i + 4, nr))]
            self.stored(driver, keys, size)
            self.assertEqual(self.check(driver, ["hot"], size), 1, f"what is used all the time was evicted after {i}")
            i += len(keys)
            # One of four is used again: the others go first.
            self.assertEqual(self.check(driver, keys[-1:], size), 1)
        there = self.check(driver, [name_of(j) for j in range(nr)], size)
        self.assertTrue(nr // 20 < there < nr // 2, there)
        self.assertEqual(self.check(driver, [name_of(nr - 1)], size), 1)
        self.lab.is_sound()
        driver.close()

    def test_ten_times_the_capacity_of_blocks_of_a_page(self):
        self.push(2 * MiB, "2M")

    def test_ten_times_the_capacity_of_blocks_of_no_page(self):
        self.push(5 * MiB + 100 * KiB, "4K")

    def test_ten_times_the_capacity_of_small_blocks(self):
        self.push(600 * KiB, "4K")
        self.push(600 * KiB, "2M")

    def waste_of(self, size, page):
        """The part of the device that blocks of this size cannot use, metadata included. What is reserved ahead is left out: it is
        much of such a small arena."""
        device = 256 * MiB
        driver = self.fresh(ready_mb=0, size=str(device), page_size=page, metadata="device")
        nr, evictions = 0, 0
        while not evictions:
            self.stored(driver, [name_of(nr)], size)
            nr += 1
            evictions = self.lab.stats()["evictions"]
        driver.close()
        # What is left at the end is less than one block, and smaller the larger the arena.
        return 1 - (nr - 1) * size / device - size / device

    def test_sizes_that_fit_no_page_waste_little(self):
        for size in (7 * MiB, 3 * MiB, 5 * MiB + 17 * KiB, 1200 * KiB):
            with self.subTest(size=size):
                waste = self.waste_of(size, "4K")
                print(f"FIGURE blocks of {size / MiB:.2f} MiB: {waste:.1%} of a device with pages of 4 KiB is not theirs")
                self.assertLess(waste, 0.05)

    def test_who_wastes_is_told_once(self):
        driver = self.driver()
        with self.assertLogs("pmemarena") as logs:
            for i in range(2):
                self.stored(driver, [name_of(i)], 3 * MiB)
                self.stored(driver, [name_of(i)], 4 * MiB)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("page-size=4K", logs.output[0])

    def test_full_of_what_may_not_go(self):
        self.arena.create("kept", 80 * MiB).close()
        driver = self.driver()
        size = 4 * MiB
        results = [driver.set({name_of(i): content(name_of(i), size)}) for i in range(6)]
        self.assertTrue(all(ok for ok, _, _ in results), results)
        ok, error, _ = driver.set({"large": bytearray(64 * MiB)})
        self.assertFalse(ok)
        self.assertIn("ENOSPC", error)
        # And it goes on.
        self.stored(driver, ["k"], size)
        self.assertEqual(self.check(driver, ["k"], size), 1)


# A server in a process of its own: stores block after block, and says so before and after. Ends when it is killed.
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import test_lmcache as t
driver = t.Driver(socket=sys.argv[2], reconnect_ms=20000)
first, size = int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
i = first
while True:
    keys = [t.name_of(j) for j in range(i, i + 4)]
    ok, error, _ = driver.set({key: t.content(key, size) for key in keys})
    print(i + 3 if ok else "failed: " + error, flush=True)
    i += 4
"""


class TestKills(LMCacheStage):
    ARENA = {"size": "96M", "page_size": "2M"}
    TIMES = int(os.environ.get("PMEMARENA_KILLS", 5))
    SIZE = 5 * MiB + 12345

    def setUp(self):
        super().setUp()
        signal.alarm(60 + 30 * self.TIMES)

    def writer(self, first):
        child = subprocess.Popen([sys.executable, "-c", WRITER, stage.HERE, self.lab.socket, str(first), str(self.SIZE)],
                                 stdout=subprocess.PIPE, text=True, env=stage.environment())
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def test_a_killed_server_leaves_nothing_torn(self):
        driver = self.driver()
        first = 0
        for i in range(self.TIMES):
            child = self.writer(first)
            last = int(child.stdout.readline())
            # Somewhere in the next store.
            time.sleep(0.003 * (i % 7))
            child.kill()
            child.wait()
            self.assertGreater(self.check(driver, [name_of(j) for j in range(first, last + 40)], self.SIZE), 0)
            first += 1000
        driver.close()
        self.assertEqual(self.arena.usage().reserved, 0)
        self.lab.is_sound()

    def test_a_killed_daemon_is_waited_for_and_keeps_all(self):
        driver = self.driver()
        child = self.writer(0)
        last = int(child.stdout.readline())
        for i in range(self.TIMES):
            time.sleep(0.003 * (i % 7))
            # Anew: what the other stores meanwhile makes room for itself.
            self.stored(driver, ["before"], self.SIZE)
            self.lab.kill()
            # Hits need no daemon.
            self.assertEqual(self.check(driver, ["before"], self.SIZE), 1)
            self.lab.start()
            # A store that three daemons in a row did not live to answer fails, and says so; the next one succeeds.
            last = next(int(line) for line in child.stdout if line.strip().isdigit())
            self.check(driver, [name_of(j) for j in range(max(0, last - 20), last + 9)], self.SIZE)
        child.kill()
        child.wait()
        last = max([last, *(int(line) for line in child.stdout if line.strip().isdigit())])
        self.assertGreater(self.check(driver, [name_of(j) for j in range(max(0, last - 3), last + 1)], self.SIZE), 0)

    def test_after_a_restart_of_all_it_hits(self):
        driver = self.driver()
        keys = [name_of(i) for i in range(8)]
        self.stored(driver, keys, self.SIZE)
        driver.close()
        self.session.close()
        self.lab.stop()
        # As after a boot: nothing of the runtime directory is there.
        for path in os.listdir(self.lab.run):
            os.unlink(os.path.join(self.lab.run, path))
        self.lab.start()
        self.assertEqual(self.check(self.driver(), keys, self.SIZE), 8)

    def test_a_daemon_that_stays_away_is_said_and_found_again(self):
        driver = self.driver(reconnect_ms=100)
        self.stored(driver, ["k"], MiB)
        self.lab.stop()
        ok, error, _ = driver.set({"new": content("new", MiB)})
        self.assertFalse(ok)
        self.assertGreater(len(error), 20)
        self.assertFalse(driver.set({"new": content("new", MiB)})[0])
        self.assertEqual(self.check(driver, ["k"], MiB), 1)
        self.assertEqual(driver.exists(["k"]), [True])
        self.lab.start()
        deadline = time.monotonic() + WAIT
        while not driver.set({"new": content("new", MiB)})[0]:
            self.assertLess(time.monotonic(), deadline, "it does not come back")
            time.sleep(0.1)
        self.assertEqual(self.check(driver, ["k", "new"], MiB), 2)


if __name__ == "__main__":
    stage.main()
