#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.vllm at its seam: what vLLM's tiering manager calls, by an engine that does as that one does. Where vLLM can be imported
the classes are its own, else those of the module; tests/integrations has vLLM itself."""

import collections
import hashlib
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import stage
from stage import KiB, MiB, Stage
from pmemarena import _labels, vllm
from pmemarena.vllm import LookupResult, PmemarenaTier

WAIT = 60
Job = collections.namedtuple("Job", "job_id keys chunk_ids is_promotion req_context")


def spec(model="org/model", tp_size=1, is_agnostic=True):
    """As much of an OffloadingSpec as there is to a tier."""
    parallel = SimpleNamespace(tp_size=tp_size, pp_size=1, pcp_size=1, dcp_size=1, is_parallelism_agnostic=is_agnostic)
    return SimpleNamespace(config=SimpleNamespace(
        model=SimpleNamespace(name=model, dtype="bfloat16"), parallel=parallel,
        cache=SimpleNamespace(tokens_per_hash=16, blocks_per_chunk=1),
        groups=(SimpleNamespace(tokens_per_block=16, layer_names=("layer.0", "layer.1")),)))


def key_of(i):
    """A hash of 32 bytes and the number of a group, as vLLM's keys are."""
    return hashlib.sha256(str(i).encode()).digest() + (0).to_bytes(4, "big")


def content(key, size):
    """What a chunk must have: each part of it tells the key, so that a torn or strange chunk is seen."""
    return (hashlib.sha256(key).digest() * (size // 32 + 1))[:size]


class Engine:
    """A primary tier of `nr` chunks, and what is done with it."""

    def __init__(self, size=MiB, nr=8, config=None, **kwargs):
        self.size, self.nr, self.number = size, nr, 0
        self.memory = memoryview(bytearray(size * nr)).cast("B", shape=[nr, size])
        self.flat = self.memory.cast("B")
        self.tier = PmemarenaTier(config or spec(), self.memory, "PmemarenaTier", **kwargs)
        self.results = {}

    def chunk(self, i):
        return self.flat[i * self.size:(i + 1) * self.size]

    def submit(self, function, keys, chunks):
        self.number += 1
        function(Job(self.number, keys, chunks, function == self.tier.submit_load, None))
        return self.number

    def wait(self, number):
        deadline = time.monotonic() + WAIT
        while number not in self.results:
            assert time.monotonic() < deadline, f"job {number} has not ended within {WAIT} s"
            for result in self.tier.get_finished_jobs():
                assert result.job_id not in self.results
                self.results[result.job_id] = result
            time.sleep(0.0005)
        return self.results.pop(number)

    def store(self, keys):
        """Of at most as many keys as chunks."""
        for i, key in enumerate(keys):
            self.chunk(i)[:] = content(key, self.size)
        return self.wait(self.submit(self.tier.submit_store, keys, range(len(keys))))

    def lookup(self, keys):
        return [self.tier.lookup(key, None) == LookupResult.HIT for key in keys]

    def load(self, keys):
        """The result. What was loaded is whole, and what was not has changed no byte."""
        for i in range(len(keys)):
            self.chunk(i)[:] = b"\xee" * self.size
        result = self.wait(self.submit(self.tier.submit_load, keys, range(len(keys))))
        there = set(keys if result.success else result.successful_keys or ())
        for i, key in enumerate(keys):
            expected = content(key, self.size) if key in there else b"\xee" * self.size
            assert self.chunk(i) == expected, f"chunk {i} is torn, or somebody else's"
        return result

    def check(self, keys):
        """Which are found. All that are found are loaded, whole."""
        there = []
        for first in range(0, len(keys), self.nr):
            found = [key for key in keys[first:first + self.nr] if self.lookup([key])[0]]
            if found:
                assert self.load(found).success, "what was looked up was not loaded"
            there += found
        return there

    def close(self):
        self.tier.shutdown()
        self.flat.release()


class TierStage(Stage):
    ARENA = {"size": "64M", "page_size": "2M"}

    def engine(self, *args, **kwargs):
        engine = Engine(*args, socket=self.lab.socket, **kwargs)
        self.addCleanup(engine.close)
        return engine


class TestTier(TierStage):
    def test_store_look_up_load(self):
        for size in (4096, 300 * KiB, 2 * MiB + 512):
            engine = self.engine(size)
            keys = [key_of((size, i)) for i in range(6)]
            self.assertEqual(engine.lookup(keys), [False] * 6)
            self.assertTrue(engine.store(keys[:4]).success)
            self.assertEqual(engine.lookup(keys), [True] * 4 + [False] * 2)
            result = engine.load(keys[:4])
            self.assertTrue(result.success)
            self.assertGreaterEqual(result.transfer_time, 0)
            self.assertEqual(result.transfer_bytes, 4 * size)
            engine.close()

    def test_what_is_there_is_stored_again_with_success(self):
        engine = self.engine()
        engine.store([key_of(1)])
        before = [info.handle for info in self.arena.list()]
        self.assertTrue(engine.store([key_of(1), key_of(2)]).success)
        self.assertEqual([info.handle for info in self.arena.list()][:1], before)

    def test_a_load_of_what_is_gone_says_what_it_has(self):
        engine = self.engine()
        engine.store([key_of(1), key_of(3)])
        result = engine.load([key_of(1), key_of(2), key_of(3)])
        self.assertFalse(result.success)
        self.assertEqual(list(result.successful_keys), [key_of(1), key_of(3)])
        result = engine.load([key_of(8), key_of(9)])
        self.assertEqual((result.success, result.successful_keys), (False, None))

    def test_two_engines_share(self):
        one, two = self.engine(), self.engine()
        keys = [key_of(i) for i in range(5)]
        one.store(keys)
        self.assertEqual(two.check(keys), keys)
        one.close()
        self.assertEqual(self.engine().check(keys), keys)

    def test_another_model_or_layout_shares_nothing(self):
        self.engine().store([key_of(1)])
        for other in (spec("org/other"), spec(is_agnostic=False), spec(tp_size=2, is_agnostic=False)):
            self.assertEqual(self.engine(config=other).lookup([key_of(1)]), [False])
        self.assertEqual(self.engine(2 * MiB).lookup([key_of(1)]), [False])
        self.assertEqual(self.engine(namespace="other").lookup([key_of(1)]), [False])
        # How many workers there are makes no difference where it makes none to the bytes.
        self.assertEqual(self.engine(config=spec(tp_size=2)).lookup([key_of(1)]), [True])

    def test_what_was_looked_up_is_loaded_whoever_takes_it_away(self):
        engine = self.engine()
        engine.store([key_of(1)])
        self.assertEqual(engine.lookup([key_of(1)]), [True])
        self.arena.free(next(iter(self.arena.list())).name)
        self.assertTrue(engine.load([key_of(1)]).success)
        self.assertEqual(engine.lookup([key_of(1)]), [False])

    def test_the_scheduler_waits_for_nobody(self):
        """The daemon stands still: lookups are answered, and jobs are begun."""
        engine = self.engine()
        engine.store([key_of(1)])
        self.lab.signal(signal.SIGSTOP)
        try:
            self.assertEqual(engine.lookup([key_of(1), key_of(2)]), [True, False])
            self.assertTrue(engine.load([key_of(1)]).success)
            number = engine.submit(engine.tier.submit_store, [key_of(3)], [0])
            self.assertEqual(engine.tier.get_finished_jobs(), [])
        finally:
            self.lab.signal(signal.SIGCONT)
        self.assertTrue(engine.wait(number).success)

    def test_drain_and_shutdown(self):
        engine = self.engine()
        engine.tier.drain_jobs()
        numbers = [engine.submit(engine.tier.submit_store, [key_of(i)], [i]) for i in range(8)]
        engine.tier.drain_jobs()
        self.assertEqual(sorted(result.job_id for result in engine.tier.get_finished_jobs()), numbers)
        self.assertEqual(engine.tier.get_finished_jobs(), [])
        engine.submit(engine.tier.submit_store, [key_of(9)], [0])
        engine.tier.shutdown()
        engine.tier.shutdown()
        self.assertEqual(self.engine().lookup([key_of(9)]), [True])
        engine.memory.release()

    def test_counters(self):
        engine = self.engine()
        engine.store([key_of(1), key_of(2)])
        engine.lookup([key_of(1), key_of(3)])
        engine.load([key_of(1), key_of(3)])
        self.assertEqual(engine.tier.take_counters(), {"lookups": 2, "hits": 1, "stored_chunks": 2, "loaded_chunks": 1,
                                                       "missed_chunks": 1, "failed_stores": 0})
        self.assertEqual(set(engine.tier.take_counters().values()), {0})
        stats = engine.tier.get_stats()
        self.assertTrue(stats is None or stats.is_empty())
        self.assertIn(len(PmemarenaTier.build_metric_definitions({})), (0, len(vllm.COUNTERS)))

    def test_wrong_sizes(self):
        rows = memoryview(bytearray(4 * MiB))
        for view, words in ((rows, "1 dimensions"), (memoryview(bytes(4 * MiB)).cast("B", shape=[4, MiB]), "read-only"),
                            (rows.cast("B", shape=[4, MiB])[::2], "with gaps")):
            self.assertIn(words, self.refused(ValueError, PmemarenaTier, spec(), view, "t", socket=self.lab.socket))
        self.assertIn("make a larger one", self.refused(ValueError, Engine, 256 * MiB, 1, socket=self.lab.socket))
        engine = self.engine()
        for keys, chunks, words in (([key_of(1)], [0, 1], "1 keys and 2 chunks"), ([key_of(1)], [8], "has 8, from 0"),
                                    ([key_of(1)], [-1], "chunks -1 to")):
            for function in (engine.tier.submit_store, engine.tier.submit_load):
                self.assertIn(words, self.refused(ValueError, engine.submit, function, keys, chunks))
        self.refused(ValueError, Engine, socket=self.lab.socket, locality="NEAR")
        self.refused(ValueError, Engine, socket=self.lab.socket, workers=0)
        self.refused(TypeError, Engine, socket=self.lab.socket, worker=1)
        self.refused(OSError, Engine, socket=self.lab.socket, arena="nowhere")
        self.refused(OSError, Engine, socket=self.lab.socket + ".not")
        # A block of another length under the same key is no hit, so that it is not loaded in vain for ever.
        engine.store([key_of(1)])
        name = next(iter(self.arena.list())).name
        label = _labels.label_pack(_labels.key_label(key_of(1)), 4096)
        self.arena.create(name, 4096, attributes=label, replace=True).close()
        self.assertEqual(engine.lookup([key_of(1)]), [False])


class TestPins(TierStage):
    ARENA = {"size": "64M", "page_size": "4K"}

    def test_more_looked_up_than_may_be_pinned(self):
        engine = self.engine(4096, nr=1500, pins=2304)
        keys = [key_of(i) for i in range(1500)]
        self.assertTrue(engine.store(keys).success)
        self.assertEqual(engine.lookup(keys), [True] * 1500)
        self.assertTrue(engine.load(keys).success)
        self.assertIn("2304 at least", self.refused(ValueError, Engine, socket=self.lab.socket, pins=2303))


class TestTenTimes(TierStage):
    ARENA = {"size": "16M", "page_size": "4K"}

    def test_ten_times_the_capacity(self):
        size, nr, fresh = MiB + 512, 160, 0
        engine, other = self.engine(size, nr=4), self.engine(size, nr=4)
        for first in range(0, nr, 4):
            keys = [key_of(i) for i in range(first, first + 4)]
            self.assertTrue(engine.store(keys).success)
            fresh += len(other.check(keys))
        # Of those that are stored at a time the last may take the place of the first.
        self.assertGreater(fresh, nr // 2)
        there = other.check([key_of(i) for i in range(nr)])
        self.assertTrue(4 < len(there) < 16, len(there))
        self.assertGreater(self.lab.stats()["evictions"], 100)
        self.lab.is_sound()


class TestSpace(TierStage):
    def test_full_of_what_may_not_go(self):
        self.arena.create("kept", 60 * MiB).close()
        engine = self.engine(8 * MiB, nr=2)
        result = engine.store([key_of(1)])
        self.assertEqual((result.success, result.transfer_bytes), (False, 0))
        self.assertEqual(engine.tier.take_counters()["failed_stores"], 1)
        self.arena.free("kept")
        self.free_bytes()
        self.assertTrue(engine.store([key_of(1)]).success)


# An engine in a process of its own: stores job after job, and says so after each. Ends when it is killed.
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import test_vllm as t
engine = t.Engine(int(sys.argv[3]), 4, socket=sys.argv[2], reconnect_ms=20000)
first = int(sys.argv[4])
print("ready", flush=True)
while True:
    ok = engine.store([t.key_of(i) for i in range(first, first + 4)]).success
    print(first + 3 if ok else "failed", flush=True)
    first += 4
"""


class TestKills(TierStage):
    TIMES = 5
    SIZE = 3 * MiB + 512

    def writer(self, first):
        child = subprocess.Popen([sys.executable, "-c", WRITER, stage.HERE, self.lab.socket, str(self.SIZE), str(first)],
                                 stdout=subprocess.PIPE, text=True, env=stage.environment())
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def test_an_engine_killed_in_a_store_leaves_nothing_torn(self):
        engine = self.engine(self.SIZE, nr=4)
        for i in range(self.TIMES):
            first = 1000 * i
            child = self.writer(first)
            last = int(child.stdout.readline())
            # Somewhere in the next store.
            time.sleep(0.003 * i)
            child.kill()
            child.wait()
            self.assertTrue(engine.check([key_of(j) for j in range(first, last + 40)]))
        engine.close()
        self.assertEqual(self.arena.usage().reserved, 0)
        self.lab.is_sound()

    def test_a_killed_daemon_keeps_all(self):
        engine, keys = self.engine(self.SIZE, nr=4), [key_of(i) for i in range(4)]
        engine.store(keys)
        for i in range(self.TIMES):
            self.lab.kill()
            # Hits need no daemon.
            self.assertEqual(engine.check(keys), keys)
            self.lab.start()
            self.assertEqual(self.engine(self.SIZE, nr=4).check(keys), keys)
            self.assertTrue(engine.store([key_of(4 + i)]).success)
        self.lab.is_sound()

    def test_a_daemon_killed_in_a_store_is_waited_for(self):
        engine, child = self.engine(self.SIZE, nr=4), self.writer(0)
        last = int(child.stdout.readline())
        for i in range(self.TIMES):
            time.sleep(0.003 * i)
            self.lab.kill()
            engine.check([key_of(j) for j in range(max(0, last - 12), last + 9)])
            self.lab.start()
            line = child.stdout.readline()
            self.assertTrue(line.strip().isdigit(), line)
            last = int(line)
            engine.check([key_of(j) for j in range(max(0, last - 12), last + 9)])
        child.kill()
        child.wait()
        self.lab.is_sound()


if __name__ == "__main__":
    stage.main()
