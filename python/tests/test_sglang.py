#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.sglang at its seam: what SGLang's cache controller calls, with a host pool that has pages as its pools have. Where SGLang
can be imported the base class is its own, else that of the module."""

import ctypes
import hashlib
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import stage
from stage import KiB, MiB, Stage
from pmemarena.sglang import HiCache, HiCacheStorage


def config(**options):
    """As much of a HiCacheStorageConfig as matters here."""
    told = {"tp_rank": 0, "tp_size": 1, "pp_rank": 0, "pp_size": 1, "attn_cp_rank": 0, "attn_cp_size": 1, "dcp_rank": 0, "dcp_size": 1,
            "is_mla_model": False, "model_name": "org/model"}
    names = {name: options.pop(name) for name in list(options) if name in told}
    return SimpleNamespace(**{**told, **names},
                           extra_config={"backend_name": "pmemarena", "interface_v1": 1, "pmemarena": options})


def key_of(i):
    return hashlib.sha256(str(i).encode()).hexdigest()


def content(key, size):
    """What a page must have: each part of it tells the key, so that a torn or strange page is seen."""
    return (hashlib.sha256(key.encode()).digest() * (size // 32 + 1))[:size]


class Pool:
    """Memory of a host: `nr` pages of page_size tokens, each in as many parts as there are planes, which lie far from each other."""

    dtype = "bfloat16"

    def __init__(self, size=256 * KiB, nr=16, planes=2, page_size=4):
        self.page_size, self.nr, self.planes, self.part = page_size, nr, planes, size // planes
        self.layout = "page_first" if planes == 2 else "layer_first"
        self.memory = (ctypes.c_ubyte * (self.part * planes * nr))()
        self.view = memoryview(self.memory).cast("B")

    def parts(self, page):
        return [(plane * self.nr + page) * self.part for plane in range(self.planes)]

    def get_page_buffer_meta(self, indices):
        address = ctypes.addressof(self.memory)
        places = [address + at for index in indices[::self.page_size] for at in self.parts(index // self.page_size)]
        return places, [self.part] * len(places)

    def indices(self, pages):
        return [page * self.page_size + i for page in pages for i in range(self.page_size)]

    def write(self, page, data):
        for i, at in enumerate(self.parts(page)):
            self.view[at:at + self.part] = data[i * self.part:(i + 1) * self.part]

    def read(self, page):
        return b"".join(bytes(self.view[at:at + self.part]) for at in self.parts(page))


class Server:
    """A backend and its pool."""

    def __init__(self, pool=None, **options):
        self.pool = pool or Pool()
        self.size = self.pool.part * self.pool.planes
        self.cache = HiCache(config(**options), {})
        self.cache.register_mem_pool_host(self.pool)

    def set(self, keys):
        for i, key in enumerate(keys):
            self.pool.write(i, content(key, self.size))
        return self.cache.batch_set_v1(keys, self.pool.indices(range(len(keys))))

    def get(self, keys):
        """Which were got, whole. What was not got has changed no byte."""
        for i in range(len(keys)):
            self.pool.write(i, b"\xee" * self.size)
        got = self.cache.batch_get_v1(keys, self.pool.indices(range(len(keys))))
        for i, key in enumerate(keys):
            expected = content(key, self.size) if got[i] else b"\xee" * self.size
            assert self.pool.read(i) == expected, f"page {i} is torn, or somebody else's"
        return got


class CacheStage(Stage):
    ARENA = {"size": "64M", "page_size": "2M"}

    def server(self, pool=None, **options):
        server = Server(pool, socket=self.lab.socket, **options)
        self.addCleanup(server.cache.close)
        return server


class Tensor:
    """As much of torch's as a page is."""

    def __init__(self, data, device="cpu", is_contiguous=True):
        self.memory = (ctypes.c_ubyte * len(data)).from_buffer_copy(data)
        self.device, self.contiguity = device, is_contiguous

    def data_ptr(self):
        return ctypes.addressof(self.memory)

    def numel(self):
        return len(self.memory) // 2

    def element_size(self):
        return 2

    def is_contiguous(self):
        return self.contiguity

    def contiguous(self):
        return Tensor(bytes(self.memory), self.device)


class TestSeam(CacheStage):
    def test_pages_of_several_layouts(self):
        for planes in (1, 2, 64):
            for size in (64 * KiB, 2 * MiB + 128 * KiB):
                server = self.server(Pool(size, 8, planes), namespace=f"{planes}/{size}")
                keys = [key_of(i) for i in range(6)]
                self.assertEqual(server.cache.batch_exists(keys), 0)
                self.assertEqual(server.get(keys), [False] * 6)
                self.assertEqual(server.set(keys[:4]), [True] * 4)
                self.assertEqual(server.get(keys), [True] * 4 + [False] * 2)
                self.assertIs(server.cache.clear(), True)

    def test_exists_is_the_leading_run(self):
        server = self.server()
        keys = [key_of(i) for i in range(9)]
        server.set(keys[:3] + keys[4:])
        for asked, nr in ((keys, 3), (keys[4:], 5), (keys[3:], 0), ([], 0)):
            self.assertEqual(server.cache.batch_exists(asked), nr)
        self.assertEqual([server.cache.exists(key) for key in keys[2:5]], [True, False, True])
        # More than are looked up at a time.
        self.assertEqual(server.cache.batch_exists([keys[0]] * 300 + [keys[3]]), 300)

    def test_tensors(self):
        cache = self.server().cache
        data = [content(key_of(i), 6000) for i in range(3)]
        self.assertTrue(cache.batch_set([key_of(i) for i in range(3)], [Tensor(it) for it in data]))
        targets = [Tensor(bytes(6000)) for _ in range(4)]
        got = cache.batch_get([key_of(i) for i in range(4)], targets)
        self.assertEqual(got, [*targets[:3], None])
        self.assertEqual([bytes(it.memory) for it in targets], [*data, bytes(6000)])
        self.assertTrue(cache.set("gaps", Tensor(data[0], is_contiguous=False)))
        self.assertIs(cache.get("gaps", targets[3]), targets[3])
        self.assertEqual(bytes(targets[3].memory), data[0])
        self.assertIsNone(cache.get("nothing", targets[3]))
        # What has a buffer is as good.
        self.assertTrue(cache.set("bytes", bytearray(b"12")))
        target = bytearray(2)
        self.assertIs(cache.get("bytes", target), target)
        self.assertEqual(target, b"12")

    def test_two_servers_share(self):
        one, two = self.server(), self.server()
        keys = [key_of(i) for i in range(5)]
        one.set(keys)
        self.assertEqual(two.cache.batch_exists(keys), 5)
        self.assertEqual(two.get(keys), [True] * 5)
        for other in ({"tp_rank": 1, "tp_size": 2}, {"model_name": "other"}, {"pp_rank": 1, "pp_size": 2}, {"namespace": "other"}):
            self.assertEqual(self.server(**other).cache.batch_exists(keys), 0)
        self.assertEqual(self.server(Pool(planes=64)).cache.batch_exists(keys), 0)
        # One cache for all ranks.
        self.server(tp_rank=0, tp_size=2, is_mla_model=True).set(keys)
        self.assertEqual(self.server(tp_rank=1, tp_size=2, is_mla_model=True).get(keys), [True] * 5)

    def test_clear_leaves_others_alone(self):
        one, two = self.server(), self.server(model_name="other")
        one.set([key_of(1)])
        two.set([key_of(1)])
        one.cache.clear()
        self.assertEqual((one.cache.exists(key_of(1)), two.cache.exists(key_of(1))), (False, True))

    def test_wrong_arguments_are_no_exceptions_in_sglangs_threads(self):
        server = self.server()
        cache, pool = server.cache, server.pool
        server.set([key_of(1)])
        with self.assertLogs("pmemarena.sglang", "WARNING") as logs:
            self.assertEqual(cache.batch_get_v1([key_of(1)], [0]), [False])
            self.assertEqual(cache.batch_set_v1([key_of(1), key_of(2)], pool.indices([0])), [False] * 2)
            self.assertFalse(cache.batch_set([key_of(1)], [Tensor(b"12", "cuda:0")]))
            self.assertEqual(cache.batch_get([key_of(1)], [Tensor(b"12", is_contiguous=False)]), [None])
            self.assertEqual(cache.batch_get([key_of(1)]), [None])
            self.assertFalse(cache.set(key_of(1)))
            pool.get_page_buffer_meta = lambda indices: None
            self.assertEqual(cache.batch_get_v1([key_of(1)], pool.indices([0])), [False])
        self.assertIn("1 pages of 4 tokens and 1 indices", logs.output[0])
        self.assertIn("cuda:0", logs.output[2])
        self.assertIn("does not say where its pages are", logs.output[-1])
        # A page of another size is none.
        self.assertIsNone(cache.get(key_of(1), bytearray(4096)))

    def test_wrong_configurations(self):
        self.assertIn('"arenas"', self.refused(ValueError, Server, socket=self.lab.socket, arenas="main"))
        self.assertIn("1024 at least", self.refused(ValueError, Server, socket=self.lab.socket, pins=100))
        self.refused(OSError, Server, socket=self.lab.socket, arena="nowhere")
        self.refused(OSError, Server, socket=self.lab.socket + ".not")
        server = self.server(mode="0640")
        server.set([key_of(1)])
        self.assertEqual(next(iter(self.arena.list())).mode & 0o777, 0o640)
        server.cache.close()
        server.cache.close()
        with self.assertLogs("pmemarena.sglang", "WARNING"):
            self.assertEqual(server.get([key_of(1)]), [False])
        self.assertTrue(issubclass(HiCache, HiCacheStorage))

    def test_counters(self):
        server = self.server()
        server.set([key_of(1)])
        server.get([key_of(1), key_of(2)])
        self.assertEqual(server.cache.take_counters(), {"got_pages": 1, "missed_pages": 1, "set_pages": 1, "failed_pages": 0})
        self.assertEqual(set(server.cache.take_counters().values()), {0})


# A server in a process of its own: stores batch after batch, and says so after each. Ends when it is killed.
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import test_sglang as t
server = t.Server(t.Pool(int(sys.argv[3]), 4), socket=sys.argv[2], reconnect_ms=20000)
first = int(sys.argv[4])
print("ready", flush=True)
while True:
    ok = all(server.set([t.key_of(i) for i in range(first, first + 4)]))
    print(first + 3 if ok else "failed", flush=True)
    first += 4
"""


class CheckStage(CacheStage):
    def found(self, server, keys):
        """Which are there. All that are there are got, whole."""
        there = []
        for first in range(0, len(keys), 4):
            some = [key for key in keys[first:first + 4] if server.cache.exists(key)]
            self.assertEqual(server.get(some), [True] * len(some))
            there += some
        return there


class TestTenTimes(CheckStage):
    ARENA = {"size": "16M", "page_size": "4K"}

    def test_ten_times_the_capacity(self):
        nr, fresh = 160, 0
        one, two = self.server(Pool(MiB + 512, 4)), self.server(Pool(MiB + 512, 4))
        for first in range(0, nr, 4):
            keys = [key_of(i) for i in range(first, first + 4)]
            self.assertEqual(one.set(keys), [True] * 4)
            fresh += len(self.found(two, keys))
        # Of those that are stored at a time the last may take the place of the first.
        self.assertGreater(fresh, nr // 2)
        there = self.found(two, [key_of(i) for i in range(nr)])
        self.assertTrue(4 < len(there) < 16, len(there))
        self.lab.is_sound()


class TestKills(CheckStage):
    SIZE = 3 * MiB
    TIMES = 5

    def writer(self, first):
        child = subprocess.Popen([sys.executable, "-c", WRITER, stage.HERE, self.lab.socket, str(self.SIZE), str(first)],
                                 stdout=subprocess.PIPE, text=True, env=stage.environment())
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def test_a_server_killed_in_a_store_leaves_nothing_torn(self):
        server = self.server(Pool(self.SIZE, 4))
        for i in range(self.TIMES):
            child = self.writer(1000 * i)
            last = int(child.stdout.readline())
            time.sleep(0.003 * i)
            child.kill()
            child.wait()
            self.assertTrue(self.found(server, [key_of(j) for j in range(1000 * i, last + 40)]))
        server.cache.close()
        self.assertEqual(self.arena.usage().reserved, 0)
        self.lab.is_sound()

    def test_a_daemon_killed_in_a_store_is_waited_for(self):
        server, child = self.server(Pool(self.SIZE, 4)), self.writer(0)
        last = int(child.stdout.readline())
        for i in range(self.TIMES):
            time.sleep(0.003 * i)
            self.lab.kill()
            self.lab.start()
            line = child.stdout.readline()
            self.assertTrue(line.strip().isdigit(), line)
            last = int(line)
            self.found(server, [key_of(j) for j in range(max(0, last - 12), last + 9)])
        child.kill()
        child.wait()
        self.lab.is_sound()

    def test_no_daemon_is_no_exception(self):
        server = self.server(reconnect_ms=200)
        server.set([key_of(1)])
        self.lab.kill()
        self.assertEqual(server.get([key_of(1)]), [True])
        self.assertEqual(server.cache.batch_exists([key_of(1)]), 1)
        with self.assertLogs("pmemarena.sglang", "WARNING"):
            self.assertEqual(server.set([key_of(2)]), [False])
        self.lab.start()
        deadline = time.monotonic() + 60
        while server.set([key_of(2)]) != [True]:
            self.assertLess(time.monotonic(), deadline, "the daemon is back, and nothing is stored")
            time.sleep(0.2)

    def test_hits_need_no_message(self):
        server = self.server()
        server.set([key_of(1)])
        self.lab.signal(signal.SIGSTOP)
        try:
            self.assertEqual(server.cache.batch_exists([key_of(1), key_of(2)]), 1)
            self.assertEqual(server.get([key_of(1)]), [True])
        finally:
            self.lab.signal(signal.SIGCONT)


if __name__ == "__main__":
    stage.main()
