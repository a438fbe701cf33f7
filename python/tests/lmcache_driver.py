# SPDX-License-Identifier: BSD-3-Clause
"""lmcache_driver: what the tests of pmemarena.lmcache have in common. A driver calls what LMCache's server calls."""

import hashlib
import select
import time

from stage import Stage
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
