#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.Cache: keys, blocks, full arenas, threads, fork, processes that are killed, and views that outlive what they came from."""

import gc
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import stage
from stage import KiB, MiB, Stage, main, pmemarena
from pmemarena import Cache, _labels, _ready


def content(key, size):
    """Each part of it tells the key, so that a torn or strange block is seen."""
    word = hashlib.sha256(str(key).encode("utf-8", "surrogatepass")).digest()
    return (word * (size // len(word) + 1))[:size]


class CacheStage(Stage):
    ARENA = {"size": "64M", "page_size": "4K"}

    def cache(self, **kwargs):
        cache = Cache(self.lab.socket, **kwargs)
        self.addCleanup(cache.close, True)
        return cache


class TestKeys(CacheStage):
    def test_get_put_delete(self):
        cache = self.cache()
        for size in (1, 100, 4096, 4097, 300 * KiB, 3 * MiB):
            data = content(size, size)
            self.assertIsNone(cache.get(f"k{size}"))
            self.assertFalse(f"k{size}" in cache)
            cache.put(f"k{size}", data)
            self.assertTrue(f"k{size}" in cache)
            with cache.get(f"k{size}") as pin:
                self.assertEqual((len(pin), bytes(memoryview(pin)), pin.nr_pieces, pin.readonly), (size, data, 1, True))
                self.assertEqual(b"".join(pin.pieces()), data)
            self.assertEqual(cache.read(f"k{size}"), data)
        self.assertEqual(len(cache), 6)
        self.assertTrue(cache.delete("k1"))
        self.assertFalse(cache.delete("k1"))
        self.assertEqual(cache.clear(), 5)
        self.assertEqual((len(cache), bool(cache)), (0, True))
        self.assertEqual(self.arena.usage().reserved, 0)

    def test_keys_of_any_length_and_letter(self):
        cache = self.cache()
        keys = ["", "k", b"\0", b"\xff" * 30, *("k" * n for n in (245, 246, 247, 5000)), "k" * 5000 + "2", "schlüssel/\n@", "a/../b",
                "\ud800", "\udc80", "\ud83d\ude00", "\U0001f600", "\udced\udca0\udc80"]
        self.assertEqual(cache.put_many([(key, content(key, 100)) for key in keys]), [None] * len(keys))
        self.assertEqual([cache.read(key) for key in keys], [content(key, 100) for key in keys])
        self.assertEqual(cache.exists_many(["k" * 244, "k" * 248, "k" * 4999]), [False] * 3)
        self.assertEqual(cache.read("schlüssel/\n@".encode()), content("schlüssel/\n@", 100), "a str and its UTF-8 are one key")

    def test_a_name_of_another_key_is_no_hit(self):
        """As if two keys had one digest."""
        cache = self.cache()
        name = _labels.key_name("cache/", b"wanted")
        for attributes in (b"", b"x", _labels.label_pack(_labels.key_label(b"other"), 4096),
                           *(_labels.label_pack(_labels.key_label(b"wanted"), size) for size in (0, 4097, 2 ** 64 - 1))):
            self.arena.create(name, 4096, attributes=attributes, replace=True).close()
            self.assertEqual(("wanted" in cache, cache.get("wanted"), cache.delete("wanted")), (False, None, False))
            cache.put("wanted", b"mine")
            self.assertEqual(cache.read("wanted"), b"mine")

    def test_namespaces_and_caches_share_what_they_should(self):
        one, two, other = self.cache(), self.cache(), self.cache(namespace="other")
        one.put("k", b"1")
        self.assertEqual((two.read("k"), other.read("k"), other.clear()), (b"1", None, 0))

    def test_clear_and_len_leave_what_is_no_block(self):
        cache, below, empty = self.cache(), self.cache(namespace="cache/b"), self.cache(namespace="")
        digest = _labels.key_name("", b"k")
        programs = ["cache/my-model-weights", f"cache/{digest}", f"cache/{digest[:-1]}x", f"/x{digest}"]
        for name in programs:
            self.arena.put(name, b"a program's own", attributes=_labels.label_pack((0, b"k"), 1) if name[-1] == "x" else None)
        for each in (cache, below, empty):
            each.put("mine", b"1")
            each.put("other", b"2")
        self.assertEqual([len(each) for each in (cache, below, empty)], [2, 2, 2])
        self.assertEqual((cache.clear(), len(cache), len(below), len(empty)), (2, 0, 2, 2))
        self.assertEqual((empty.clear(), below.read("mine"), below.clear()), (2, b"1", 2))
        self.assertEqual(sorted(info.name for info in self.arena.list()), sorted(programs))

    def test_existing_is_success_and_left_alone(self):
        cache = self.cache()
        cache.put("k", b"first")
        handle = cache.get("k").handle
        cache.put("k", b"other")
        self.assertEqual((cache.read("k"), cache.get("k").handle), (b"first", handle))
        cache.put("k", b"other", replace=True)
        self.assertEqual(cache.read("k"), b"other")
        with cache.get("k") as pin:
            cache.put("k", b"of another length")
            self.assertEqual((bytes(pin), cache.read("k")), (b"other", b"of another length"), "who has the old one keeps it")
        self.assertEqual(len(cache), 1)

    def ready_cache(self, size):
        """A cache that has places for blocks of this size ready, which nothing takes before the test does."""
        cache = self.cache(ready_bytes=4 * MiB)
        cache.put("warm", content("warm", size))
        deadline = time.monotonic() + 60
        while not cache._blocks.ready.places:
            self.assertLess(time.monotonic(), deadline, "nothing gets ready")
            time.sleep(0.005)
        return cache

    def test_what_another_put_meanwhile_is_left_alone(self):
        """Also where the block goes to a place that is ready, and has no name before."""
        cache, other = self.ready_cache(MiB), self.cache()
        store, new = cache._blocks._store, content("new", MiB)

        def store_later(wanted):
            other.put("k", new)
            store(wanted)

        cache._blocks._store = store_later
        cache.put("k", content("old", MiB))
        self.assertTrue(other.read("k") == cache.read("k") == new, "what is newer was overwritten")
        cache.put("k", content("newest", MiB), replace=True)
        self.assertTrue(other.read("k") == content("newest", MiB))

    def test_what_is_being_put_is_another_puts_success(self):
        cache, other = self.ready_cache(MiB), self.cache()
        fill, places = cache._blocks._fill, []

        def fill_later(link, it):
            places.append(it.place)
            other.put("k", content("other", MiB))
            self.assertFalse("k" in other)
            fill(link, it)

        cache._blocks._fill = fill_later
        cache.put("k", content("mine", MiB))
        self.assertTrue(places[0] is not None and other.read("k") == content("mine", MiB))

    def test_being_put_by_another_is_success(self):
        cache = self.cache()
        other = self.arena.reserve(_labels.key_name("cache/", b"k"), 4096)
        cache.put("k", b"mine")
        self.assertFalse("k" in cache)
        other.abort()
        cache.put("k", b"mine")
        self.assertEqual(cache.read("k"), b"mine")

    def test_many(self):
        cache = self.cache()
        keys = [f"k{i}" for i in range(300)]
        blocks = {key: content(key, 5000 + i) for i, key in enumerate(keys)}
        self.assertEqual(cache.put_many(blocks), [None] * 300)
        cache.delete_many(keys[100:110])
        with cache.get_many(keys) as pins:
            self.assertEqual((len(pins), pins.hits, pins.leading, pins[100]), (300, 290, 100, None))
            self.assertTrue(all(bytes(pin) == blocks[key] for key, pin in zip(keys, pins) if pin))
        self.assertTrue(all(pin is None or pin.is_put for pin in pins))
        self.assertEqual(cache.exists_many(keys), [not 100 <= i < 110 for i in range(300)])
        buffers = [bytearray(5000 + i) for i in range(300)]
        buffers[0] = bytearray(1)
        self.assertEqual(cache.read_many(keys, buffers), [i > 0 and not 100 <= i < 110 for i in range(300)])
        self.assertEqual(buffers[7], blocks["k7"])
        self.assertEqual((buffers[0], any(buffers[105])), (bytearray(1), False), "a miss has changed the buffer")
        self.assertEqual(cache.get_many([]), [])
        self.assertEqual(cache.put_many([]), [])

    def test_buffers_of_many_kinds(self):
        cache = self.cache()
        floats = memoryview(bytearray(64)).cast("f", shape=[4, 4])
        cache.put("floats", floats)
        self.assertEqual(cache.read("floats"), bytes(64))
        with cache.get("floats") as pin:
            cache.put("copy", pin)
        self.assertEqual(cache.read("copy"), bytes(64))
        self.refused(TypeError, cache.put, "strided", memoryview(bytes(10))[::2])

    def test_wrong_arguments(self):
        cache = self.cache()
        for call in (cache.get, cache.delete, cache.read, cache.__contains__):
            self.refused(TypeError, call, 7)
            self.refused(TypeError, call, None)
        self.refused(TypeError, cache.put, "k", "a str has no bytes")
        self.refused(ValueError, cache.put, "k", b"")
        self.refused(ValueError, cache.read_many, ["k"], [])
        self.refused(BufferError, cache.read_many, ["k"], [b"read-only"])
        self.refused(FileNotFoundError, Cache, self.lab.socket + ".not")
        self.refused(FileNotFoundError, Cache, self.lab.socket, "nowhere")
        self.refused(pmemarena.InvalidError, cache.put, "large", bytes(65 * MiB))
        self.assertEqual([type(e) for e in cache.put_many({"large": bytes(65 * MiB), "small": b"1"})], [pmemarena.InvalidError, type(None)])
        self.assertEqual(cache.read("small"), b"1")
        self.arena.create("not evictable", 40 * MiB).close()
        self.refused(pmemarena.FullError, cache.put, "large", bytes(30 * MiB))

    def test_all_pins_in_use_is_said(self):
        cache = self.cache(pins=64)
        cache.put("k", b"1")
        held = []
        with self.assertRaises(OSError) as caught:
            for _ in range(100000):
                held.append(cache.get("k"))
        self.assertIn("pins", str(caught.exception))
        held.clear()
        self.assertEqual(cache.read("k"), b"1")


class TestViews(CacheStage):
    def test_a_pin_is_shortened_once_and_for_all(self):
        self.arena.put("it", b"hello")
        with self.arena.window() as window, window.get("it") as pin:
            self.assertEqual(len(pin), 4096)
            before = memoryview(pin)
            for wrong in (0, 4097, 2 ** 64 - 1):
                self.refused(ValueError, pin.shorten, wrong)
            self.refused(TypeError, pin.shorten, "5")
            pin.shorten(5)
            self.assertEqual((len(pin), bytes(pin), [bytes(p) for p in pin.pieces()], len(before)), (5, b"hello", [b"hello"], 4096))
            self.refused(ValueError, pin.shorten, 6)
            self.refused(ValueError, pin.read_into, bytearray(6))
            before.release()
        self.refused(pmemarena.ClosedError, pin.shorten, 1)

    def test_what_lies_in_pieces_is_shortened(self):
        made = [self.arena.create(f"a{i}", MiB) for i in range(64) if self.arena.usage().largest_free >= MiB]
        for allocation in made[::2]:
            allocation.free()
        self.free_bytes()
        data = content("in pieces", 3 * MiB)
        cache = self.cache(contiguous=False)
        cache.put("k", data)
        with cache.get("k") as pin:
            self.assertGreater(pin.nr_pieces, 1)
            self.refused(BufferError, memoryview, pin)
            self.assertEqual(b"".join(pin.pieces()), data)
            pin.shorten(2 * MiB + 1)
            self.assertEqual(b"".join(pin.pieces()), data[:2 * MiB + 1])
            pin.shorten(4096)
            self.assertEqual(bytes(memoryview(pin)), data[:4096], "what is shown is in one piece")
        self.assertEqual(cache.read("k"), data)

    def test_close_counts_views(self):
        cache = self.cache()
        cache.put("k", b"hello")
        pin = cache.get("k")
        view = memoryview(pin)
        self.refused(BufferError, cache.close)
        self.assertEqual((cache.closed, cache.read("k")), (False, b"hello"), "a refused close changes nothing")
        cache.close(defer=True)
        self.assertEqual((cache.closed, bytes(view)), (True, b"hello"))
        self.refused(pmemarena.ClosedError, memoryview, pin)
        view.release()
        cache.close()
        for call in (cache.get, cache.delete, cache.__contains__, lambda key: cache.put(key, b"1"), lambda _: len(cache), lambda _: cache.usage()):
            self.assertIn("closed", self.refused(pmemarena.ClosedError, call, "k"))

    def test_a_view_outlives_its_cache(self):
        cache = Cache(self.lab.socket)
        cache.put("k", b"hello")
        view = memoryview(cache.get("k"))
        cache.delete("k")
        del cache
        gc.collect()
        self.cache().put("other", bytes(32 * MiB))
        self.assertEqual(bytes(view), b"hello")
        view.release()
        self.python("import pmemarena, sys\n"
                    "c = pmemarena.Cache(ready_bytes=1 << 20)\nc.put('k', b'1')\nsys.kept = memoryview(c.get('k'))\n")

    def test_put_of_many_pins_counts_views(self):
        cache = self.cache()
        cache.put_many({"a": b"1", "b": b"2"})
        pins = cache.get_many(["a", "none", "b"])
        view = memoryview(pins[2])
        self.refused(BufferError, pins.put)
        self.assertEqual((pins[0].is_put, pins[2].is_put, bytes(view)), (True, False, b"2"))
        pins.put(defer=True)
        self.assertEqual(bytes(view), b"2")
        view.release()
        self.assertTrue(pins[2].is_put)

    def test_nothing_is_left(self):
        cache = self.cache()
        for i in range(2000):
            cache.put(f"k{i % 7}", content(i, 100), replace=True)
            cache.get(f"k{i % 7}")
            cache.get(f"n{i % 7}")
        cache.clear()
        self.assertEqual((len(cache), self.arena.usage().reserved), (0, 0))
        fds, threads = len(os.listdir("/proc/self/fd")), threading.enumerate()
        for _ in range(20):
            Cache(self.lab.socket, ready_bytes=MiB).close()
            Cache(self.lab.socket, ready_bytes=MiB)
        gc.collect()
        self.assertEqual(len(os.listdir("/proc/self/fd")), fds)
        self.assertEqual(threading.enumerate(), threads)


class TestFull(CacheStage):
    ARENA = {"size": "32M", "page_size": "4K"}

    def test_full_means_eviction(self):
        for contiguous in (True, False):
            cache = self.cache(contiguous=contiguous, namespace=str(contiguous))
            cache.put("hot", content("hot", MiB))
            kept = cache.get("hot")
            for i in range(200):
                size = (700 + i % 11 * 60) * KiB
                cache.put(str(i), content(i, size))
                self.assertEqual(cache.read(str(i)), content(i, size))
            self.assertEqual(bytes(kept), content("hot", MiB), "what is pinned stays")
            there = sum(cache.exists_many([str(i) for i in range(200)]))
            self.assertTrue(10 < there < 40, there)
            kept.put()
        self.assertGreater(self.lab.stats()["evictions"], 200)
        self.lab.is_sound()

    def test_ready_space_is_used_and_not_lost(self):
        cache, hits = self.cache(ready_bytes=4 * MiB), 0
        for i in range(100):
            cache.put(str(i), content(i, MiB))
            # What is taken ahead may evict what was put last: it was not used yet.
            got = cache.read(str(i))
            self.assertIn(got, (None, content(i, MiB)))
            hits += got is not None
        self.assertGreater(hits, 20)
        cache.close()
        self.assertEqual(self.arena.usage().reserved, 0)


    def test_what_cannot_be_mapped_ahead_is_given_back(self):
        class Unpopulated:
            def __init__(self, *args):
                self.memory = mapping(*args)

            def populate(self):
                raise MemoryError

            def close(self):
                self.memory.close()

        def refuse(*_):
            raise MemoryError

        mapping = _ready.Mapping
        self.addCleanup(setattr, _ready, "Mapping", mapping)
        cache = self.cache(ready_bytes=4 * MiB)
        for _ready.Mapping in (refuse, Unpopulated):
            cache.put("k", content("k", MiB), replace=True)
            deadline = time.monotonic() + 60
            while not cache._blocks.ready.is_full:
                self.assertLess(time.monotonic(), deadline, "nobody tried")
                time.sleep(0.005)
            self.assertEqual(self.arena.usage().reserved, 0)
        self.assertEqual(cache.read("k"), content("k", MiB))


# Of a process of its own: it puts and reads blocks of a few keys, whose content tells the key, until it is killed or has done so many.
WORKER = """
import random, sys
sys.path.insert(0, sys.argv[1])
import test_cache as t
chance, size = random.Random(int(sys.argv[2])), 300 * t.KiB
with t.Cache() as cache:
    print("ready", flush=True)
    for _ in range(int(sys.argv[3])):
        key = chance.randrange(40)
        try:
            cache.put(str(key), t.content(key, size), replace=chance.random() < 0.3)
        except t.pmemarena.LostError:
            continue
        with cache.get_many([str(key), str(chance.randrange(40))]) as pins:
            for pin in pins:
                if pin:
                    data = bytes(pin)
                    assert any(data == t.content(k, size) for k in range(40)), "torn"
        if chance.random() < 0.2:
            cache.delete(str(chance.randrange(40)))
"""


class TestProcesses(CacheStage):
    ARENA = {"size": "8M", "page_size": "4K"}

    def worker(self, seed, acts):
        self.lab.drain()
        child = subprocess.Popen([sys.executable, "-c", WORKER, stage.HERE, str(seed), str(acts)], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=stage.environment(PMEMARENA_SOCKET=self.lab.socket))
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def check_all(self):
        cache = self.cache()
        for key in range(40):
            self.assertIn(cache.read(str(key)), (None, content(key, 300 * KiB)), f"block {key} is torn")

    def test_processes_share_one_cache(self):
        workers = [self.worker(seed, 150) for seed in range(3)]
        for worker in workers:
            error = worker.communicate(timeout=100)[1]
            self.assertEqual((worker.returncode, error), (0, ""))
        self.check_all()

    def test_a_killed_process_leaves_nothing_torn(self):
        for i in range(6):
            worker = self.worker(i, 1 << 30)
            time.sleep(0.005 * i)
            worker.kill()
            worker.wait()
            self.check_all()
        self.free_bytes()
        self.assertEqual(self.arena.usage().reserved, 0)
        self.lab.is_sound()

    def test_a_killed_daemon_is_waited_for(self):
        cache = self.cache(reconnect_ms=20000)
        cache.put("k", content("k", MiB))
        pin = cache.get("k")
        for i in range(3):
            self.lab.kill()
            self.assertEqual(cache.read("k"), content("k", MiB), "hits need no daemon")
            self.lab.start()
            cache.put(str(i), content(i, MiB))
            self.assertEqual(bytes(pin), content("k", MiB))
        self.assertEqual([cache.read(str(i)) for i in range(3)], [content(i, MiB) for i in range(3)])

    def test_a_daemon_that_stays_away_is_said_and_found_again(self):
        cache = self.cache(reconnect_ms=50)
        cache.put("k", b"1")
        self.lab.stop()
        self.refused(pmemarena.LostError, cache.put, "new", b"2")
        self.assertEqual((cache.read("k"), cache.read("none")), (b"1", None))
        self.lab.start()
        deadline = time.monotonic() + 60
        while "new" not in cache:
            self.assertLess(time.monotonic(), deadline, "it does not come back")
            try:
                cache.put("new", b"2")
            except pmemarena.LostError:
                time.sleep(0.05)
        self.assertEqual((cache.read("k"), cache.read("new")), (b"1", b"2"))

    def test_a_process_that_only_reads_answers_a_new_daemon(self):
        """Else the daemon would evict nothing for as long as it waits for who was there before."""
        reader, writer = self.cache(), self.cache(namespace="writer")
        reader.put("k", b"1")
        self.lab.kill()
        self.lab.start()
        stop = threading.Event()

        def read():
            while not stop.wait(0.02):
                assert reader.read("k") in (b"1", None)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for i in range(30):
                writer.put(str(i), bytes(MiB))
        finally:
            stop.set()
            thread.join()

    def test_a_cache_that_nobody_calls_answers_a_new_daemon(self):
        """Else nobody's put would find room again, for as long as it is open."""
        idle, writer = self.cache(), self.cache(namespace="writer")
        self.lab.kill()
        self.lab.start()
        for i in range(20):
            self.put_in_time(writer, str(i), bytes(MiB))
        self.assertFalse(idle.closed)

    def put_in_time(self, cache, key, data):
        """Full means that who was there before was not heard of yet. That must end."""
        deadline = time.monotonic() + 40
        while True:
            try:
                return cache.put(key, data)
            except pmemarena.FullError as error:
                self.assertLess(time.monotonic(), deadline, f"nothing is evicted: {error}")

    def test_after_fork_the_child_opens_its_own(self):
        cache = self.cache(ready_bytes=MiB)
        cache.put("k", b"hello")
        view = memoryview(cache.get("k"))

        def child():
            for call in (cache.get, cache.delete, cache.__contains__, lambda key: cache.put(key, b"1"), lambda _: len(cache)):
                self.assertIn("fork", self.refused(PermissionError, call, "k"))
            self.assertEqual(bytes(view), b"hello")
            cache.close()
            with Cache(self.lab.socket) as own:
                self.assertEqual(own.read("k"), b"hello")
                own.put("child", b"1")

        self.in_child(child)
        self.assertEqual((cache.read("k"), cache.read("child")), (b"hello", b"1"))

    def test_threads_share_one_cache(self):
        cache, failed = self.cache(), []

        def work(seed):
            try:
                for i in range(60):
                    key = str((seed * 7 + i) % 30)
                    cache.put(key, content(key, 250 * KiB), replace=i % 5 == 0)
                    with cache.get_many([key, str(i % 30)]) as pins:
                        for k, pin in zip((key, str(i % 30)), pins):
                            assert pin is None or bytes(pin) == content(k, 250 * KiB)
                    if i % 9 == 0:
                        cache.delete(key)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.lab.signal(signal.SIGCONT)
        self.lab.is_sound()


if __name__ == "__main__":
    main()
